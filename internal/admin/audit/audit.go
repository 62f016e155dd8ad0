// Package audit is the commands by which the log is read and signed, and the alarms of the
// database dealt with.
//
// It owns how the log is searched, that it is exported whole, and what its owner is shown
// of an account without a command. The log itself is store's, and its proof is
// countersign/internal/audit's. Its one invariant: nothing here changes or shortens it.
package audit

import (
	"context"
	"time"

	"countersign/internal/admin"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Commands are those about the log and the alarms of the database, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Looks[Search]("Search the audit log, newest first.", Page{}).AlsoLent().
			Telling("audit.exported", "{by} exported the audit log"),
		admin.Looks[Checkpoint]("Sign a checkpoint of the log, to be kept elsewhere.", map[string]string{}),
		admin.Looks[Alarms]("List what was changed in the database from outside, and was seen by nobody yet.", AlarmPage{}),
		admin.Changes[Seen]("Say that somebody has dealt with the alarms of the database.", map[string]int{}).
			Telling("database.alarm-seen", "{by} dealt with the alarms of the database: {detail.reason}"),
	}
}

// Parts are what the commands work on.
type Parts struct {
	DB        *store.DB
	Accounts  *directory.Accounts
	Strangers *signin.Strangers
	// Now is the clock; a day and a time without a zone are in its zone.
	Now func() time.Time
}

// Desk is where the log is read and signed.
func Desk(p Parts) admin.Desk {
	return admin.At(&desk{p.DB, p.Accounts, p.Strangers, p.Now})
}

type desk struct {
	db        *store.DB
	people    *directory.Accounts
	strangers *signin.Strangers
	now       func() time.Time
}

// Search searches the log, newest first.
type Search struct {
	Account     string `json:"account,omitempty" help:"Only about this account."`
	Actor       string `json:"actor,omitempty" name:"by" help:"Only what this account did, or this part of the program, such as system."`
	Application string `json:"application,omitempty" help:"Only about this application."`
	Event       string `json:"event,omitempty" help:"Only this event, such as signin.refused."`
	Outcome     string `json:"outcome,omitempty" help:"Only this outcome: ok, refused, error."`
	Text        string `json:"text,omitempty" arg:"" optional:"" help:"Only entries that contain this."`
	Since       string `json:"since,omitempty" help:"Only from then on: a day (in UTC), as in 2026-12-01, or 2026-12-01T09:00:00Z." said:"Only from then on: a length of time ago, such as 30m, 24h or 7d, a day, as in 2026-12-01, or a moment, as in 2026-12-01T09:00."`
	Until       string `json:"until,omitempty" help:"Only before then, in the same form."`
	Before      int64  `json:"before,omitempty" help:"Only entries before this number."`
	Limit       int    `json:"limit,omitempty" help:"How many: 50 when left out, 500 at most."`
}

// Page is one page of the log.
type Page struct {
	Entries []audit.Entry `json:"entries"`
	Next    int64         `json:"next,omitempty"`
}

func (c *Search) Action() string { return "audit.search" }
func (c *Search) Object() string { return "" }

func (c *Search) Do(ctx context.Context, a *desk, _ signin.Grant) (any, error) {
	f, err := c.filter(ctx, a)
	if err != nil {
		return nil, err
	}
	if err := a.strangers.SumUp(ctx); err != nil && a.db.Condition().Halted() == nil { // so that what is read is complete
		return nil, err
	}
	entries, err := a.db.AuditLog().Entries(ctx, f)
	page := Page{Entries: entries}
	if n := len(entries); n == f.Limit {
		page.Next = entries[n-1].Seq
	}
	return page, err
}

func (c *Search) filter(ctx context.Context, a *desk) (store.Filter, error) {
	f := store.Filter{Application: c.Application, Event: c.Event, Actor: c.Actor, Outcome: c.Outcome, Text: c.Text, Before: c.Before, Limit: c.Limit, Newest: true}
	if f.Limit <= 0 || f.Limit > 500 {
		f.Limit = 50
	}
	if d, err := a.people.Find(ctx, a.db, c.Actor); err == nil {
		f.Actor = d.Name // whatever spelling of it was typed
	} else if failure.ClassOf(err) != failure.NotFound {
		return f, err
	}
	if c.Account != "" {
		d, err := a.people.Find(ctx, a.db, c.Account)
		if err != nil {
			return f, failure.At("account", err)
		}
		f.Account = int64(d.ID)
	}
	var err error
	if f.Since, err = a.instant("since", c.Since); err != nil {
		return f, err
	}
	f.Until, err = a.instant("until", c.Until)
	return f, err
}

// instant reads a day or a moment; empty is no bound. What names no zone is in the zone of
// the installation.
func (a *desk) instant(field, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{time.DateOnly, time.RFC3339, "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(form, text, a.now().Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, failure.At(field, failure.New(failure.Invalid, "Write a day, as in 2026-12-01, or a moment, as in 2026-12-01T09:00:00Z."))
}

// Checkpoint signs a checkpoint of the log, to be kept elsewhere.
type Checkpoint struct{}

func (c *Checkpoint) Action() string { return "audit.checkpoint" }
func (c *Checkpoint) Object() string { return "" }

func (c *Checkpoint) Do(ctx context.Context, a *desk, _ signin.Grant) (any, error) {
	note, err := a.db.Checkpoint(ctx)
	return map[string]string{"checkpoint": note}, err
}
