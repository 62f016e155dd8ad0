package account

import (
	"context"
	"slices"
	"strconv"

	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// lineFault is what is wrong with a line, in one sentence that quotes no cell.
type lineFault struct{ sentence string }

func (f *lineFault) Error() string { return f.sentence }

// reading judges the lines of a file. It remembers groups, which are few.
type reading struct {
	*importDesk
	grant  signin.Grant
	out    *Outcome
	groups map[string]*directory.Group // nil is none of that name
	lines  map[string]int              // by name
}

func (a *importDesk) newReading(g signin.Grant, out *Outcome) *reading {
	return &reading{a, g, out, map[string]*directory.Group{}, map[string]int{}}
}

// intent is what a line comes to.
type intent struct {
	fresh   directory.NewAccount
	account directory.Account // that exists
	joins   []directory.Group
}

// judge says what becomes of a line. What the directory says of a name may quote it or
// another, so that it is told in words of our own.
func (r *reading) judge(ctx context.Context, from store.Reader, row Row, change bool) (Planned, intent, error) {
	var it intent
	p := Planned{Line: row.Line, Name: row.Name, What: made}
	name, err := directory.Canonical(row.Name)
	if err != nil || directory.CheckNew(name) != nil {
		return p, it, &lineFault{"The name is none: letters, digits, and . _ - + @ of one script, without spaces."}
	}
	p.Name = name
	if first := r.lines[name]; first != 0 {
		return p, it, &lineFault{"The name is that of line " + strconv.Itoa(first) + "."}
	}
	r.lines[name] = row.Line
	if it.joins, err = r.joins(ctx, from, row); err != nil {
		return p, it, err
	}
	if it.account, err = r.people.Find(ctx, from, name); err == nil {
		p.What, p.Why = r.existing(&it, row, change)
		return p, it, nil
	}
	if failure.ClassOf(err) != failure.NotFound {
		return p, it, err
	}
	it.fresh = directory.NewAccount{Name: name, Display: row.Display, Mail: row.Mail}
	r.owe(name, &it, directory.Account{})
	return p, it, r.makeable(ctx, from, &it, row)
}

// existing is what becomes of an account that is there.
func (r *reading) existing(it *intent, row Row, change bool) (what, why string) {
	if name, err := directory.Canonical(row.Name); err != nil || it.account.Name != name {
		it.joins = nil
		return left, "the name leads to an account of another name"
	}
	if !change {
		it.joins = nil
		return left, "it exists"
	}
	r.owe(it.account.Name, it, it.account)
	it.joins = slices.DeleteFunc(it.joins, func(g directory.Group) bool { return slices.Contains(it.account.Groups, g.Name) })
	switch {
	case len(it.joins) == 0:
		return left, "it exists, and is in its groups"
	case it.account.Guarded():
		it.joins = nil
		return left, "it is privileged: add it to groups by hand"
	}
	return changed, "it is added to groups"
}

// owe takes the privileged groups out of what a line joins, and notes them.
func (r *reading) owe(name string, it *intent, d directory.Account) {
	it.joins = slices.DeleteFunc(it.joins, func(g directory.Group) bool {
		if g.Privileged && !slices.Contains(d.Groups, g.Name) {
			r.out.Owed = append(r.out.Owed, Owed{name, g.Name})
		}
		return g.Privileged
	})
}

// joins finds the groups of a line.
func (r *reading) joins(ctx context.Context, from store.Reader, row Row) ([]directory.Group, error) {
	var out []directory.Group
	for _, name := range row.Groups {
		group, known := r.groups[name]
		if !known {
			found, err := r.importDesk.groups.Find(ctx, from, name)
			if err != nil && failure.ClassOf(err) != failure.NotFound && failure.ClassOf(err) != failure.Invalid {
				return nil, err
			}
			if err == nil {
				group = &found
			} else if c, err := directory.Canonical(name); err == nil && len(r.out.MissingGroups) < mostFaults {
				r.out.MissingGroups = append(r.out.MissingGroups, c)
			}
			r.groups[name] = group
		}
		if group == nil {
			return nil, &lineFault{"It names a group that does not exist; make the group first, or take it out."}
		}
		out = append(out, *group)
	}
	return out, nil
}

// makeable says whether an account can be made.
func (r *reading) makeable(ctx context.Context, from store.Reader, it *intent, row Row) error {
	ends, err := end(row.Ends).from(r.now())
	if err != nil {
		return &lineFault{"The end is none: a length of time such as 90d, a moment such as 2026-12-31T18:00:00Z, or nothing."}
	}
	it.fresh.Ends = ends
	if err := r.again.may(ctx, from, r.grant, "name", it.fresh.Name); err != nil {
		return r.refused(err, "The name was that of an account that was removed; it is given again one by one, by somebody else than who removed it.")
	}
	err = r.people.CheckCreate(ctx, from, it.fresh)
	switch failure.FieldOf(err) {
	case "display":
		return r.refused(err, "The display name is none, or is or looks like what somebody else is called.")
	case "mail":
		return r.refused(err, "The mail address is none.")
	}
	return r.refused(err, "The name looks like that of somebody else, or of a group.")
}

func (r *reading) refused(err error, sentence string) error {
	switch failure.ClassOf(err) {
	case failure.Invalid, failure.Conflict, failure.Refused:
		return &lineFault{sentence}
	}
	return err
}
