package scim

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"countersign/internal/admin/group"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// teams are the resources of type Group.
type teams struct {
	rows
	desk *desk
}

func (t *teams) get(r *request) (*answer, error) {
	g, err := t.desk.ask(r.http, "group.show", "")
	if err != nil {
		return nil, err
	}
	one, err := t.read(r.http.Context(), g, r.id)
	if err != nil {
		return nil, err
	}
	if r.unchanged(one.version) {
		return &answer{status: http.StatusNotModified, version: one.version}, nil
	}
	return t.shown(r, one, http.StatusOK)
}

func (t *teams) read(ctx context.Context, g signin.Grant, id string) (groupOf, error) {
	one, err := t.team(ctx, t.view, id)
	if err != nil {
		return groupOf{}, err
	}
	return t.teamOf(ctx, t.view, g.Account(), one)
}

// shown answers what of a group is wanted.
func (t *teams) shown(r *request, one groupOf, status int) (*answer, error) {
	v := r.http.URL.Query()
	s, err := readSelection(listed(v.Get("attributes")), listed(v.Get("excludedAttributes")))
	if err != nil {
		return nil, err
	}
	resource, err := t.groupResource(r.http.Context(), t.view, one, s.wants("members"))
	return &answer{status: status, body: s.of(resource), version: one.version, location: t.at(groupKind, one.group.ID)}, err
}

func (t *teams) create(r *request) (*answer, error) {
	if err := r.read(); err != nil {
		return nil, err
	}
	if _, err := readSelection(listed(r.http.URL.Query().Get("attributes")), listed(r.http.URL.Query().Get("excludedAttributes"))); err != nil {
		return nil, err
	}
	w, err := wantedGroup(r)
	if err != nil {
		return nil, err
	}
	name, err := groupName(w.display.text)
	if err != nil {
		return nil, err
	}
	all := []command{&group.Create{Name: name, Display: w.display.text, External: w.external.text}}
	joins, err := t.created(r, w)
	if err != nil {
		return nil, err
	}
	g, err := t.desk.doAll(r.http, nil, append(all, inParts(name, joins, false)...))
	if err != nil {
		return nil, created(err)
	}
	made, err := t.groups.Find(r.http.Context(), t.view, name)
	if err != nil {
		return nil, err
	}
	one, err := t.teamOf(r.http.Context(), t.view, g.Account(), made)
	if err != nil {
		return nil, err
	}
	return t.shown(r, one, http.StatusCreated)
}

// created are the names of those who are to be in a new group. A key that may make groups and
// nothing else reads nobody by it.
func (t *teams) created(r *request, w team) ([]string, error) {
	if len(w.members) == 0 {
		return nil, nil
	}
	if _, err := t.desk.ask(r.http, "group.show", ""); err != nil {
		return nil, err
	}
	var out []string
	for _, id := range w.members {
		a, err := t.member(r.http.Context(), id)
		if err != nil {
			return nil, err
		}
		out = append(out, a.Name)
	}
	return out, nil
}

// member is who is named as a member.
func (t *teams) member(ctx context.Context, id string) (directory.Account, error) {
	a, err := t.person(ctx, t.view, id)
	if err == error(notFound) {
		err = bad("invalidValue", "A member is named whom nobody is.")
	}
	return a, err
}

func (t *teams) put(r *request) (*answer, error) {
	return retried(func() (*answer, error) {
		return t.change(r, func() (team, error) { return wantedGroup(r) })
	})
}

func (t *teams) patch(r *request) (*answer, error) {
	return retried(func() (*answer, error) {
		return t.change(r, func() (team, error) {
			ops, err := readOperations(r.body)
			if err != nil {
				return team{}, err
			}
			return patchGroup(r, ops)
		})
	})
}

