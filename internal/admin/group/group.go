// Package group is the commands about groups and who is in them.
//
// It owns what administrators are shown of a group, and what keeps one in place: it is
// privileged, an application or the policy names it, or the last administrator would leave.
// Groups themselves are rows of directory. Its one invariant: nobody leaves or enters a
// group where nobody could administer after that.
package group

import (
	"context"
	"slices"

	"countersign/internal/admin"
	"countersign/internal/admin/guard"
	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/protocol"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
)

// Commands are those about groups and their members, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Looks[List]("List groups.", []Group{}).AlsoLent(),
		admin.Looks[Show]("Show a group and its members.", Group{}).AlsoLent(),
		admin.Changes[Create]("Create a group.", Group{}).
			Telling("group.created", "{by} made a group: {detail.object}"),
		admin.Changes[SetDisplay]("Change what a group is called. Its name, by which policy and applications know it, stays.", Group{}).
			Telling("group.display-set", "{by} changed what the group {detail.group} is called, from “{detail.before}” to “{detail.after}”"),
		admin.Changes[SetExternal]("Say by which identifier a provisioning client, a service account, knows a group. Its key does it for itself.", Group{}).
			Telling("group.external-set", "{by} knows the group {detail.group} by the identifier “{detail.external}”"),
		admin.Changes[Remove]("Remove a group that is empty and that the policy does not mention.", map[string]string{}).
			Telling("group.removed", "{by} removed the group {detail.group}"),
		admin.Changes[MemberAdd]("Add an account to a group.", map[string]string{}).
			Telling("group.member-added", "{by} added {who} to {detail.group}"),
		admin.Changes[MemberRemove]("Remove an account from a group.", map[string]string{}).
			Telling("group.member-removed", "{by} took {who} out of {detail.group}"),
	}
}

// Parts are what the commands work on.
type Parts struct {
	DB           *store.DB
	Accounts     *directory.Accounts
	Groups       *directory.Groups
	Externals    *directory.Externals
	Engine       *signin.Engine
	Applications *application.Catalogue
	Protocols    protocol.List
}

// Desks are where the commands are done.
func Desks(p Parts) []admin.Desk {
	b, m := admin.NewBook(p.DB), guard.New(p.Accounts, p.Engine)
	return []admin.Desk{
		admin.At(&desk{b, m, p.DB, p.Groups, p.Accounts, p.Externals}),
		admin.At(&removeDesk{b, m, p.Groups, p.Engine, p.Applications, p.Protocols}),
		admin.At(&memberDesk{b, m, p.DB, p.Accounts, p.Groups}),
	}
}

// desk is where groups are looked at and made.
type desk struct {
	admin.Book
	guard.Guard
	db        store.Reader
	groups    *directory.Groups
	people    *directory.Accounts
	externals *directory.Externals
}

// removeDesk is where a group is removed that nothing names.
type removeDesk struct {
	admin.Book
	guard.Guard
	groups       *directory.Groups
	engine       *signin.Engine
	applications *application.Catalogue
	protocols    protocol.List
}

// memberDesk is where accounts enter and leave groups.
type memberDesk struct {
	admin.Book
	guard.Guard
	db     store.Reader
	people *directory.Accounts
	groups *directory.Groups
}

// Group is a group as administrators see it.
type Group struct {
	Name       string   `json:"name"`
	Display    string   `json:"display"`
	Privileged bool     `json:"privileged"`
	Members    int      `json:"members"`
	Accounts   []string `json:"accounts,omitempty"`
}

// List lists groups.
type List struct{}

func (c *List) Action() string { return "group.list" }
func (c *List) Object() string { return "" }

func (c *List) Do(ctx context.Context, a *desk, _ signin.Grant) (any, error) {
	rows, err := a.groups.All(ctx, a.db)
	out := []Group{}
	for _, g := range rows {
		out = append(out, Group{Name: g.Name, Display: g.Display, Privileged: g.Privileged, Members: g.Members})
	}
	return out, err
}

