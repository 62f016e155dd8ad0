// Package console is the administrators' pages.
//
// It owns how the commands of admin look: a page made for each thing that is
// administered, and one plain form for every command there is. It has no rule of
// its own: a page is shown under the grant of the command that reads it, a form
// is done under the grant of the command that it becomes. Its neighbours are
// admin, which does commands, and web/challenge, which plays an approval. Its
// one invariant: what is done is what was approved, because both are the same
// command's text, read from the same kept form.
package console

import (
	"embed"
	"errors"
	"net/http"
	"slices"
	"strings"

	"countersign/internal/admin"
	logs "countersign/internal/admin/audit"
	"countersign/internal/directory"
	"countersign/internal/language"
	"countersign/internal/protocol"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/web/challenge"
	"countersign/internal/web/look"
)

//go:embed all:templates
var files embed.FS

// Parts are what the pages work on.
type Parts struct {
	Browser challenge.Browser
	Look    *look.Look
	Admin   *admin.Admin
	Log     *logs.Log
	// Protocols are those that applications can ask by.
	Protocols protocol.List
}

// Console serves the pages: it is the list of their routes.
type Console struct{ routes []look.Route }

// New prepares the pages.
func New(p Parts) *Console {
	d := &desk{browser: p.Browser, look: p.Look, admin: p.Admin, pages: p.Look.Load(files)}
	list := &checklistPage{d, p.Protocols}
	return &Console{routes: slices.Concat((&homePage{d, list}).routes(), list.routes(), (&accountPages{d}).routes(), (&importPages{d, &accountPages{d}}).routes(), (&selectedPages{d, &accountPages{d}}).routes(), (&groupPages{d}).routes(), (&tokenPages{d}).routes(),
		(&promptPage{d}).routes(), (&recoveryPages{d}).routes(), (&applicationPages{d, p.Protocols}).routes(), (&upstreamPages{d}).routes(), (&partnerPages{d}).routes(), (&keyPage{d}).routes(), (&signalPages{d}).routes(), (&policyPages{d}).routes(),
		(&coveragePages{d}).routes(), (&auditPages{d, p.Log}).routes(), (&commandPages{d}).routes())}
}

// Routes lists the pages with what each demands.
func (c *Console) Routes() []look.Route {
	out := slices.Clone(c.routes)
	for i := range out {
		out[i].English = true
	}
	return out
}

// desk is what every page is served with: who looks is asked of the browser, commands
// are done by admin, and templates are of one set.
type desk struct {
	browser challenge.Browser
	look    *look.Look
	admin   *admin.Admin
	pages   *look.Set
}

// visit is one request. Who looks is known from the first grant on.
type visit struct {
	desk *desk
	w    http.ResponseWriter
	r    *http.Request
	g    signin.Grant
	// back is where to come back to when the person has to sign in first.
	back string
}

// page is a route that shows something under the grants of the commands that it
// reads with; action is the first of them.
func (d *desk) page(path, action string, show func(v *visit) error) look.Route {
	return look.Route{Pattern: "GET " + path, Demand: look.Action(action), Handler: d.serve(func(v *visit) error {
		v.back = v.r.URL.RequestURI()
		return show(v)
	})}
}

// serve runs a route, and sends the browser to sign in where that is needed.
func (d *desk) serve(do func(v *visit) error) look.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := do(&visit{desk: d, w: w, r: r})
		var first *signInFirst
		switch {
		case !errors.As(err, &first):
		case first.continuation.Action == "":
			return d.browser.SignIn(w, r, first.continuation.Return)
		default:
			return d.browser.Prove(w, r, first.continuation)
		}
		return err
	}
}

// links are the pages that the navigation names.
var links = []look.Link{
	{Href: homePath, Text: "Overview"},
	{Href: accountsPath, Text: "Accounts"},
	{Href: groupsPath, Text: "Groups"},
	{Href: tokensPath, Text: "Tokens"},
	{Href: promptsPath, Text: "Requests"},
	{Href: recoveriesPath, Text: "Recoveries"},
	{Href: applicationsPath, Text: "Applications"},
	{Href: upstreamsPath, Text: "Identity providers"},
	{Href: partnersPath, Text: "Partners"},
	{Href: signalsPath, Text: "Signals"},
	{Href: policyPath, Text: "Policy"},
	{Href: coveragePath, Text: "Coverage"},
	{Href: auditPath, Text: "Audit log"},
	{Href: "/console/commands", Text: "All commands"},
}

// sheet is a page that is ready to be shown.
type sheet struct {
	template string
	// title is our own words; here is the link of the navigation that it is under.
	title, here string
	// problem is one sentence above everything.
	problem string
	data    any
}

// show renders a page for who looks.
func (v *visit) show(s sheet) error {
	nav, home := slices.Clone(links), homePath
	if !slices.Contains(v.g.Groups(), directory.Administrators) {
		nav, home = nil, recoveriesPath // the help desk has this and no other
	}
	if partner, _ := v.g.Partner(); partner != "" {
		pages := append(look.Lent(v.g.Lent()), "")
		home = pages[0]
		nav = slices.DeleteFunc(slices.Clone(links), func(l look.Link) bool { return !slices.Contains(pages, l.Href) })
	}
	for i := range nav {
		nav[i].Here = nav[i].Href == s.here
	}
	p := look.Page{Template: s.template, Title: s.title, Shape: look.Desk, Links: nav, Problem: language.Say(s.problem),
		Person: &look.Person{Name: v.g.Name(), Display: v.g.Display(), Console: home}, Data: s.data}
	if s.problem != "" {
		p.Status = http.StatusBadRequest
	}
	return v.desk.pages.Render(v.w, v.r, p)
}

// signInFirst says that a page cannot be shown before this continuation is run.
type signInFirst struct{ continuation session.Continuation }

func (*signInFirst) Error() string { return "the person must sign in first" }

// done goes on to a page of ours and says there what was done.
// Where nothing was asked for it, because the person had signed in just before, it says so.
func (v *visit) done(path, note string) error {
	if _, own, at := v.g.Approval(); !own && !at.IsZero() {
		note += " You were not asked again: you had proved yourself " + look.Ago(at, v.desk.look.Now()) + "."
	}
	return v.desk.look.Done(v.w, v.r, path, language.Say(note))
}

// under joins a name to a path, as one segment.
func under(path, name string) string {
	return path + "/" + strings.ReplaceAll(escape(name), "/", "%2F")
}