// change makes a group what the client wants, in one change.
func (t *teams) change(r *request, wants func() (team, error)) (*answer, error) {
	if err := r.read(); err != nil {
		return nil, err
	}
	g, err := t.desk.ask(r.http, "group.show", "")
	if err != nil {
		return nil, err
	}
	ctx := r.http.Context()
	one, err := t.read(ctx, g, r.id)
	if err != nil {
		return nil, err
	}
	if err := r.fresh(one.version); err != nil {
		return nil, err
	}
	w, err := wants()
	if err != nil {
		return nil, err
	}
	all, err := t.commands(ctx, w, one)
	if err != nil {
		return nil, err
	}
	if len(all) > 0 {
		if _, err := t.desk.doAll(r.http, t.still(r, g.Account(), one), all); err != nil {
			return nil, err
		}
		if one, err = t.read(ctx, g, r.id); err != nil {
			return nil, err
		}
	}
	if v := r.http.URL.Query(); r.http.Method == http.MethodPatch && !v.Has("attributes") && !v.Has("excludedAttributes") {
		return &answer{status: http.StatusNoContent, version: one.version, location: t.at(groupKind, one.group.ID)}, nil // a group may be long
	}
	return t.shown(r, one, http.StatusOK)
}

// still refuses a change where the group was changed since it was read.
func (t *teams) still(r *request, client assurance.AccountID, was groupOf) func(context.Context, *store.Tx) error {
	return func(ctx context.Context, tx *store.Tx) error {
		g, err := t.team(ctx, tx, r.id)
		if err != nil {
			return err
		}
		now, err := t.teamOf(ctx, tx, client, g)
		if err == nil && now.version != was.version {
			err = overtaken(r)
		}
		return err
	}
}

func (t *teams) remove(r *request) (*answer, error) {
	g, err := t.desk.ask(r.http, "group.show", "")
	if err != nil {
		return nil, err
	}
	ctx := r.http.Context()
	one, err := t.read(ctx, g, r.id)
	if err != nil {
		return nil, err
	}
	if err := r.fresh(one.version); err != nil {
		return nil, err
	}
	if one.members > maxChanged {
		return nil, bad("tooMany", "The group has more than %d members; take them out first, in parts.", maxChanged)
	}
	var leave []string
	if err := t.eachOfAny(ctx, one.group, func(a directory.Account) { leave = append(leave, a.Name) }); err != nil {
		return nil, err
	}
	all := append(inParts(one.group.Name, leave, true), &group.Remove{Name: one.group.Name})
	_, err = t.desk.doAll(r.http, t.still(r, g.Account(), one), all)
	return &answer{status: http.StatusNoContent}, err
}

// eachOfAny goes through the members of a group, services among them.
func (t *teams) eachOfAny(ctx context.Context, g directory.Group, fn func(directory.Account)) error {
	for after := assurance.AccountID(0); ; {
		all, last, read, err := t.groups.MembersAfter(ctx, t.view, g, after, pageRows)
		if err != nil {
			return err
		}
		for _, a := range all {
			fn(a)
		}
		if after = last; read < pageRows {
			return nil
		}
	}
}

func (t *teams) list(r *request) (*answer, error) {
	q, err := readQuery(groupKind, r.http.URL.Query())
	if err != nil {
		return nil, err
	}
	return t.find(r, q)
}

func (t *teams) search(r *request) (*answer, error) {
	if err := r.read(); err != nil {
		return nil, err
	}
	q, err := searchQuery(groupKind, r.body)
	if err != nil {
		return nil, err
	}
	return t.find(r, q)
}

// find answers a page of the groups that a query chooses. There are few groups, and of their members
// one is looked up: members.value eq.
func (t *teams) find(r *request, q query) (*answer, error) {
	g, err := t.desk.ask(r.http, "group.list", "")
	if err != nil {
		return nil, err
	}
	ctx := r.http.Context()
	all, err := t.chosen(ctx, g, q)
	if err != nil {
		return nil, err
	}
	var out []map[string]any
	from, to := q.page(len(all))
	for _, one := range all[from:to] {
		members := q.wants("members")
		if members && to-from > 1 && one.members > maxCount {
			return nil, bad("tooMany", "Some of the groups have more than %d members. Ask with excludedAttributes=members.", maxCount)
		}
		resource, err := t.groupResource(ctx, t.view, one, members)
		if err != nil {
			return nil, err
		}
		out = append(out, resource)
	}
	return q.answered(len(all), out), nil
}

