package site

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"countersign/internal/admin"
	"countersign/internal/admin/application"
	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"

	applications "countersign/internal/application"
)

// carrying is a file on its way, and who carries it.
type carrying struct {
	file    string
	prune   bool
	by      audit.Actor
	account assurance.AccountID
	// grant is the one that it is done by; nil is a plan, which records nothing.
	grant *signin.Grant
}

// carry makes the installation as a file says, inside a change, and says what that was.
func (a *desk) carry(ctx context.Context, tx *store.Tx, c carrying) (Difference, error) {
	doc, err := read(c.file)
	if err != nil {
		return Difference{}, err
	}
	w := &work{desk: a, tx: tx, carrying: c, doc: doc}
	for _, step := range []func(context.Context) error{w.look, w.makeGroups, w.removeOthers, w.removeApplications, w.setApplications, w.setOthers, w.setPolicy, w.removeGroups} {
		if err := step(ctx); err != nil {
			return Difference{}, err
		}
	}
	w.listExtra()
	return w.difference(), nil
}

// work is one carrying inside its change.
type work struct {
	*desk
	tx *store.Tx
	carrying
	doc     document
	changes []Change
	// extra is what is here and not in the file, of the parts beside groups and applications.
	extra []Change

	groups []directory.Group
	apps   []applications.Application
	// policy is what is in force before the file, and newPolicy whether the file's is another.
	policy    signin.Document
	newPolicy bool
}

// look reads what is there.
func (w *work) look(ctx context.Context) (err error) {
	if w.groups, err = w.Groups.All(ctx, w.tx); err != nil {
		return err
	}
	if w.apps, err = w.Applications.AllIn(ctx, w.tx); err != nil {
		return err
	}
	w.policy, err = w.Policy.Latest(ctx, w.tx)
	w.newPolicy = w.doc.hasPolicy && w.doc.policy != w.policy.Body
	return err
}

// note adds a change, and its entry where this is no plan.
func (w *work) note(event string, c Change, detail map[string]string) error {
	w.changes = append(w.changes, c)
	if w.grant == nil {
		return nil
	}
	en := admin.Entry(*w.grant, event, audit.OK, nil)
	for k := range en.Detail {
		if k == "object" || strings.HasPrefix(k, "object-") { // the whole text stands in site.applied
			delete(en.Detail, k)
		}
	}
	for k, v := range detail {
		en.Detail[k] = v
	}
	return w.tx.Record(en)
}

func (w *work) makeGroups(ctx context.Context) error {
	for _, g := range w.doc.groups {
		i := slices.IndexFunc(w.groups, func(o directory.Group) bool { return o.Name == g.Name })
		if i < 0 {
			if _, err := w.Groups.Create(ctx, w.tx, g.Name, g.Display, g.Privileged); err != nil {
				return g.place.at(err)
			}
			what := Change{Kind: groupKind, Name: g.Name, What: Made, Fields: g.fields()}
			if err := w.note("group.created", what, map[string]string{"object": what.brief()}); err != nil {
				return err
			}
			continue
		}
		old := w.groups[i]
		if old.Privileged != g.Privileged {
			return g.place.fail("whether the group %q is privileged cannot be changed; make another group, or write privileged: %t", g.Name, old.Privileged)
		}
		if old.Display == g.Display {
			continue
		}
		if _, err := w.Groups.Describe(ctx, w.tx, old, g.Display); err != nil {
			return g.place.at(err)
		}
		err := w.note("group.described", Change{Kind: groupKind, Name: g.Name, What: Changed, Fields: []Field{{"display", old.Display, g.Display}}}, map[string]string{"group": g.Name})
		if err != nil {
			return err
		}
	}
	return nil
}

// setApplications saves those that differ.
func (w *work) setApplications(ctx context.Context) error {
	return eachOrAgain(w.doc.applications, func(e entry) (place, error) { return e.place, w.setApplication(ctx, e) })
}