// Show shows a group and the first 500 of its members.
type Show struct {
	Name string `json:"name" arg:"" help:"The group."`
}

func (c *Show) Action() string { return "group.show" }
func (c *Show) Object() string { return "" }

func (c *Show) Do(ctx context.Context, a *desk, _ signin.Grant) (any, error) {
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

// Create makes a group.
type Create struct {
	Name       string `json:"name" arg:"" help:"The group's name."`
	Display    string `json:"display,omitempty" help:"What it is called."`
	Privileged bool   `json:"privileged,omitempty" help:"Its members are administrators of something; policy is stricter with them."`
	// External is only for a service account that makes it, see [SetExternal].
	External string `json:"external,omitempty" kong:"-" help:"By which identifier the service account whose key this is knows it (SCIM externalId)."`
}

func (c *Create) Action() string { return "group.create" }
func (c *Create) Object() string {
	kind := "group "
	if c.Privileged {
		kind = "privileged group "
	}
	what := admin.Called(kind+text.Name(c.Name), c.Display)
	if c.External != "" {
		what += ", known to the client by " + text.Quote(c.External)
	}
	return what
}

func (c *Create) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	var made directory.Group
	err := a.Change(ctx, g, "group.created", nil, nil, func(tx *store.Tx) error {
		var err error
		if made, err = a.groups.Create(ctx, tx, c.Name, c.Display, c.Privileged); err != nil || c.External == "" {
			return err
		}
		return a.known(ctx, tx, g, made, c.External)
	})
	return Group{Name: made.Name, Display: made.Display, Privileged: made.Privileged}, err
}

// Remove removes a group. One that the policy mentions stays: without it
// the policy would no longer compile, and nobody could change it any more.
type Remove struct {
	Name string `json:"name" arg:"" help:"The group."`
}

func (c *Remove) Action() string { return "group.remove" }
func (c *Remove) Object() string { return "group " + text.Name(c.Name) }

// Preflight says that the administrators' group stays.
func (c *Remove) Preflight(context.Context, *removeDesk) error {
	if name, err := directory.Canonical(c.Name); err == nil && name == directory.Administrators {
		return administratorsStay
	}
	return nil
}

var administratorsStay = failure.New(failure.Refused, "The administrators' group stays: without it nobody could administer.")

func (c *Remove) Do(ctx context.Context, a *removeDesk, g signin.Grant) (any, error) {
	var gone directory.Group
	err := a.Change(ctx, g, "group.removed", map[string]string{"group": c.Name}, nil, func(tx *store.Tx) error {
		var err error
		gone, err = a.remove(ctx, tx, c.Name, g.Account())
		return err
	})
	return map[string]string{"removed": gone.Name}, err
}

func (a *removeDesk) remove(ctx context.Context, tx *store.Tx, name string, by assurance.AccountID) (directory.Group, error) {
	p, err := a.engine.PolicyTx(ctx, tx)
	if err != nil {
		return directory.Group{}, err
	}
	gone, err := a.groups.Find(ctx, tx, name)
	if err != nil {
		return gone, err
	}
	switch {
	case gone.Name == directory.Administrators:
		return gone, administratorsStay
	case slices.Contains(p.Mentions().Groups, gone.Name):
		return gone, failure.New(failure.Conflict, "The policy mentions %q; change the policy first.", gone.Name)
	}
	if by != 0 { // or its members would be privileged no more
		if err := a.PersonMust(ctx, tx, by, gone.Privileged); err != nil {
			return gone, err
		}
	}
	if err := a.unnamed(ctx, tx, gone.Name); err != nil {
		return gone, err
	}
	return gone, a.groups.Remove(ctx, tx, gone)
}

