package directory

import (
	"context"
	"errors"

	"countersign/internal/audit"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// bound is the milestone of the moment from which on every row bears a MAC of all that
// decides. What has none from then on was written by somebody else.
const bound = "bound"

// boundDone is the reason of the last entry of binding rows. It says the milestone also
// when the row is gone.
const boundDone = "done"

// Binding gives the rows of an earlier release what stands against whoever can write to the
// database, once.
type Binding struct {
	people
	held held
}

// NewBinding makes a Binding.
func NewBinding(p Parts) *Binding {
	k := keptBy(p)
	return &Binding{people: people{k}, held: held{k}}
}

// Bound reports whether the rows of an earlier release were bound: it is done once, at the
// first start of a release that does it, and never again. So nobody who removes the
// milestone has what they wrote blessed.
func (b *Binding) Bound(ctx context.Context) (bool, error) {
	var at int64
	err := b.db.QueryRow(ctx, `select at from milestone where name = $1`, bound).Scan(&at)
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	said, err := b.db.AuditLog().Entries(ctx, store.Filter{Event: store.BoundEvent, Newest: true, Limit: 1}) // done is the last of them
	if err != nil || len(said) == 0 || said[0].Reason != boundDone {
		return false, err
	}
	b.db.Report(store.Finding{Table: "milestone", Row: bound, Wrong: store.Missing})
	return true, nil
}

// NoteBound writes down for good that every row is bound.
func (b *Binding) NoteBound(ctx context.Context) error {
	return b.db.Change(ctx, audit.System("start"), func(tx *store.Tx) error {
		at := store.Unix(tx.Now())
		_, err := tx.Exec(ctx, `insert into milestone (name, account, at, mac) values ($1,0,$2,$3) on conflict do nothing`,
			bound, at, b.keys.MAC(keyring.Milestone, milestoneFields(bound, 0, at)))
		if err != nil {
			return err
		}
		tx.Anchor("milestone", store.NumberOf(bound), 1)
		return tx.Record(audit.Entry{Event: store.BoundEvent, Outcome: audit.OK, Reason: boundDone})
	})
}