func (w *work) setApplication(ctx context.Context, e entry) error {
	var old applications.Application
	if i := slices.IndexFunc(w.apps, func(o applications.Application) bool { return o.Name == e.Name }); i >= 0 {
		old = w.apps[i]
	}
	app, err := w.Application.Over(&e.Set, old)
	if err != nil {
		return err
	}
	fields, err := w.differ(old, app)
	if err != nil || len(fields) == 0 && old.Name != "" {
		return err
	}
	if err := w.Application.Save(ctx, w.tx, &e.Set, app); err != nil {
		return err
	}
	what := Changed
	if old.Name == "" {
		what = Made
	}
	return w.note("application.set", Change{Kind: applicationKind, Name: e.Name, What: what, Fields: fields}, map[string]string{"application": e.Name, "object": "application " + e.Name})
}

func (w *work) setPolicy(ctx context.Context) error {
	if !w.newPolicy {
		return nil
	}
	if _, err := w.Policy.Save(ctx, w.tx, w.doc.policy, w.by.Name); err != nil {
		return failure.At("file", err)
	}
	what := Change{Kind: policyKind, Name: "policy", What: Changed, Lines: lines(w.policy.Body, w.doc.policy), Fields: policyFields(w.policy, w.doc.policy)}
	return w.note("policy.changed", what, map[string]string{"object": what.brief()})
}

// removeApplications removes those that the file does not name, before others are set, which may
// take what these had.
func (w *work) removeApplications(ctx context.Context) error {
	if !w.prune || !w.doc.hasApplications {
		return nil
	}
	remove := w.Application.Remove
	if w.newPolicy {
		remove = w.Application.RemoveBeforePolicy
	}
	for _, old := range w.apps {
		if w.doc.names(old.Name) {
			continue
		}
		if err := remove(ctx, w.tx, old.Name); err != nil {
			return err
		}
		if err := w.note("application.removed", Change{Kind: applicationKind, Name: old.Name, What: Removed}, map[string]string{"application": old.Name}); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) removeGroups(ctx context.Context) error {
	if !w.prune || !w.doc.hasGroups {
		return nil
	}
	for _, old := range w.groups {
		if old.Name == directory.Administrators || w.doc.namesGroup(old.Name) {
			continue
		}
		if err := w.Group.Remove(ctx, w.tx, old.Name, w.account); err != nil {
			return err
		}
		if err := w.note("group.removed", Change{Kind: groupKind, Name: old.Name, What: Removed}, map[string]string{"group": old.Name}); err != nil {
			return err
		}
	}
	return nil
}

// listExtra names what is here and not in the file. Where it is to be removed, it was.
func (w *work) listExtra() {
	if w.prune {
		return
	}
	for _, g := range w.groups {
		if w.doc.hasGroups && g.Name != directory.Administrators && !w.doc.namesGroup(g.Name) {
			w.changes = append(w.changes, Change{Kind: groupKind, Name: g.Name, What: Extra})
		}
	}
	for _, app := range w.apps {
		if w.doc.hasApplications && !w.doc.names(app.Name) {
			w.changes = append(w.changes, Change{Kind: applicationKind, Name: app.Name, What: Extra})
		}
	}
	w.changes = append(w.changes, w.extra...)
}

// differ lists what of an application is another than it was.
func (w *work) differ(old, now applications.Application) ([]Field, error) {
	out := compareTexts(
		Field{"title", old.Title, now.Title}, Field{"kind", old.Kind, now.Kind}, Field{"tier", old.Tier, now.Tier},
		Field{"protocol", old.Protocol, now.Protocol}, Field{"vouches", old.Vouches, now.Vouches})
	before := old.Settings
	if before == nil {
		before = json.RawMessage("{}")
	}
	more, err := compareSettings(w.Application.Secret, before, now.Settings)
	return append(out, more...), err
}

// entry is an application as a file has it.
type entry struct {
	application.Set
	place place
}
