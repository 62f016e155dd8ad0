package console

import (
	"encoding/json"
	"slices"
	"strings"

	"countersign/internal/admin"
	"countersign/internal/admin/application"
	"countersign/internal/failure"
	"countersign/internal/protocol"
	"countersign/internal/web/look"
)

const applicationsPath = "/console/applications"

// applicationPages are the list of applications, and the form of each by what its protocol
// asks for.
type applicationPages struct {
	desk      *desk
	protocols protocol.List
}

func (p *applicationPages) routes() []look.Route {
	own := func(v *visit) string { return under(applicationsPath, v.r.PathValue("name")) }
	saved := func(v *visit, f *form, _ any) error {
		return v.done(under(applicationsPath, f.text("name")), "The application was saved.")
	}
	const limit = 256 << 10
	return slices.Concat([]look.Route{
		p.desk.page(applicationsPath, "application.list", p.list),
		p.desk.page("/console/new-application", "application.list", p.blank),
		p.desk.page(applicationsPath+"/{name}", "application.show", func(v *visit) error { return p.show(v, nil) }),
	}, p.desk.routes(
		change{path: "/console/new-application", action: "application.set", limit: limit, read: p.read, done: saved, again: p.unsaved,
			page: func(*visit) string { return "/console/new-application" }},
		change{path: applicationsPath + "/{name}/change", action: "application.set", limit: limit, page: own, done: saved, again: p.show,
			read: func(v *visit, f *form) admin.Command {
				f.values.Set("name", v.r.PathValue("name"))
				return p.read(v, f)
			}},
		change{path: applicationsPath + "/{name}/test", action: "application.test", page: own, again: p.show,
			read: func(v *visit, _ *form) admin.Command { return &application.Test{Name: v.r.PathValue("name")} },
			done: p.tested},
		change{path: applicationsPath + "/{name}/remove", action: "application.remove", page: own, again: p.show,
			read: func(v *visit, _ *form) admin.Command { return &application.Remove{Name: v.r.PathValue("name")} },
			done: func(v *visit, _ *form, _ any) error {
				return v.done(applicationsPath, "The application was removed. Nobody can sign in to it any more.")
			}},
	))
}

type applicationRow struct {
	application.Application
	Path string
}

// Called is what people call it.
func (a applicationRow) Called() string {
	if a.Title != "" {
		return a.Title
	}
	return a.Name
}

// applicationsView is all applications, and what another one can ask by.
type applicationsView struct {
	Rows      []applicationRow
	Protocols protocol.List
}

func (p *applicationPages) list(v *visit) error {
	all, err := read[[]application.Application](v, &application.List{})
	if err != nil {
		return err
	}
	rows := make([]applicationRow, len(all))
	for i, a := range all {
		rows[i] = applicationRow{a, under(applicationsPath, a.Name)}
	}
	return v.show(sheet{template: "applications", title: "Applications", here: applicationsPath, data: applicationsView{rows, p.protocols}})
}

// applicationView is the form of one application, old or new.
type applicationView struct {
	Form *form
	// Path is where it is posted to. New says that there is none yet.
	Path     string
	Name     string
	Called   string
	New      bool
	Protocol string
	// Stored is what is known of it beside the form.
	Stored application.Shown
	// Guide is the configuration of what asks for it; Unready says why there is none yet.
	Guide   application.Snippets
	Choice  *form
	Unready string
	// Tested is what a test found, right after it.
	Tested *application.Tested
	// Groups are what its protocol asks for, and Protocols all that can be chosen.
	Groups    []protocol.Group
	Protocols protocol.List
}

// Kinds, Tiers and Vouches are what can be chosen.
func (applicationView) Kinds() []choice {
	out := []choice{{"", "Choose what it is"}}
	for _, k := range application.Kinds() {
		out = append(out, choice{k, k})
	}
	return out
}

func (applicationView) Tiers() []choice {
	return choices("standard", "Standard", "control-plane", "Control plane: it administers other systems")
}

func (applicationView) Vouches() []choice {
	return choices("", "Nothing", "password", "The password, before it asks us")
}

// Rows are the numbers of a group's rows on the form.
func (a applicationView) Rows(g protocol.Group) []int { return rowNumbers(a.Form, g) }

// Was is the name that a row's object is stored under, or empty.
func (a applicationView) Was(g protocol.Group, i int) string { return a.Form.row(g.Row, "was", i) }

// Inputs are the fields of a group that are settings themselves.
func (a applicationView) Inputs(g protocol.Group) []field {
	var out []field
	for _, p := range g.Fields {
		out = append(out, a.input(p, p.Name, !a.New))
	}
	return out
}

// Row are the fields of one object of a group, as they stand beside each other.
func (a applicationView) Row(g protocol.Group, i int) [][]field {
	var out []field
	for _, p := range g.Fields {
		in := a.input(p, rowName(g.Row, p.Name, i), a.Was(g, i) != "")
		in.Required = false // a row that is empty is none
		if p.Missing != "" {
			in = in.Bare()
		}
		out = append(out, in)
	}
	if g.Abreast == 0 {
		return [][]field{out}
	}
	return slices.Collect(slices.Chunk(out, g.Abreast))
}

