package admin

import (
	"context"

	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/signin"
)

// severalAccounts is a command that names further accounts beside the one that it is about.
type severalAccounts interface{ Others() []string }

// AlsoLent says that the command can be delegated to people of partners: it gives nobody more than they
// had, and is about accounts that it names, or only looks.
func (s Spec) AlsoLent() Spec {
	s.Lent = true
	return s
}

// Lent lists the actions that can be delegated to people of partners.
func (l List) Lent() []string { return l.those(func(s Spec) bool { return s.Lent }) }

// OneAtATime reports whether a command names the accounts that it is about, so that it can be limited
// to the members of groups.
func (s Spec) OneAtATime() bool {
	_, ok := s.New().(aboutAccount)
	return ok
}

// within refuses what a partner's person was not delegated: the engine has looked at the action, and
// here it looks at each account that the command is about.
func (a *Admin) within(ctx context.Context, g signin.Grant, c Command) error {
	if partner, _ := g.Partner(); partner == "" {
		return nil
	}
	named, ok := c.(aboutAccount)
	if !ok {
		return g.ReachesAll()
	}
	names := []string{*named.About()}
	if more, ok := c.(severalAccounts); ok {
		names = append(names, more.Others()...)
	}
	for _, name := range names {
		d, err := a.people.Find(ctx, a.db, name)
		if failure.ClassOf(err) == failure.NotFound {
			err = g.Reaches(directory.Account{Partner: partnerOfNobody}) // what does not exist is told like what is out of reach
		} else if err == nil {
			err = g.Reaches(d)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// partnerOfNobody makes somebody who does not exist somebody who is out of reach.
const partnerOfNobody = "?"
