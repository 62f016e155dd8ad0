package console

import (
	"slices"
	"strconv"

	"countersign/internal/admin"
	"countersign/internal/admin/partner"
	"countersign/internal/web/look"
)

const partnersPath = "/console/partners"

// partnerPages are the partners, and the report of what is delegated to their people.
type partnerPages struct {
	desk *desk
}

func (p *partnerPages) routes() []look.Route {
	here := func(*visit) string { return partnersPath }
	back := func(note string) func(v *visit, f *form, answer any) error {
		return func(v *visit, _ *form, _ any) error { return v.done(partnersPath, note) }
	}
	name := func(f *form) string { return f.must("name", "Say which partner.") }
	return slices.Concat([]look.Route{p.desk.page(partnersPath, "partner.report", func(v *visit) error { return p.show(v, nil) })}, p.desk.routes(
		change{path: partnersPath + "/create", action: "partner.create", page: here, again: p.show, done: back("The partner was added. Nobody of it gets anything by that."),
			read: func(_ *visit, f *form) admin.Command {
				return &partner.Create{Name: name(f), Title: f.must("title", "Say what people call the partner."), Upstream: f.text("upstream"), Longest: f.text("longest"), Contact: f.text("contact")}
			}},
		change{path: partnersPath + "/change", action: "partner.change", page: here, again: p.show, done: back("The partner was changed."),
			read: func(_ *visit, f *form) admin.Command {
				return &partner.Change{Name: name(f), Title: f.must("title", "Say what people call the partner."), Upstream: f.text("upstream"), Longest: f.text("longest"), Contact: f.text("contact")}
			}},
		change{path: partnersPath + "/delegate", action: "partner.delegate", page: here, again: p.show, done: back("It was asked for. It is in force when another administrator approves it."),
			read: func(_ *visit, f *form) admin.Command {
				return &partner.Delegate{Partner: f.must("partner", "Say which partner."), Account: f.must("account", "Say whose account it is."), Actions: f.lines("actions"), Applications: f.lines("applications"),
					Groups: f.lines("groups"), From: f.text("from"), Until: f.must("until", "Say until when."), Note: f.text("note")}
			}},
		change{path: partnersPath + "/approve", action: "partner.approve", page: here, again: p.show, done: back("The delegation was approved. Its person and your administrators were told."),
			read: func(_ *visit, f *form) admin.Command { return &partner.Approve{Number: numberOf(f)} }},
		change{path: partnersPath + "/end", action: "partner.end", page: here, again: p.show, done: back("The delegation was ended."),
			read: func(_ *visit, f *form) admin.Command {
				return &partner.End{Number: numberOf(f), Reason: f.text("reason")}
			}},
		change{path: partnersPath + "/stop", action: "partner.stop", page: here, again: p.show, done: back("Nothing is delegated to the people of the partner any more."),
			read: func(_ *visit, f *form) admin.Command {
				return &partner.Stop{Name: name(f), Reason: f.text("reason")}
			}},
		change{path: partnersPath + "/remove", action: "partner.remove", page: here, again: p.show, done: back("The partner was removed."),
			read: func(_ *visit, f *form) admin.Command { return &partner.Remove{Name: name(f)} }},
	))
}

// numberOf is the delegation that a form is about.
func numberOf(f *form) int64 {
	n, err := strconv.ParseInt(f.text("number"), 10, 64)
	if err != nil || n < 1 {
		f.wrong("number", "Load the page again: the form does not say which delegation it is about.")
	}
	return n
}

type partnersView struct {
	partner.Reported
	All []partner.Listed
	// Form is a new partner, or a delegation, with what was typed.
	Form *form
}

// Account is the address of the page of an account.
func (partnersView) Account(name string) string { return under(accountsPath, name) }

// Choices are the partners to choose from.
func (v partnersView) Choices() []choice {
	var out []choice
	for _, p := range v.All {
		out = append(out, choice{p.Name, p.Title})
	}
	return out
}

func (p *partnerPages) show(v *visit, f *form) error {
	reported, err := read[partner.Reported](v, &partner.Report{})
	if err != nil {
		return err
	}
	all, err := read[[]partner.Listed](v, &partner.List{})
	if err != nil {
		return err
	}
	if f == nil {
		f = filled()
	}
	problem := f.problem("name", "title", "upstream", "longest", "contact", "partner", "account", "actions", "applications", "groups", "from", "until", "note")
	return v.show(sheet{template: "partners", title: "Partners", here: partnersPath, problem: problem, data: partnersView{reported, all, f}})
}
