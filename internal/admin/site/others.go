package site

import (
	"context"
	"encoding/json"
	"slices"

	"go.yaml.in/yaml/v3"

	"countersign/internal/admin"
	"countersign/internal/admin/application"
	"countersign/internal/failure"
	"countersign/internal/store"
)

// Keeper is what keeps things of one kind that a file can say by their names and settings. What it
// answers and takes holds secrets.
type Keeper interface {
	// Kept are those that are there.
	Kept(ctx context.Context, r store.Reader) ([]admin.Described, error)
	// Over is what is to be kept of what a file describes: checked, whole, and with the secrets
	// that stay.
	Over(ctx context.Context, r store.Reader, d admin.Described) (admin.Described, error)
	// Keep makes or changes one, and Drop removes one, inside a change that records it.
	Keep(ctx context.Context, tx *store.Tx, d admin.Described) (admin.Kept, error)
	Drop(ctx context.Context, tx *store.Tx, name string) (admin.Kept, error)
}

// Kind is what keeps things of one kind, and which of their settings are secrets.
type Kind struct {
	Keeper
	Secret func(setting string) bool
}

// part is a part of a file beside groups, applications and the policy.
type part struct {
	// key is what a file calls it, and what is what one of it is called.
	key, what string
	// name is the key of a thing's name, and owner that of whose it is; empty for nobody's.
	name, owner string
	kind        func(Parts) Kind
}

// parts are in the order in which they are made: behind applications, and before the policy.
var parts = []part{
	{"upstreams", "identity provider", "name", "", func(p Parts) Kind { return p.Upstreams }},
	{"provisioning", "SCIM target", "application", "", func(p Parts) Kind { return p.Provisioning }},
	{"streams", "signal stream", "name", "receiver", func(p Parts) Kind { return p.Streams }},
	{"sources", "signal source", "name", "", func(p Parts) Kind { return p.Sources }},
}

// otherEntry is a thing of a part as a file has it.
type otherEntry struct {
	admin.Described
	place place
}

func (d *document) readOther(p part, n *yaml.Node) error {
	e := otherEntry{place: place(n.Line)}
	known := keys{
		p.name: func(v *yaml.Node) error { return text(v, p.name, &e.Name) },
		"settings": func(v *yaml.Node) (err error) {
			e.Settings, err = asJSON(v)
			return err
		},
	}
	if p.owner != "" {
		known[p.owner] = func(v *yaml.Node) error { return text(v, p.owner, &e.Owner) }
	}
	err := mapping(n, "one of "+p.key, known)
	switch {
	case err != nil:
		return err
	case e.Name == "" || e.Settings == nil:
		return e.place.fail("one of %s needs its %s and settings", p.key, p.name)
	case slices.ContainsFunc(d.others[p.key], e.sameName):
		return e.place.fail("the %s %q stands here twice; remove one", p.what, e.Name)
	}
	d.others[p.key] = append(d.others[p.key], e)
	return nil
}

func (e otherEntry) sameName(o otherEntry) bool { return o.Name == e.Name }

// names reports whether a file names something.
func (d *document) namesOther(key, name string) bool {
	return slices.ContainsFunc(d.others[key], func(e otherEntry) bool { return e.Name == name })
}

// removeOthers removes what the file does not name, before applications go and others take what
// these had.
func (w *work) removeOthers(ctx context.Context) error {
	for _, p := range parts {
		if _, has := w.doc.others[p.key]; !has {
			continue
		}
		keeper := p.kind(w.Parts)
		all, err := keeper.Kept(ctx, w.tx)
		if err != nil {
			return err
		}
		for _, old := range all {
			if w.doc.namesOther(p.key, old.Name) {
				continue
			}
			if !w.prune {
				w.extra = append(w.extra, Change{Kind: p.what, Name: old.Name, What: Extra})
				continue
			}
			kept, err := keeper.Drop(ctx, w.tx, old.Name)
			if err == nil {
				err = w.note(kept.Event, Change{Kind: p.what, Name: old.Name, What: Removed}, kept.Detail)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// setOthers makes and changes what the file names. As with applications, one that clashes is tried
// again behind the others of its part.
func (w *work) setOthers(ctx context.Context) error {
	for _, p := range parts {
		if err := eachOrAgain(w.doc.others[p.key], func(e otherEntry) (place, error) { return e.place, w.setOther(ctx, p, e) }); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) setOther(ctx context.Context, p part, e otherEntry) error {
	kind := p.kind(w.Parts)
	all, err := kind.Kept(ctx, w.tx)
	if err != nil {
		return err
	}
	var old admin.Described
	i := slices.IndexFunc(all, func(o admin.Described) bool { return o.Name == e.Name })
	if i >= 0 {
		old = all[i]
	}
	now, err := kind.Over(ctx, w.tx, e.Described)
	if err != nil {
		return err
	}
	fields, err := differOther(p, kind, old, now)
	if err != nil || len(fields) == 0 && i >= 0 {
		return err
	}
	kept, err := kind.Keep(ctx, w.tx, now)
	if err != nil {
		return err
	}
	what := Change{Kind: p.what, Name: e.Name, What: Changed, Fields: fields}
	if i < 0 {
		what.What = Made
	}
	return w.note(kept.Event, what, kept.Detail)
}

func differOther(p part, kind Kind, old, now admin.Described) ([]Field, error) {
	out := compareTexts(Field{p.owner, old.Owner, now.Owner})
	if old.Settings == nil {
		old.Settings = json.RawMessage("{}")
	}
	more, err := compareSettings(kind.Secret, old.Settings, now.Settings)
	return append(out, more...), err
}

// eachOrAgain does something with each of a list. What one gives up another may take, in whatever
// order a file names them: one that clashes is tried again behind the others.
func eachOrAgain[T any](waiting []T, do func(T) (place, error)) error {
	for len(waiting) > 0 {
		var clashed []T
		var first error
		for _, one := range waiting {
			at, err := do(one)
			switch {
			case failure.ClassOf(err) == failure.Conflict:
				clashed = append(clashed, one)
				if first == nil {
					first = at.at(err)
				}
			case err != nil:
				return at.at(err)
			}
		}
		if len(clashed) == len(waiting) {
			return first
		}
		waiting = clashed
	}
	return nil
}

// writeOthers writes a part as a file has it, with the secrets hidden.
func (a *desk) writeOthers(ctx context.Context, p part) (*yaml.Node, error) {
	kind := p.kind(a.Parts)
	kept, err := kind.Kept(ctx, a.DB)
	if err != nil {
		return nil, err
	}
	all := &yaml.Node{Kind: yaml.SequenceNode}
	for _, one := range kept {
		n := block(p.name, scalar(one.Name))
		if one.Owner != "" {
			n.Content = append(n.Content, scalar(p.owner), scalar(one.Owner))
		}
		v, err := application.Decoded(one.Settings)
		if err != nil {
			return nil, err
		}
		shown, err := json.Marshal(application.Hide(kind.Secret, v))
		if err != nil {
			return nil, err
		}
		settings, err := asYAML(shown)
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, scalar("settings"), settings)
		all.Content = append(all.Content, n)
	}
	return all, nil
}
