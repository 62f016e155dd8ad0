package application

import (
	"context"
	"encoding/json"

	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Within saves and removes applications inside the change of a command that does this and
// more, with every check of [Set] and [Remove]. It writes no entry: that is the caller's.
type Within struct {
	set    setDesk
	remove removeDesk
	read   readDesk
}

// NewWithin makes one.
func NewWithin(p Parts) *Within {
	return &Within{set: setDesk{groups: p.Groups, applications: p.Applications, protocols: p.Protocols, publicURL: p.PublicURL},
		remove: removeDesk{applications: p.Applications, engine: p.Engine}, read: readDesk{protocols: p.Protocols}}
}

// Over is what is to be saved in the place of old, whose secrets stay where c says that they
// are hidden. The zero old is none.
func (w *Within) Over(c *Set, old Application) (Application, error) {
	if c.Name == signin.Self {
		return Application{}, failure.At("name", failure.New(failure.Invalid, "That name is Countersign's own."))
	}
	return c.over(w.set.protocols, old)
}

// Save saves what [Within.Over] answered. What would take or shut what another application
// has is a Conflict.
func (w *Within) Save(ctx context.Context, tx *store.Tx, c *Set, app Application) error {
	return c.save(ctx, &w.set, tx, app)
}

// Remove removes an application that the policy does not mention.
func (w *Within) Remove(ctx context.Context, tx *store.Tx, name string) error {
	return w.remove.remove(ctx, tx, name)
}

// RemoveBeforePolicy removes one that the policy may mention: the caller puts another in force
// in the same change, which is refused where it mentions what is gone.
func (w *Within) RemoveBeforePolicy(ctx context.Context, tx *store.Tx, name string) error {
	return w.remove.applications.Remove(ctx, tx, name)
}

// Shown are settings with their secrets hidden.
func (w *Within) Shown(settings json.RawMessage) (json.RawMessage, error) {
	return w.read.hide(settings)
}

// Secret says whether a setting of this name is a secret.
func (w *Within) Secret(setting string) bool { return w.set.protocols.Secret(setting) }
