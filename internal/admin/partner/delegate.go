package partner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"countersign/internal/admin"
	"countersign/internal/application"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/partner"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
)

// delegating is where things are delegated.
type delegating struct {
	admin.Book
	db           store.Reader
	people       *directory.Accounts
	groups       *directory.Groups
	applications *application.Catalogue
	kept         *partner.Kept
	delegations  *partner.Delegations
	commands     func() admin.List
	now          func() time.Time
}

// Delegate asks for a delegation.
type Delegate struct {
	Partner         string   `json:"partner" arg:"" help:"The partner."`
	Account         string   `json:"account" arg:"" help:"The account of its person: one that is in no privileged group. Make one first; it stays the partner's."`
	Actions         []string `json:"actions,omitempty" name:"action" placeholder:"ACTION" help:"What they may do here, such as session.end; give it again for more."`
	Applications    []string `json:"applications,omitempty" name:"application" placeholder:"APPLICATION" help:"Where they may sign in; give it again for more."`
	Groups          []string `json:"groups,omitempty" name:"group" placeholder:"GROUP" help:"Of whose members the actions may be; everybody who is in no privileged group when left out. Give it again for more."`
	From            string   `json:"from,omitempty" help:"From when on, such as 2026-12-01T08:00:00Z; now when left out."`
	Until           string   `json:"until" required:"" help:"Until when: a length of time from its beginning, such as 8h or 14d, or a moment such as 2026-12-31T18:00:00Z."`
	Note            string   `json:"note,omitempty" help:"What for, and how you made sure who it is."`
	admin.AuditText `embed:""`
}

func (c *Delegate) Action() string { return "partner.delegate" }
func (c *Delegate) About() *string { return &c.Account }
func (c *Delegate) Object() string {
	from, until := "from now on", "until "+text.Name(c.Until)
	if c.From != "" {
		from = "from " + text.Name(c.From)
	}
	if _, err := text.Duration(c.Until); err == nil {
		until = "for " + text.Name(c.Until)
	}
	return admin.WithReason(c.Of(c.Account)+" of the partner "+text.Name(c.Partner)+" "+c.scope().Words()+", "+from+" "+until, c.Note)
}

func (c *Delegate) scope() partner.Scope {
	return partner.Scope{Actions: c.Actions, Applications: c.Applications, Groups: c.Groups}
}

// refuse is a refusal whose sentence names what it is about.
func refuse(reason, format string, args ...any) error {
	return failure.Refuse(reason, fmt.Sprintf(format, args...))
}

// times are from when until when it is meant, by whoever does it now.
func (c *Delegate) times(now time.Time) (from, until time.Time, err error) {
	from = now.UTC().Truncate(time.Second)
	if c.From != "" {
		if from, err = time.Parse(time.RFC3339, c.From); err != nil {
			return from, until, failure.At("from", failure.New(failure.Invalid, "A delegation begins at a moment such as 2026-12-01T08:00:00Z."))
		}
	}
	if after, err := text.Duration(c.Until); err == nil {
		return from.UTC(), from.UTC().Add(after), nil
	}
	if until, err = time.Parse(time.RFC3339, c.Until); err != nil {
		return from, until, failure.At("until", failure.New(failure.Invalid, "A delegation ends after a length of time such as 8h or 14d, or at a moment such as 2026-12-31T18:00:00Z."))
	}
	return from.UTC(), until.UTC(), nil
}

// check says what of the scope cannot be delegated.
func (c *Delegate) check(ctx context.Context, a *delegating, r store.Reader) error {
	if len(c.Actions) == 0 && len(c.Applications) == 0 {
		return failure.At("actions", failure.New(failure.Invalid, "Say what is delegated: actions, applications, or both."))
	}
	if len(c.Groups) > 0 && len(c.Actions) == 0 {
		return failure.At("groups", failure.New(failure.Invalid, "Groups limit actions, and there are none."))
	}
	if len(c.Actions) > 50 || len(c.Applications) > 50 || len(c.Groups) > 50 {
		return failure.At("actions", failure.New(failure.Invalid, "Delegate 50 actions, 50 applications and 50 groups at most."))
	}
	all := a.commands()
	for _, action := range c.Actions {
		spec, known := all.Find(action)
		switch {
		case !known || !spec.Lent:
			return failure.At("actions", refuse("not-delegable", "%s cannot be delegated. These can: %s.", text.Name(action), admin.Listed(all.Lent())))
		case len(c.Groups) > 0 && !spec.OneAtATime():
			return failure.At("groups", refuse("not-delegable", "%s is about nobody by name, so that no group limits it; delegate it in a delegation of its own, without groups, or leave it out.", text.Name(action)))
		}
	}
	for _, name := range c.Applications {
		if _, err := a.applications.Get(ctx, name); err != nil {
			return failure.At("applications", err)
		}
	}
	for _, name := range c.Groups {
		g, err := a.groups.Find(ctx, r, name)
		switch {
		case err != nil:
			return failure.At("groups", err)
		case g.Privileged || g.OfPartner():
			return failure.At("groups", refuse("privileged", "%s is privileged, or a partner's: a partner's people reach nobody in it.", text.Name(g.Name)))
		}
	}
	return nil
}

// Preflight says what is wrong with it.
func (c *Delegate) Preflight(ctx context.Context, a *delegating) error {
	_, _, err := c.times(a.now())
	return errors.Join(err, c.check(ctx, a, a.db))
}

