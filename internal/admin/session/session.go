// Package session is the command that ends somebody's sessions.
//
// It owns that a recovery ends with them, whose browser would begin another. Sessions are
// countersign/internal/session's. Its one invariant: it ends, and never begins.
package session

import (
	"context"

	"countersign/internal/admin"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/recovery"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
)

// Commands are those about sessions, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Changes[End]("End one or all sessions of an account.", map[string]int{}).AlsoLent(),
	}
}

// Parts are what the commands work on.
type Parts struct {
	DB       *store.DB
	Accounts *directory.Accounts
	Endings  *session.Endings
	Stops    *recovery.Stops
}

// Desk is where the commands are done.
func Desk(p Parts) admin.Desk {
	return admin.At(&desk{admin.NewBook(p.DB), p.Accounts, p.Endings, p.Stops})
}

type desk struct {
	admin.Book
	people  *directory.Accounts
	endings *session.Endings
	stops   *recovery.Stops
}

// End ends sessions.
type End struct {
	Account string `json:"account" arg:"" help:"Whose sessions."`
	// Number is the session's; all of them when empty.
	Number string `json:"number,omitempty" arg:"" optional:"" help:"Which one; all of them when left out."`
	Reason string `json:"reason,omitempty" help:"Why, for the log."`
	// Also are further accounts, of which all sessions end.
	Also            []string `json:"also,omitempty" name:"also" help:"A further account, of which all sessions end; give it again for more, 500 in all at most."`
	admin.AuditText `embed:""`
}

func (c *End) Action() string   { return "session.end" }
func (c *End) About() *string   { return &c.Account }
func (c *End) Others() []string { return c.Also }
func (c *End) Object() string {
	which := "all sessions"
	if c.Number != "" {
		which = "session " + text.Name(c.Number)
	}
	return admin.WithReason(which+" of "+c.OfAll(c.Account, c.Also), c.Reason)
}

// Tell says which sessions end.
func (c *End) Tell(_ context.Context, _ *desk, s *admin.Sheet) error {
	if c.Number == "" {
		s.Says("number", "all of them")
	}
	return nil
}

func (c *End) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	if c.Number != "" && len(c.Also) > 0 {
		return nil, failure.At("also", failure.New(failure.Invalid, "One session is of one account; leave the number out to end all sessions of several."))
	}
	ended := 0
	err := a.ChangeEach(ctx, g, "session.ended", map[string]string{"session": c.Number, "reason": c.Reason}, func(tx *store.Tx) ([]directory.Account, error) {
		ended = 0 // of a try that collided with another
		all, err := admin.FindSeveral(ctx, tx, a.people, append([]string{c.Account}, c.Also...))
		if err != nil {
			return nil, err
		}
		for _, d := range all {
			n, err := a.end(ctx, tx, d, c.Number)
			if err != nil {
				return nil, admin.AboutOne(d.Name, len(c.Also), err)
			}
			ended += n
		}
		return all, nil
	})
	return map[string]int{"ended": ended}, err
}

// end ends one session of an account, or all, and returns how many.
func (a *desk) end(ctx context.Context, tx *store.Tx, d directory.Account, number string) (int, error) {
	if err := a.stops.FinishTx(ctx, tx, d.ID); err != nil { // else its browser would begin another
		return 0, err
	}
	if number == "" {
		return a.endings.EndAllTx(ctx, tx, d.ID, "")
	}
	there, err := a.endings.EndTx(ctx, tx, d.ID, number)
	if err == nil && !there {
		err = failure.New(failure.NotFound, "That session has ended already.")
	}
	return 1, err
}
