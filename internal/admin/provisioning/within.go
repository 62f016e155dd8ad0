package provisioning

import (
	"context"
	"encoding/json"

	"countersign/internal/admin"
	"countersign/internal/provision"
	"countersign/internal/store"
)

// Within keeps and removes how applications are provisioned inside the change of a command that
// does this and more, with every check of [Set]. It writes no entry: that is the caller's.
type Within struct{ desk *desk }

// NewWithin makes one.
func NewWithin(p Parts) *Within {
	return &Within{&desk{db: p.DB, applications: p.Applications, groups: p.Groups, targets: p.Targets}}
}

// Kept is how applications are provisioned, with the tokens.
func (w *Within) Kept(ctx context.Context, r store.Reader) ([]admin.Described, error) {
	all, err := w.desk.targets.All(ctx, r)
	if err != nil {
		return nil, err
	}
	var out []admin.Described
	for _, t := range all {
		d, err := described(t)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

func described(t provision.Target) (admin.Described, error) {
	raw, err := json.Marshal(t.Settings)
	return admin.Described{Name: t.Application, Settings: raw}, err
}

// Over is what is to be kept of what is described, checked.
func (w *Within) Over(ctx context.Context, r store.Reader, d admin.Described) (admin.Described, error) {
	t, err := (&Set{Application: d.Name, Settings: d.Settings}).target(ctx, w.desk, r)
	if err != nil {
		return d, err
	}
	return described(t)
}

// Keep keeps what is described.
func (w *Within) Keep(ctx context.Context, tx *store.Tx, d admin.Described) (admin.Kept, error) {
	t, err := (&Set{Application: d.Name, Settings: d.Settings}).target(ctx, w.desk, tx)
	if err == nil {
		err = w.desk.targets.SetTx(ctx, tx, t)
	}
	return admin.Kept{Event: "provisioning.set", Detail: map[string]string{"application": d.Name, "address": t.Address}}, err
}

// Drop provisions an application no more; who is there stays there.
func (w *Within) Drop(ctx context.Context, tx *store.Tx, app string) (admin.Kept, error) {
	return admin.Kept{Event: "provisioning.removed", Detail: map[string]string{"application": app}}, w.desk.targets.RemoveTx(ctx, tx, app)
}
