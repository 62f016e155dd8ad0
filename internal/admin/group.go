package admin

import (
	"context"
	"slices"

	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/protocol"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
)

// groupDesk is where the commands about groups are done.
type groupDesk struct {
	book
	guard
	groups       *directory.Groups
	applications *application.Catalogue
	protocols    protocol.List
}

// Group is a group as administrators see it.
type Group struct {
	Name       string   `json:"name"`
	Display    string   `json:"display"`
	Privileged bool     `json:"privileged"`
	Members    int      `json:"members"`
	Accounts   []string `json:"accounts,omitempty"`
}

// GroupList lists groups.
type GroupList struct{}

func (c *GroupList) Action() string { return "group.list" }
func (c *GroupList) Object() string { return "" }

func (c *GroupList) do(ctx context.Context, a *groupDesk, _ signin.Grant) (any, error) {
	rows, err := a.groups.All(ctx, a.db)
	out := []Group{}
	for _, g := range rows {
		out = append(out, Group{Name: g.Name, Display: g.Display, Privileged: g.Privileged, Members: g.Members})
	}
	return out, err
}

// GroupShow shows a group and the first 500 of its members.
type GroupShow struct {
	Name string `json:"name" arg:"" help:"The group."`
}

func (c *GroupShow) Action() string { return "group.show" }
func (c *GroupShow) Object() string { return "" }

func (c *GroupShow) do(ctx context.Context, a *groupDesk, _ signin.Grant) (any, error) {
	g, err := a.groups.Find(ctx, a.db, c.Name)
	if err != nil {
		return nil, err
	}
	members, err := a.groups.Members(ctx, a.db, g, 500)
	out := Group{Name: g.Name, Display: g.Display, Privileged: g.Privileged, Members: len(members)}
	for _, m := range members {
		out.Accounts = append(out.Accounts, m.Name)
	}
	return out, err
}

// GroupCreate makes a group.
type GroupCreate struct {
	Name       string `json:"name" arg:"" help:"The group's name."`
	Display    string `json:"display,omitempty" help:"What it is called."`
	Privileged bool   `json:"privileged,omitempty" help:"Its members are administrators of something; policy is stricter with them."`
}

func (c *GroupCreate) Action() string { return "group.create" }
func (c *GroupCreate) Object() string {
	kind := "group "
	if c.Privileged {
		kind = "privileged group "
	}
	return called(kind+text.Name(c.Name), c.Display)
}

func (c *GroupCreate) do(ctx context.Context, a *groupDesk, g signin.Grant) (any, error) {
	var made directory.Group
	err := a.change(ctx, g, "group.created", nil, nil, func(tx *store.Tx) error {
		var err error
		made, err = a.groups.Create(ctx, tx, c.Name, c.Display, c.Privileged)
		return err
	})
	return Group{Name: made.Name, Display: made.Display, Privileged: made.Privileged}, err
}

// GroupRemove removes a group. One that the policy mentions stays: without it
// the policy would no longer compile, and nobody could change it any more.
type GroupRemove struct {
	Name string `json:"name" arg:"" help:"The group."`
}

func (c *GroupRemove) Action() string { return "group.remove" }
func (c *GroupRemove) Object() string { return "group " + text.Name(c.Name) }

func (c *GroupRemove) do(ctx context.Context, a *groupDesk, g signin.Grant) (any, error) {
	var gone directory.Group
	err := a.change(ctx, g, "group.removed", map[string]string{"group": c.Name}, nil, func(tx *store.Tx) error {
		p, err := a.engine.PolicyIn(ctx, tx)
		if err != nil {
			return err
		}
		if gone, err = a.groups.Find(ctx, tx, c.Name); err != nil {
			return err
		}
		switch {
		case gone.Name == directory.Administrators:
			return failure.New(failure.Refused, "The administrators' group stays: without it nobody could administer.")
		case slices.Contains(p.Mentions().Groups, gone.Name):
			return failure.New(failure.Conflict, "The policy mentions %q; change the policy first.", gone.Name)
		}
		if err := a.personMust(ctx, tx, g.Account(), gone.Privileged); err != nil { // or its members would be privileged no more
			return err
		}
		if err := a.unnamed(ctx, tx, gone.Name); err != nil {
			return err
		}
		return a.groups.Remove(ctx, tx, gone)
	})
	return map[string]string{"removed": gone.Name}, err
}

