package admin

import (
	"context"
	"io"
	"time"

	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// auditDesk is where the log is read and signed.
type auditDesk struct {
	db        *store.DB
	directory *directory.Directory
	strangers *signin.Strangers
}

// AuditSearch searches the log, newest first.
type AuditSearch struct {
	Account     string `json:"account,omitempty" help:"Only about this account."`
	Actor       string `json:"actor,omitempty" name:"by" help:"Only what this account did, or this part of the program, such as system."`
	Application string `json:"application,omitempty" help:"Only about this application."`
	Event       string `json:"event,omitempty" help:"Only this event, such as signin.refused."`
	Outcome     string `json:"outcome,omitempty" help:"Only this outcome: ok, refused, error."`
	Text        string `json:"text,omitempty" arg:"" optional:"" help:"Only entries that contain this."`
	Since       string `json:"since,omitempty" help:"Only from then on: a day, as in 2026-12-01, or 2026-12-01T09:00:00Z."`
	Until       string `json:"until,omitempty" help:"Only before then, in the same form."`
	Before      int64  `json:"before,omitempty" help:"Only entries before this number."`
	Limit       int    `json:"limit,omitempty" help:"How many: 50 when left out, 500 at most."`
}

// AuditPage is one page of the log.
type AuditPage struct {
	Entries []audit.Entry `json:"entries"`
	Next    int64         `json:"next,omitempty"`
}

func (c *AuditSearch) Action() string { return "audit.search" }
func (c *AuditSearch) Object() string { return "" }

func (c *AuditSearch) Do(ctx context.Context, a *auditDesk, _ signin.Grant) (any, error) {
	f, err := c.filter(ctx, a)
	if err != nil {
		return nil, err
	}
	if err := a.strangers.SumUp(ctx); err != nil && a.db.Halted() == nil { // so that what is read is complete
		return nil, err
	}
	entries, err := a.db.Entries(ctx, f)
	page := AuditPage{Entries: entries}
	if n := len(entries); n == f.Limit {
		page.Next = entries[n-1].Seq
	}
	return page, err
}

func (c *AuditSearch) filter(ctx context.Context, a *auditDesk) (store.Filter, error) {
	f := store.Filter{Application: c.Application, Event: c.Event, Actor: c.Actor, Outcome: c.Outcome, Text: c.Text, Before: c.Before, Limit: c.Limit, Newest: true}
	if f.Limit <= 0 || f.Limit > 500 {
		f.Limit = 50
	}
	if d, err := a.directory.Find(ctx, a.db, c.Actor); err == nil {
		f.Actor = d.Name // whatever spelling of it was typed
	} else if failure.ClassOf(err) != failure.NotFound {
		return f, err
	}
	if c.Account != "" {
		d, err := a.directory.Find(ctx, a.db, c.Account)
		if err != nil {
			return f, failure.At("account", err)
		}
		f.Account = int64(d.ID)
	}
	var err error
	if f.Since, err = instant("since", c.Since); err != nil {
		return f, err
	}
	f.Until, err = instant("until", c.Until)
	return f, err
}

// instant reads a day or a moment; empty is no bound.
func instant(field, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{time.DateOnly, time.RFC3339, "2006-01-02T15:04"} {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, failure.At(field, failure.New(failure.Invalid, "Write a day, as in 2026-12-01, or a moment, as in 2026-12-01T09:00:00Z."))
}

// AuditCheckpoint signs a checkpoint of the log, to be kept elsewhere.
type AuditCheckpoint struct{}

func (c *AuditCheckpoint) Action() string { return "audit.checkpoint" }
func (c *AuditCheckpoint) Object() string { return "" }

func (c *AuditCheckpoint) Do(ctx context.Context, a *auditDesk, _ signin.Grant) (any, error) {
	note, err := a.db.Checkpoint(ctx)
	return map[string]string{"checkpoint": note}, err
}

// Export writes the whole log as JSON lines, in the form that can be verified
// offline. The grant is one to search the log; that it was exported is in it.
func (a *Admin) Export(ctx context.Context, g signin.Grant, w io.Writer) error {
	search := &AuditSearch{}
	if !g.Covers(signin.Self, search.Action(), search.Object()) {
		return failure.Refuse("other-action", "The approval is for something else.")
	}
	err := a.db.Change(ctx, g.Actor(), func(tx *store.Tx) error { return tx.Record(Entry(g, "audit.exported", "ok", nil)) })
	if err != nil {
		return err
	}
	notes, err := a.db.Checkpoints(ctx)
	if err != nil {
		return err
	}
	out, err := audit.NewWriter(w, a.keys.Origin(), notes)
	if err != nil {
		return err
	}
	for leaf, err := range a.db.Leaves(ctx) {
		if err != nil {
			return err
		}
		if err := out.Write(leaf); err != nil {
			return err
		}
	}
	return nil
}
