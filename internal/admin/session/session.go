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
		admin.Changes[End]("End one or all sessions of an account.", map[string]int{}),
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
	Number          string `json:"number,omitempty" arg:"" optional:"" help:"Which one; all of them when left out."`
	Reason          string `json:"reason,omitempty" help:"Why, for the log."`
	admin.AuditText `embed:""`
}

func (c *End) Action() string { return "session.end" }
func (c *End) About() *string { return &c.Account }
func (c *End) Object() string {
	which := "all sessions"
	if c.Number != "" {
		which = "session " + text.Name(c.Number)
	}
	return admin.WithReason(which+" of "+c.Of(c.Account), c.Reason)
}

func (c *End) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	var d directory.Account
	ended := 0
	err := a.Change(ctx, g, "session.ended", map[string]string{"session": c.Number, "reason": c.Reason}, &d, func(tx *store.Tx) error {
		var err error
		if d, err = a.people.Find(ctx, tx, c.Account); err != nil {
			return err
		}
		if err := a.stops.FinishTx(ctx, tx, d.ID); err != nil { // else its browser would begin another
			return err
		}
		if c.Number == "" {
			ended, err = a.endings.EndAllTx(ctx, tx, d.ID, "")
			return err
		}
		there, err := a.endings.EndTx(ctx, tx, d.ID, c.Number)
		if err == nil && !there {
			return failure.New(failure.NotFound, "That session has ended already.")
		}
		ended = 1
		return err
	})
	return map[string]int{"ended": ended}, err
}