// input is a field of a protocol's as the template shows it.
func (a applicationView) input(p protocol.Field, name string, stored bool) field {
	in := a.Form.Field(name, p.Label).Says(p.Help)
	in.Required = p.Missing != ""
	switch p.Kind {
	case protocol.Number:
		in = in.As("number")
	case protocol.Lines:
		in = in.Tall(max(p.Rows, 2))
	case protocol.Vouches:
		in = in.Of(a.Vouches())
	case protocol.Secret:
		in = in.As("password")
		if in.Required = in.Required && !stored; stored {
			in = in.Says("Leave it empty to keep the stored one. It is never shown.")
		}
	}
	for _, c := range p.Choices {
		in.Choices = append(in.Choices, choice{c.Value, c.Text})
	}
	return in
}

func (p *applicationPages) blank(v *visit) error {
	protocol := v.r.URL.Query().Get("protocol")
	f := filled("protocol", protocol, "tier", "standard", "base", "{}", "settings", "{}")
	return p.unsaved(v, f)
}

func (p *applicationPages) unsaved(v *visit, f *form) error {
	if _, err := v.admit(&application.List{}); err != nil {
		return err
	}
	return p.form(v, applicationView{Form: f, Path: "/console/new-application", New: true})
}

// application shows one application: as it is stored, or as it was typed.
func (p *applicationPages) show(v *visit, f *form) error { return p.showTested(v, f, nil) }

// tested shows an application with what the test of it found.
func (p *applicationPages) tested(v *visit, _ *form, answer any) error {
	found, ok := answer.(application.Tested)
	if !ok {
		return failure.New(failure.Internal, "application.test answers another type")
	}
	return p.showTested(v, nil, &found)
}

func (p *applicationPages) showTested(v *visit, f *form, found *application.Tested) error {
	app, err := read[application.Shown](v, &application.Show{Name: v.r.PathValue("name")})
	if err != nil {
		return err
	}
	if f == nil {
		f = p.filled(app.Application)
	}
	path := under(applicationsPath, app.Name)
	a := applicationView{Form: f, Path: path + "/change", Name: app.Name, Called: applicationRow{app.Application, ""}.Called(), Stored: app, Tested: found}
	if err := a.guide(v); err != nil {
		return err
	}
	return p.form(v, a)
}

func (p *applicationPages) form(v *visit, a applicationView) error {
	a.Protocol, a.Protocols = a.Form.text("protocol"), p.protocols
	d, _ := a.Protocols.Named(a.Protocol)
	a.Groups = d.Form
	shown := []string{"name", "title", "kind", "tier", "settings"}
	for _, g := range a.Groups {
		for _, p := range g.Fields {
			if g.List == "" {
				shown = append(shown, p.Name)
			}
		}
	}
	return v.show(sheet{template: "application", title: "Application", here: applicationsPath,
		problem: a.Form.problem(shown...), data: a})
}

// filledApplication is the form of what is stored; secrets are hidden.
func (p *applicationPages) filled(a application.Application) *form {
	f := filled("name", a.Name, "title", a.Title, "kind", a.Kind, "tier", a.Tier, "vouches", a.Vouches, "protocol", a.Protocol, "base", string(a.Settings), "version", a.Version)
	if pretty, err := json.MarshalIndent(a.Settings, "", "  "); err == nil {
		f.values.Set("settings", string(pretty))
	}
	d, _ := p.protocols.Named(a.Protocol)
	fillSettings(f, d.Form, a.Settings)
	return f
}

// read turns the form into the command. The settings are those that
// were stored, with what the form has set in their place; or the text of the
// advanced form as it is.
func (p *applicationPages) read(v *visit, f *form) admin.Command {
	c := &application.Set{Name: f.must("name", "Every application needs a name."), Title: f.text("title"), Kind: f.must("kind", "Choose what it is."),
		Tier: f.text("tier"), Vouches: f.text("vouches"), Protocol: f.text("protocol"), Base: f.text("version"), Over: strings.Fields(f.text("over"))}
	if f.text("advanced") != "" {
		c.Settings = json.RawMessage(f.text("settings"))
		if !json.Valid(c.Settings) {
			f.wrong("settings", "That is not JSON: look for a missing comma, quote or bracket.")
		}
		return c
	}
	base := map[string]any{}
	if err := decodeNumbers(f.values.Get("base"), &base); err != nil {
		f.wrong("", "The form is out of date. Load the page again.")
	}
	d, ok := p.protocols.Named(c.Protocol)
	if !ok {
		f.wrong("", "Choose how it asks: "+p.protocols.Ways()+".")
	}
	setSettings(f, d.Form, base)
	c.Settings, _ = json.Marshal(base) // what was decoded can be encoded
	return c
}