// unnamed refuses when an application's settings name a group: without the group,
// what they say of its people would go on to say something else.
func (a *groupDesk) unnamed(ctx context.Context, tx *store.Tx, group string) error {
	all, err := a.applications.AllIn(ctx, tx)
	if err != nil {
		return err
	}
	for _, app := range all {
		o, err := a.protocols.Openings(app)
		if err != nil {
			return err
		}
		for _, named := range o.Groups {
			if c, err := directory.Canonical(named); err == nil && c == group {
				return failure.New(failure.Conflict, "The settings of %s name the group %q; change them first.", app.Name, group)
			}
		}
	}
	return nil
}

// MemberAdd puts an account into a group.
type MemberAdd struct {
	Group   string `json:"group" arg:"" help:"The group."`
	Account string `json:"account" arg:"" help:"The account."`
	Told    `embed:""`
}

func (c *MemberAdd) Action() string   { return "group.member.add" }
func (c *MemberAdd) account() *string { return &c.Account }
func (c *MemberAdd) Object() string {
	return c.of(c.Account) + " into group " + text.Name(c.Group)
}

// sound says that the policy would deny them what they alone can do.
func (c *MemberAdd) sound(ctx context.Context, a *groupDesk) error {
	return a.spare(ctx, a.db, c.Account, c.loss)
}

func (c *MemberAdd) loss(id assurance.AccountID) signin.Loss {
	return signin.Regrouped(id, "", c.Group)
}

func (c *MemberAdd) do(ctx context.Context, a *groupDesk, g signin.Grant) (any, error) {
	return a.member(ctx, g, "group.member-added", c.Group, c.Account, c.loss, a.groups.AddMember)
}

// MemberRemove takes an account out of a group.
type MemberRemove struct {
	Group   string `json:"group" arg:"" help:"The group."`
	Account string `json:"account" arg:"" help:"The account."`
	Told    `embed:""`
}

func (c *MemberRemove) Action() string   { return "group.member.remove" }
func (c *MemberRemove) account() *string { return &c.Account }
func (c *MemberRemove) Object() string {
	return c.of(c.Account) + " out of group " + text.Name(c.Group)
}

// sound says that they would be missed.
func (c *MemberRemove) sound(ctx context.Context, a *groupDesk) error {
	return a.spare(ctx, a.db, c.Account, c.loss)
}

func (c *MemberRemove) loss(id assurance.AccountID) signin.Loss {
	return signin.Regrouped(id, c.Group, "")
}

func (c *MemberRemove) do(ctx context.Context, a *groupDesk, g signin.Grant) (any, error) {
	return a.member(ctx, g, "group.member-removed", c.Group, c.Account, c.loss, a.groups.RemoveMember)
}

func (a *groupDesk) member(ctx context.Context, g signin.Grant, event, group, account string, loss func(assurance.AccountID) signin.Loss, edit func(context.Context, *store.Tx, directory.Group, directory.Account) error) (any, error) {
	var d directory.Account
	err := a.change(ctx, g, event, map[string]string{"group": group}, &d, func(tx *store.Tx) error {
		team, err := a.groups.Find(ctx, tx, group)
		if err != nil {
			return err
		}
		if d, err = a.directory.Find(ctx, tx, account); err != nil {
			return err
		}
		if err := a.personMust(ctx, tx, g.Account(), team.Privileged || d.Privileged); err != nil {
			return err
		}
		if err := a.engine.SpareAdministration(ctx, tx, loss(d.ID)); err != nil {
			return err
		}
		return edit(ctx, tx, team, d)
	})
	return map[string]string{"group": group, "account": d.Name}, err
}
