package console

import (
	"slices"

	"countersign/internal/admin"
	"countersign/internal/admin/group"
	"countersign/internal/web/look"
)

const groupsPath = "/console/groups"

// groupPages are the list of groups, and a page for each.
type groupPages struct {
	desk *desk
}

func (p *groupPages) routes() []look.Route {
	return slices.Concat([]look.Route{
		p.desk.page(groupsPath, "group.list", p.list),
		p.desk.page("/console/new-group", "group.list", func(v *visit) error { return p.blank(v, typed(nil)) }),
		p.desk.page(groupsPath+"/{name}", "group.show", func(v *visit) error { return p.show(v, typed(nil)) }),
	}, p.desk.routes(p.forms()...))
}

type groupRow struct {
	group.Group
	Path string
}

func (p *groupPages) list(v *visit) error {
	all, err := read[[]group.Group](v, &group.List{})
	if err != nil {
		return err
	}
	rows := make([]groupRow, len(all))
	for i, g := range all {
		rows[i] = groupRow{g, under(groupsPath, g.Name)}
	}
	return v.show(sheet{template: "groups", title: "Groups", here: groupsPath, data: rows})
}

func (p *groupPages) blank(v *visit, f *form) error {
	if _, err := v.admit(&group.List{}); err != nil {
		return err
	}
	return v.show(sheet{template: "new-group", title: "New group", here: groupsPath, problem: f.problem("name", "display"), data: f})
}

type groupView struct {
	groupRow
	Form *form
}

// Member is the address of a member's page.
func (groupView) Member(name string) string { return under(accountsPath, name) }

func (p *groupPages) show(v *visit, f *form) error {
	g, err := read[group.Group](v, &group.Show{Name: v.r.PathValue("name")})
	if err != nil {
		return err
	}
	return v.show(sheet{template: "group", title: "Group", here: groupsPath, problem: f.problem("account", "display"), data: groupView{groupRow{g, under(groupsPath, g.Name)}, f}})
}

func (p *groupPages) forms() []change {
	own := func(v *visit) string { return under(groupsPath, v.r.PathValue("name")) }
	back := func(note string) func(v *visit, f *form, answer any) error {
		return func(v *visit, _ *form, _ any) error { return v.done(own(v), note) }
	}
	return []change{
		{path: "/console/new-group", action: "group.create",
			page:  func(*visit) string { return "/console/new-group" },
			again: p.blank,
			read: func(_ *visit, f *form) admin.Command {
				return &group.Create{Name: f.must("name", "Every group needs a name."), Display: f.text("display"), Privileged: f.text("privileged") == "yes"}
			},
			done: func(v *visit, _ *form, answer any) error {
				return v.done(under(groupsPath, answer.(group.Group).Name), "The group was made.")
			}},
		{path: groupsPath + "/{name}/add", action: "group.member.add", page: own, again: p.show,
			read: func(v *visit, f *form) admin.Command {
				return &group.MemberAdd{Group: v.r.PathValue("name"), Account: f.must("account", "Write the name of an account.")}
			}, done: back("The account was added.")},
		{path: groupsPath + "/{name}/take-out", action: "group.member.remove", page: own, again: p.show,
			read: func(v *visit, f *form) admin.Command {
				return &group.MemberRemove{Group: v.r.PathValue("name"), Account: f.must("account", "Choose an account.")}
			}, done: back("The account was taken out.")},
		{path: groupsPath + "/{name}/set-display", action: "group.set-display", page: own, again: p.show,
			read: func(v *visit, f *form) admin.Command {
				return &group.SetDisplay{Group: v.r.PathValue("name"), Display: f.text("display")}
			}, done: back("What the group is called was changed.")},
		{path: groupsPath + "/{name}/remove", action: "group.remove", page: own, again: p.show,
			read: func(v *visit, _ *form) admin.Command { return &group.Remove{Name: v.r.PathValue("name")} },
			done: func(v *visit, _ *form, _ any) error { return v.done(groupsPath, "The group was removed.") }},
	}
}