// unnamed refuses when an application's settings name a group: without the group,
// what they say of its people would go on to say something else.
func (a *removeDesk) unnamed(ctx context.Context, tx *store.Tx, group string) error {
	all, err := a.applications.AllIn(ctx, tx)
	if err != nil {
		return err
	}
	for _, app := range all {
		o, err := a.protocols.Exposure(app)
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
	Group           string   `json:"group" arg:"" help:"The group."`
	Account         string   `json:"account" arg:"" help:"The account."`
	Also            []string `json:"also,omitempty" arg:"" optional:"" help:"Further accounts, 500 in all at most: all of them or none."`
	admin.AuditText `embed:""`
}

func (c *MemberAdd) Action() string { return "group.member.add" }
func (c *MemberAdd) About() *string { return &c.Account }
func (c *MemberAdd) Object() string {
	return c.OfAll(c.Account, c.Also) + " into group " + text.Name(c.Group)
}

// Preflight says that the policy would deny them what they alone can do.
func (c *MemberAdd) Preflight(ctx context.Context, a *memberDesk) error {
	for _, name := range append([]string{c.Account}, c.Also...) {
		if err := a.Spare(ctx, a.db, name, c.loss); err != nil {
			return admin.AboutOne(name, len(c.Also), err)
		}
	}
	return nil
}

func (c *MemberAdd) loss(id assurance.AccountID) signin.Loss {
	return signin.Regrouped(id, "", c.Group)
}

func (c *MemberAdd) Do(ctx context.Context, a *memberDesk, g signin.Grant) (any, error) {
	return a.member(ctx, g, "group.member-added", c.Group, append([]string{c.Account}, c.Also...), c.loss, a.groups.AddMember)
}

// MemberRemove takes an account out of a group.
type MemberRemove struct {
	Group           string   `json:"group" arg:"" help:"The group."`
	Account         string   `json:"account" arg:"" help:"The account."`
	Also            []string `json:"also,omitempty" arg:"" optional:"" help:"Further accounts, 500 in all at most: all of them or none."`
	admin.AuditText `embed:""`
}

func (c *MemberRemove) Action() string { return "group.member.remove" }
func (c *MemberRemove) About() *string { return &c.Account }
func (c *MemberRemove) Object() string {
	return c.OfAll(c.Account, c.Also) + " out of group " + text.Name(c.Group)
}

// Preflight says that they would be missed.
func (c *MemberRemove) Preflight(ctx context.Context, a *memberDesk) error {
	for _, name := range append([]string{c.Account}, c.Also...) {
		if err := a.Spare(ctx, a.db, name, c.loss); err != nil {
			return admin.AboutOne(name, len(c.Also), err)
		}
	}
	return nil
}

func (c *MemberRemove) loss(id assurance.AccountID) signin.Loss {
	return signin.Regrouped(id, c.Group, "")
}

func (c *MemberRemove) Do(ctx context.Context, a *memberDesk, g signin.Grant) (any, error) {
	return a.member(ctx, g, "group.member-removed", c.Group, append([]string{c.Account}, c.Also...), c.loss, a.groups.RemoveMember)
}

func (a *memberDesk) member(ctx context.Context, g signin.Grant, event, group string, names []string, loss func(assurance.AccountID) signin.Loss, edit func(context.Context, *store.Tx, directory.Group, directory.Account) error) (any, error) {
	first := ""
	err := a.ChangeEach(ctx, g, event, map[string]string{"group": group}, func(tx *store.Tx) ([]directory.Account, error) {
		team, err := a.groups.Find(ctx, tx, group)
		if err != nil {
			return nil, err
		}
		all, err := admin.FindSeveral(ctx, tx, a.people, names)
		if err != nil {
			return nil, err
		}
		first = all[0].Name
		for _, d := range all {
			err := a.PersonMust(ctx, tx, g.Account(), team.Privileged || d.Guarded())
			if err == nil {
				err = a.SpareLoss(ctx, tx, loss(d.ID))
			}
			if err == nil {
				err = edit(ctx, tx, team, d)
			}
			if err != nil {
				return nil, admin.AboutOne(d.Name, len(all)-1, err)
			}
		}
		return all, nil
	})
	return map[string]string{"group": group, "account": first}, err
}
