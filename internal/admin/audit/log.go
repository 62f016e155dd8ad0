package audit

import (
	"context"
	"io"

	"countersign/internal/admin"
	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Log is the log where it is read without a command: whole, or by whom it is about.
type Log struct {
	db     *store.DB
	origin string
}

// NewLog makes a Log. The keys say whose it is.
func NewLog(db *store.DB, keys *keyring.Keyring) *Log { return &Log{db, keys.Origin()} }

// History returns the newest entries about the grant's own account below a number, for its
// owner; zero is no bound. It is the only reading of the log that needs no action of its
// own.
func (a *Log) History(ctx context.Context, g signin.Grant, before int64, limit int) ([]audit.Entry, error) {
	return a.db.AuditLog().Entries(ctx, store.Filter{Account: int64(g.Account()), Before: before, Limit: limit, Newest: true})
}

// Export writes the whole log as JSON lines, in the form that can be verified
// offline. The grant is one to search the log; that it was exported is in it.
func (a *Log) Export(ctx context.Context, g signin.Grant, w io.Writer) error {
	search := &Search{}
	if !g.Covers(signin.Self, search.Action(), search.Object()) {
		return failure.Refuse("other-action", "The approval is for something else.")
	}
	err := a.db.Change(ctx, g.Actor(), func(tx *store.Tx) error { return tx.Record(admin.Entry(g, "audit.exported", "ok", nil)) })
	if err != nil {
		return err
	}
	notes, err := a.db.AuditLog().Checkpoints(ctx)
	if err != nil {
		return err
	}
	out, err := audit.NewWriter(w, a.origin, notes)
	if err != nil {
		return err
	}
	for leaf, err := range a.db.AuditLog().Leaves(ctx) {
		if err != nil {
			return err
		}
		if err := out.Write(leaf); err != nil {
			return err
		}
	}
	return nil
}