// chosen are the groups that a query chooses, in its order.
func (t *teams) chosen(ctx context.Context, g signin.Grant, q query) ([]groupOf, error) {
	member, asked := "", false
	if q.filter.mentions("members") {
		if member, asked = q.filter.equals(groupKind, "members", "value"); !asked || q.filter.count("members") > 1 {
			return nil, bad("invalidFilter", `Of the members of groups one is looked up, by itself or in an and: members.value eq "ID".`)
		}
	}
	all, err := t.groups.Uncounted(ctx, t.view)
	if err != nil {
		return nil, err
	}
	in, err := t.groupsOf(ctx, member, asked)
	if err != nil {
		return nil, err
	}
	type hit struct {
		key sortKey
		of  groupOf
	}
	var hits []hit
	for _, one := range all {
		if asked && !slices.Contains(in, one.ID) {
			continue
		}
		of, err := t.teamOf(ctx, t.view, g.Account(), one)
		if err != nil {
			return nil, err
		}
		resource, err := t.groupResource(ctx, t.view, of, false)
		if err != nil {
			return nil, err
		}
		if asked {
			resource["members"] = []map[string]any{{"value": member}} // the one that is asked about, and who is in it
		}
		if q.filter != nil && !groupKind.matches(q.filter, resource) {
			continue
		}
		key := sortKey{id: one.ID}
		if q.sortBy.name != "" {
			key = groupKind.sortKey(one.ID, q.sortBy, resource)
		}
		hits = append(hits, hit{key, of})
	}
	slices.SortFunc(hits, func(a, b hit) int { return a.key.order(b.key) })
	if q.backwards {
		slices.Reverse(hits)
	}
	out := make([]groupOf, len(hits))
	for i, h := range hits {
		out[i] = h.of
	}
	return out, nil
}

// groupsOf are the numbers of the groups that somebody is in.
func (t *teams) groupsOf(ctx context.Context, id string, asked bool) ([]int64, error) {
	if !asked {
		return nil, nil
	}
	a, err := t.person(ctx, t.view, id)
	if err == error(notFound) {
		return nil, nil
	}
	var out []int64
	for _, j := range a.Joined() {
		out = append(out, j.ID)
	}
	return out, err
}

// commands are what makes a group what is wanted.
func (t *teams) commands(ctx context.Context, w team, one groupOf) ([]command, error) {
	var out []command
	name := one.group.Name
	if w.external.given && w.external.text != one.external {
		out = append(out, &group.SetExternal{Group: name, External: w.external.text})
	}
	if w.display.given && w.display.text != one.display() {
		out = append(out, &group.SetDisplay{Group: name, Display: w.display.text})
	}
	join, leave, err := t.moves(ctx, w, one)
	if err != nil {
		return nil, err
	}
	if len(join)+len(leave) > maxChanged {
		return nil, bad("tooMany", "More than %d people would enter or leave the group at once; do it in parts.", maxChanged)
	}
	out = append(out, inParts(name, leave, true)...)
	return append(out, inParts(name, join, false)...), nil
}

// moves are the names of who enters and who leaves, in the order of their numbers.
func (t *teams) moves(ctx context.Context, w team, one groupOf) (join, leave []string, err error) {
	wanted := map[string]bool{}
	if w.all {
		if one.members > maxChanged+len(w.members) {
			return nil, nil, bad("tooMany", "More than %d people would leave the group at once; do it in parts.", maxChanged)
		}
		err := t.eachMember(ctx, t.view, one.group, func(a directory.Account) { wanted[strconv.FormatInt(int64(a.ID), 10)] = false })
		if err != nil {
			return nil, nil, err
		}
	}
	if len(w.members)+len(w.gone) > mostMembers {
		return nil, nil, bad("tooMany", "More than %d people are named; name them in parts.", mostMembers)
	}
	for _, id := range w.members {
		wanted[id] = true
	}
	for _, id := range w.gone {
		wanted[id] = false
	}
	ids := make([]string, 0, len(wanted))
	for id := range wanted {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		a, err := t.member(ctx, id)
		if err != nil && wanted[id] {
			return nil, nil, err
		}
		if err != nil { // who is not there is in no group
			continue
		}
		in := slices.ContainsFunc(a.Joined(), func(j directory.Joined) bool { return j.ID == one.group.ID })
		switch {
		case wanted[id] && !in:
			join = append(join, a.Name)
		case !wanted[id] && in:
			leave = append(leave, a.Name)
		}
	}
	return join, leave, nil
}
