package upstream

import (
	"context"
	"encoding/json"
	"slices"

	"countersign/internal/admin"
	"countersign/internal/failure"
	"countersign/internal/store"
	"countersign/internal/upstream"
)

// Within keeps and removes identity providers inside the change of a command that does this and
// more, with every check of [Set]. It writes no entry: that is the caller's.
type Within struct{ catalogue *upstream.Catalogue }

// NewWithin makes one.
func NewWithin(p Parts) *Within { return &Within{p.Upstreams} }

// over is what is described over the one of its name, unchecked, with all that are there. A hidden
// secret stays with the issuer that it was given for.
func over(ctx context.Context, catalogue *upstream.Catalogue, r store.Reader, d admin.Described) (upstream.Upstream, []upstream.Upstream, error) {
	settings, err := upstream.Read(d.Settings)
	if err != nil {
		return upstream.Upstream{}, nil, err
	}
	all, err := catalogue.All(ctx, r)
	if err != nil {
		return upstream.Upstream{}, nil, err
	}
	u := upstream.Upstream{Name: d.Name}
	if i := slices.IndexFunc(all, func(o upstream.Upstream) bool { return o.Name == d.Name }); i >= 0 {
		u = all[i]
	}
	if settings.Secret == admin.Hidden {
		if u.Secret == "" || u.Issuer != settings.Issuer {
			return u, all, failure.At("settings", failure.New(failure.Invalid, "There is no client secret for that issuer to keep; write it."))
		}
		settings.Secret = u.Secret
	}
	if u.Issuer != settings.Issuer { // its keys are another's
		u.Keys, u.Strange = nil, nil
	}
	u.Settings = settings
	return u, all, nil
}

// Kept are those that are there, with their secrets.
func (w *Within) Kept(ctx context.Context, r store.Reader) ([]admin.Described, error) {
	all, err := w.catalogue.All(ctx, r)
	if err != nil {
		return nil, err
	}
	var out []admin.Described
	for _, u := range all {
		d, err := described(u)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

func described(u upstream.Upstream) (admin.Described, error) {
	raw, err := json.Marshal(u.Completed())
	return admin.Described{Name: u.Name, Settings: raw}, err
}

// Over is what is to be kept of what is described, checked.
func (w *Within) Over(ctx context.Context, r store.Reader, d admin.Described) (admin.Described, error) {
	u, all, err := over(ctx, w.catalogue, r, d)
	if err == nil {
		err = u.Check(all)
	}
	if err != nil {
		return d, err
	}
	return described(u)
}

// Keep keeps what is described.
func (w *Within) Keep(ctx context.Context, tx *store.Tx, d admin.Described) (admin.Kept, error) {
	u, all, err := over(ctx, w.catalogue, tx, d)
	if err == nil {
		err = u.Check(all)
	}
	if err == nil {
		_, err = w.catalogue.SetTx(ctx, tx, u)
	}
	return admin.Kept{Event: "upstream.set", Detail: map[string]string{"upstream": d.Name}}, err
}

// Drop removes one; nobody comes in by it any more.
func (w *Within) Drop(ctx context.Context, tx *store.Tx, name string) (admin.Kept, error) {
	u, err := w.catalogue.Get(ctx, tx, name)
	if err == nil {
		err = w.catalogue.RemoveTx(ctx, tx, u)
	}
	return admin.Kept{Event: "upstream.removed", Detail: map[string]string{"upstream": name}}, err
}
