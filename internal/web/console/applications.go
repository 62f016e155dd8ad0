package console

import (
	"encoding/json"
	"slices"
	"strings"

	"countersign/internal/admin"
	"countersign/internal/web/look"
)

const applicationsPath = "/console/applications"

func (c *Console) applicationRoutes() []look.Route {
	own := func(v *visit) string { return under(applicationsPath, v.r.PathValue("name")) }
	saved := func(v *visit, f *form, _ any) error {
		return v.done(under(applicationsPath, f.text("name")), "The application was saved.")
	}
	const limit = 256 << 10
	return slices.Concat([]look.Route{
		c.page(applicationsPath, "application.list", (*visit).applications),
		c.page("/console/new-application", "application.list", (*visit).newApplication),
		c.page(applicationsPath+"/{name}", "application.show", func(v *visit) error { return v.application(nil) }),
	}, c.routes(
		change{path: "/console/new-application", action: "application.set", limit: limit, read: readApplication, done: saved, again: (*visit).unsavedApplication,
			page: func(*visit) string { return "/console/new-application" }},
		change{path: applicationsPath + "/{name}/change", action: "application.set", limit: limit, page: own, done: saved, again: (*visit).application,
			read: func(v *visit, f *form) admin.Command {
				f.values.Set("name", v.r.PathValue("name"))
				return readApplication(v, f)
			}},
		change{path: applicationsPath + "/{name}/remove", action: "application.remove", page: own, again: (*visit).application,
			read: func(v *visit, _ *form) admin.Command { return &admin.ApplicationRemove{Name: v.r.PathValue("name")} },
			done: func(v *visit, _ *form, _ any) error {
				return v.done(applicationsPath, "The application was removed. Nobody can sign in to it any more.")
			}},
	))
}

type applicationRow struct {
	admin.Application
	Path string
}

// Called is what people call it.
func (a applicationRow) Called() string {
	if a.Title != "" {
		return a.Title
	}
	return a.Name
}

func (v *visit) applications() error {
	all, err := read[[]admin.Application](v, &admin.ApplicationList{})
	if err != nil {
		return err
	}
	rows := make([]applicationRow, len(all))
	for i, a := range all {
		rows[i] = applicationRow{a, under(applicationsPath, a.Name)}
	}
	return v.show(sheet{template: "applications", title: "Applications", here: applicationsPath, data: rows})
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
	Rules    []int // the numbers of the rows on the form
	Clients  []int
}

// Kinds, Tiers, Modes, Vouches, Binds and Sources are what can be chosen.
func (applicationView) Kinds() []choice {
	out := []choice{{"", "Choose what it is"}}
	for _, k := range admin.ApplicationKinds() {
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

func (applicationView) Modes() []choice {
	return choices("challenge", "Ask for the code afterwards (Access-Challenge)", "appended", "Password and code in one line", "code-only", "The code alone", "wait", "Wait while the person acts elsewhere")
}

func (applicationView) Binds() []choice {
	return choices("nas", "By the same equipment (client and NAS)", "client", "By the same client")
}

func (applicationView) Sources() []choice {
	return choices("", "Not told", "Calling-Station-Id", "Calling-Station-Id", "Tunnel-Client-Endpoint", "Tunnel-Client-Endpoint")
}

// Secret says what an empty secret means.
func (a applicationView) Secret(was string) string {
	if was != "" {
		return "Leave it empty to keep the stored one. It is never shown."
	}
	return "16 characters at least, random. It is never shown again."
}

func (v *visit) newApplication() error {
	protocol := v.r.URL.Query().Get("protocol")
	f := filled("protocol", protocol, "tier", "standard", "base", "{}", "settings", "{}")
	return v.unsavedApplication(f)
}

func (v *visit) unsavedApplication(f *form) error {
	if _, err := v.admit(&admin.ApplicationList{}); err != nil {
		return err
	}
	return v.applicationForm(applicationView{Form: f, Path: "/console/new-application", New: true})
}

// application shows one application: as it is stored, or as it was typed.
func (v *visit) application(f *form) error {
	app, err := read[admin.Application](v, &admin.ApplicationShow{Name: v.r.PathValue("name")})
	if err != nil {
		return err
	}
	if f == nil {
		f = filledApplication(app)
	}
	path := under(applicationsPath, app.Name)
	return v.applicationForm(applicationView{Form: f, Path: path + "/change", Name: app.Name, Called: applicationRow{app, ""}.Called()})
}

func (v *visit) applicationForm(a applicationView) error {
	a.Protocol = a.Form.text("protocol")
	a.Rules, a.Clients = rowNumbers(a.Form, "rule", 1), rowNumbers(a.Form, "client", 1)
	return v.show(sheet{template: "application", title: "Application", here: applicationsPath,
		problem: a.Form.problem("name", "title", "kind", "tier", "vouches", "settings", "hosts", "timeout", "code_digits", "ports"), data: a})
}

// filledApplication is the form of what is stored; secrets are hidden.
func filledApplication(a admin.Application) *form {
	f := filled("name", a.Name, "title", a.Title, "kind", a.Kind, "tier", a.Tier, "vouches", a.Vouches, "protocol", a.Protocol, "base", string(a.Settings), "version", a.Version)
	if pretty, err := json.MarshalIndent(a.Settings, "", "  "); err == nil {
		f.values.Set("settings", string(pretty))
	}
	switch a.Protocol {
	case "forward-auth":
		fillForwardAuth(f, a.Settings)
	case "radius":
		fillRADIUS(f, a.Settings)
	}
	return f
}

// readApplication turns the form into the command. The settings are those that
// were stored, with what the form has set in their place; or the text of the
// advanced form as it is.
func readApplication(_ *visit, f *form) admin.Command {
	c := &admin.ApplicationSet{Name: f.must("name", "Every application needs a name."), Title: f.text("title"), Kind: f.must("kind", "Choose what it is."),
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
	switch c.Protocol {
	case "forward-auth":
		setForwardAuth(f, base)
	case "radius":
		setRADIUS(f, base)
	default:
		f.wrong("", "Choose how it asks: behind a proxy, or by RADIUS.")
	}
	c.Settings, _ = json.Marshal(base) // what was decoded can be encoded
	return c
}
