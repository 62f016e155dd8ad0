package group

import (
	"context"

	"countersign/internal/admin/guard"
	"countersign/internal/assurance"
	"countersign/internal/store"
)

// Within removes groups inside the change of a command that does this and more, with every
// check of [Remove]. It writes no entry: that is the caller's.
type Within struct{ remove removeDesk }

// NewWithin makes one.
func NewWithin(p Parts) *Within {
	return &Within{removeDesk{Guard: guard.New(p.Accounts, p.Engine), groups: p.Groups, engine: p.Engine, applications: p.Applications, protocols: p.Protocols}}
}

// Remove removes a group that is empty and that nothing names; by is who
// asks for it, and zero for a change that is undone because nobody asked yet.
func (w *Within) Remove(ctx context.Context, tx *store.Tx, name string, by assurance.AccountID) error {
	_, err := w.remove.remove(ctx, tx, name, by)
	return err
}
