package provision

import (
	"context"
	"slices"
	"strings"
	"time"

	"countersign/internal/directory"
	"countersign/internal/failure"
)

// Drift is how an application differs from what is to be there.
type Drift struct {
	At time.Time `json:"at"`
	// People is how many are there, and Groups how many groups.
	People int `json:"people"`
	Groups int `json:"groups"`
	// Missing are not there, Differing are there and not as they are to be, Surplus are there and are
	// to be there no more, and Strange are there and nobody of ours: they are left alone.
	Missing   int `json:"missing"`
	Differing int `json:"differing"`
	Surplus   int `json:"surplus"`
	Strange   int `json:"strange"`
	// Lines name them, the first of each kind, at most [MostLines] of all.
	Lines []DriftLine `json:"lines"`

	which []Subject
}

// MostLines is how many lines a [Drift] has at most.
const MostLines = 200

// DriftLine is one difference. What is "missing", "differs", "surplus" or "strange".
type DriftLine struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	What string `json:"what"`
	// Says is what differs, or empty.
	Says string `json:"says,omitempty"`
}

// Subjects are those of ours that are to be mended.
func (d *Drift) Subjects() []Subject { return slices.Clone(d.which) }

// Whole reports whether nothing of ours differs.
func (d *Drift) Whole() bool { return d.Missing+d.Differing+d.Surplus == 0 }

func (d *Drift) note(kind string, number int64, name, what, says string) {
	switch what {
	case "missing":
		d.Missing++
	case "differs":
		d.Differing++
	case "surplus":
		d.Surplus++
	case "strange":
		d.Strange++
	}
	if len(d.Lines) < MostLines {
		d.Lines = append(d.Lines, DriftLine{kind, name, what, says})
	}
	if number > 0 {
		d.which = append(d.which, Subject{kind, number})
	}
}

// Compare reads everything that is in an application, and says how it differs from what is to be
// there. It changes nothing. An application that cannot be asked is an Unavailable failure.
func (w *Worker) Compare(ctx context.Context, t Target) (*Drift, error) {
	app, there, err := w.people.application(ctx, t)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, failure.New(failure.NotFound, "The application %q was removed.", t.Application)
	}
	mayUse, err := w.people.mayUse(ctx, app)
	if err != nil {
		return nil, err
	}
	l, err := w.line(t)
	if err != nil {
		return nil, err
	}
	c := &comparison{job: &job{Worker: w, target: t, line: l, mayUse: mayUse}, drift: &Drift{At: w.now().UTC(), Lines: []DriftLine{}}, there: map[string]resource{}, byName: map[string]string{}}
	if err := c.all(ctx); err != nil {
		if statusOf(err) != 0 || isAnswer(err) {
			return nil, failure.New(failure.Unavailable, "%s", err.Error())
		}
		return nil, err
	}
	return c.drift, nil
}

// comparison is a comparison under way.
type comparison struct {
	*job
	drift  *Drift
	there  map[string]resource // by id; what is ours is taken out
	byName map[string]string
}

func (c *comparison) all(ctx context.Context) error {
	err := c.line.client.each(ctx, usersAt, func(r resource) error {
		c.there[r.ID], c.byName[strings.ToLower(r.UserName)] = r, r.ID
		c.drift.People++
		return nil
	})
	if err != nil {
		return err
	}
	if err := c.people.each(ctx, func(a directory.Account) error { return c.person(ctx, a) }); err != nil {
		return err
	}
	if err := c.orphans(ctx); err != nil {
		return err
	}
	for _, r := range sorted(c.there) {
		c.drift.note(KindUser, 0, r.UserName, "strange", "")
	}
	if len(c.target.Groups) == 0 {
		return nil
	}
	return c.teams(ctx)
}

// person compares one of our people with whom we know there, or with whom has their name.
func (c *comparison) person(ctx context.Context, a directory.Account) error {
	e, err := c.queue.get(ctx, c.target.Application, KindUser, int64(a.ID))
	if err != nil && !isNone(err) {
		return err
	}
	id := e.Remote
	if _, there := c.there[id]; !there {
		id = c.byName[strings.ToLower(a.Name)]
	}
	r, there := c.there[id]
	want := c.people.wishOf(a, c.mayUse)
	if want == absent || !there && want != present || want != present && e.Remote == "" {
		return nil // who is there by that name, and was never ours, is strange
	}
	delete(c.there, id)
	switch {
	case !there:
		c.drift.note(KindUser, int64(a.ID), a.Name, "missing", "")
	case want == barred && (c.target.Leavers == Delete || r.Active == nil || bool(*r.Active)):
		c.drift.note(KindUser, int64(a.ID), a.Name, "surplus", "may not use the application")
	case want == present || want == asleep:
		if says := userOf(a, want == present).differs(r); says != "" {
			c.drift.note(KindUser, int64(a.ID), a.Name, "differs", says)
		}
	}
	return nil
}

// orphans are those that we know there and whose accounts are gone.
func (c *comparison) orphans(ctx context.Context) error {
	for after := int64(0); ; {
		all, err := c.queue.after(ctx, c.target.Application, KindUser, after, pageRows)
		if err != nil {
			return err
		}
		for _, e := range all {
			after = e.Subject
			if _, there := c.there[e.Remote]; there && e.Remote != "" {
				delete(c.there, e.Remote)
				c.drift.note(KindUser, e.Subject, e.Name, "surplus", "the account is gone")
			}
		}
		if len(all) < pageRows {
			return nil
		}
	}
}

// teams compares the groups of the settings. Others that are there are not looked at.
func (c *comparison) teams(ctx context.Context) error {
	for _, name := range c.target.Groups {
		g, err := c.people.groups.Find(ctx, c.people.view, name)
		if failure.ClassOf(err) == failure.NotFound {
			continue
		}
		if err != nil {
			return err
		}
		if err := c.team(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

func (c *comparison) team(ctx context.Context, g directory.Group) error {
	there, err := c.line.client.find(ctx, groupsAt, "displayName", called(g))
	if err != nil {
		return err
	}
	if there.ID == "" {
		c.drift.note(KindGroup, g.ID, g.Name, "missing", "")
		return nil
	}
	c.drift.Groups++
	var whole resource
	if err := c.line.client.call(ctx, "GET", at(groupsAt, there.ID), nil, &whole); err != nil {
		return err
	}
	members, err := c.members(ctx, g)
	if err != nil {
		return err
	}
	if join, leave := difference(whole.Members, members); len(join)+len(leave) > 0 {
		c.drift.note(KindGroup, g.ID, g.Name, "differs", "the members")
	}
	return nil
}

func sorted(all map[string]resource) []resource {
	out := make([]resource, 0, len(all))
	for _, r := range all {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b resource) int { return strings.Compare(a.UserName, b.UserName) })
	return out
}