func (c *Delegate) Do(ctx context.Context, a *delegating, g signin.Grant) (any, error) {
	var to directory.Account
	var d partner.Delegation
	from, until, err := c.times(a.now())
	if err != nil {
		return nil, err
	}
	detail := map[string]string{"of-partner": c.Partner}
	err = a.Change(ctx, g, "partner.delegation-asked", detail, &to, func(tx *store.Tx) error {
		if err := c.check(ctx, a, tx); err != nil {
			return err
		}
		by, err := a.people.Get(ctx, tx, g.Account())
		if err != nil {
			return err
		}
		if to, err = a.people.Find(ctx, tx, c.Account); err != nil {
			return failure.At("account", err)
		}
		scope := c.scope()
		for _, names := range [][]string{scope.Actions, scope.Applications, scope.Groups} {
			slices.Sort(names)
		}
		d, err = a.delegations.AskTx(ctx, tx, by, to, partner.Delegation{Partner: c.Partner, Scope: scope, From: from, Until: until, Note: c.Note})
		told(detail, d)
		return err
	})
	return d, err
}

// told fills in what the log says of a delegation.
func told(detail map[string]string, d partner.Delegation) {
	detail["of-partner"], detail["delegation"], detail["what"] = d.Partner, strconv.FormatInt(d.Number, 10), d.Scope.Words()
	detail["from"], detail["until"] = d.From.UTC().Format(time.RFC3339), d.Until.UTC().Format(time.RFC3339)
}

// Approve approves a delegation.
type Approve struct {
	Number          int64 `json:"number" arg:"" help:"Its number, as partner report prints it."`
	admin.AuditText `embed:""`
}

func (c *Approve) Action() string { return "partner.approve" }
func (c *Approve) Object() string { return numbered(c.Number, c.What) }

func numbered(number int64, what string) string {
	out := "delegation " + strconv.FormatInt(number, 10)
	if what != "" {
		out += ": " + what
	}
	return out
}

// Thing tells who gets what.
func (c *Approve) Thing(ctx context.Context, a *delegating) (string, error) {
	return a.words(ctx, c.Number)
}

// words are the exact text of a delegation: nothing of it changes while it waits.
func (a *delegating) words(ctx context.Context, number int64) (string, error) {
	d, err := a.kept.Delegation(ctx, a.db, number)
	if err != nil {
		return "", err
	}
	return d.Words() + ", asked for by " + text.Name(d.Asked.Name), nil
}

func (c *Approve) Do(ctx context.Context, a *delegating, g signin.Grant) (any, error) {
	var to directory.Account
	var d partner.Delegation
	detail := map[string]string{}
	err := a.Change(ctx, g, "partner.delegated", detail, &to, func(tx *store.Tx) error {
		by, err := a.people.Get(ctx, tx, g.Account())
		if err != nil {
			return err
		}
		d, to, err = a.delegations.ApproveTx(ctx, tx, by, c.Number)
		told(detail, d)
		detail["asked-by"] = d.Asked.Name
		return err
	})
	return d, err
}

// End ends a delegation.
type End struct {
	Number          int64  `json:"number" arg:"" help:"Its number, as partner report prints it."`
	Reason          string `json:"reason,omitempty" help:"Why, for the log."`
	admin.AuditText `embed:""`
}

func (c *End) Action() string { return "partner.end" }
func (c *End) Object() string { return admin.WithReason(numbered(c.Number, c.What), c.Reason) }

// Thing tells whose it is.
func (c *End) Thing(ctx context.Context, a *delegating) (string, error) {
	return a.words(ctx, c.Number)
}

func (c *End) Do(ctx context.Context, a *delegating, g signin.Grant) (any, error) {
	var to directory.Account
	var d partner.Delegation
	detail := map[string]string{"reason": c.Reason}
	err := a.Change(ctx, g, "partner.delegation-ended", detail, &to, func(tx *store.Tx) error {
		by, err := a.people.Get(ctx, tx, g.Account())
		if err != nil {
			return err
		}
		was, err := a.kept.Delegation(ctx, tx, c.Number)
		if err != nil {
			return err
		}
		d, to, err = a.delegations.EndTx(ctx, tx, by, was, c.Reason)
		told(detail, d)
		return err
	})
	return d, err
}

// Stop ends all that is delegated to the people of a partner.
type Stop struct {
	Name   string `json:"name" arg:"" help:"The partner."`
	Reason string `json:"reason,omitempty" help:"Why, for the log."`
}

func (c *Stop) Action() string { return "partner.stop" }
func (c *Stop) Object() string {
	return admin.WithReason("all that is delegated to the people of the partner "+text.Name(c.Name), c.Reason)
}

func (c *Stop) Do(ctx context.Context, a *delegating, g signin.Grant) (any, error) {
	ended := 0
	detail := map[string]string{"of-partner": c.Name, "reason": c.Reason}
	err := a.Change(ctx, g, "partner.stopped", detail, nil, func(tx *store.Tx) error {
		ended = 0
		by, err := a.people.Get(ctx, tx, g.Account())
		if err != nil {
			return err
		}
		if _, err := a.kept.Partner(ctx, tx, c.Name); err != nil {
			return err
		}
		all, err := a.kept.Delegations(ctx, tx)
		if err != nil {
			return err
		}
		for _, d := range all {
			if state := d.State(a.now()); d.Partner != c.Name || !d.Standing(a.now()) && state != partner.Waiting {
				continue
			}
			if _, _, err := a.delegations.EndTx(ctx, tx, by, d, c.Reason); err != nil {
				return err
			}
			ended++
		}
		detail["ended"] = strconv.Itoa(ended)
		return nil
	})
	return map[string]int{"ended": ended}, err
}
