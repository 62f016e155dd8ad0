// Package console is the administrators' pages: every command of admin, each as
// one form and one answer.
//
// It owns no list and no rule: the pages are made from admin's own list, and
// the engine decides each time. Its one invariant: what is done is what was
// approved, because both are the same command's text.
package console

import (
	"bytes"
	"embed"
	"encoding/json"
	"net/http"
	"net/url"

	"countersign/internal/admin"
	"countersign/internal/failure"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/web/challenge"
	"countersign/internal/web/look"
)

//go:embed templates
var files embed.FS

// Parts are what the pages work on.
type Parts struct {
	challenge.Browser
	Admin *admin.Admin
}

// Console serves the pages.
type Console struct {
	Parts
	pages *look.Set
}

// New prepares the pages.
func New(p Parts) *Console { return &Console{Parts: p, pages: p.Look.Load(files)} }

// Routes lists the pages. What each demands is its command's action.
func (c *Console) Routes() []look.Route {
	return []look.Route{
		{Pattern: "GET /console", Demand: look.Session(), Handler: c.list},
		{Pattern: "GET /console/{action}", Demand: look.Session(), Handler: c.form},
		{Pattern: "POST /console/{action}", Demand: look.Action("the command's"), Handler: c.post, Limit: 256 << 10},
		{Pattern: "GET /console/{action}/approved", Demand: look.Action("the command's"), Handler: c.approved},
	}
}

func spec(action string) (admin.Spec, error) {
	for _, s := range admin.Commands() {
		if s.Action == action {
			return s, nil
		}
	}
	return admin.Spec{}, failure.New(failure.NotFound, "There is no such command.")
}

type view struct {
	Spec   admin.Spec
	Input  string
	Answer string
	Specs  []admin.Spec
}

// enter demands what policy demands of an administrator who signs in. What is
// proved then raises the session; each command demands its own on top.
func (c *Console) enter(w http.ResponseWriter, r *http.Request) (signin.Grant, bool, error) {
	step, err := c.Check(r, signin.SignIn, "")
	if err != nil {
		return signin.Grant{}, false, err
	}
	if step.State == signin.Granted && !isAdministrator(step.Grant) {
		return signin.Grant{}, false, notYours
	}
	if step.State == signin.Granted {
		return step.Grant, true, nil
	}
	return signin.Grant{}, false, c.Send(w, r, session.Errand{Return: r.URL.Path})
}

func (c *Console) list(w http.ResponseWriter, r *http.Request) error {
	g, ok, err := c.enter(w, r)
	if !ok {
		return err
	}
	return c.render(w, r, g, "", "list", view{Specs: admin.Commands()})
}

func (c *Console) render(w http.ResponseWriter, r *http.Request, g signin.Grant, problem, template string, v view) error {
	links := []look.Link{{Href: "/console", Text: "All commands", Here: template == "list"}}
	for _, s := range admin.Commands() {
		if s.Action == "account.list" || s.Action == "application.list" || s.Action == "policy.show" || s.Action == "audit.search" {
			links = append(links, look.Link{Href: "/console/" + s.Action, Text: s.Action, Here: s.Action == v.Spec.Action})
		}
	}
	page := look.Page{Template: template, Title: "Administration", Shape: look.Desk, Links: links, Problem: problem,
		Person: &look.Person{Name: g.Name(), Display: g.Display(), Console: true}, Data: v}
	if problem != "" {
		page.Status = http.StatusBadRequest
	}
	return c.pages.Render(w, r, page)
}

func (c *Console) form(w http.ResponseWriter, r *http.Request) error {
	g, ok, err := c.enter(w, r)
	if !ok {
		return err
	}
	s, err := spec(r.PathValue("action"))
	if err != nil {
		return err
	}
	empty, err := json.MarshalIndent(s.New(), "", "  ")
	if err != nil {
		return err
	}
	return c.render(w, r, g, "", "command", view{Spec: s, Input: string(empty)})
}

func decode(s admin.Spec, input string) (admin.Command, error) {
	cmd := s.New()
	d := json.NewDecoder(bytes.NewReader([]byte(input)))
	d.DisallowUnknownFields()
	if err := d.Decode(cmd); err != nil {
		return nil, failure.New(failure.Invalid, "That cannot be read: %s.", err)
	}
	return cmd, nil
}

func (c *Console) post(w http.ResponseWriter, r *http.Request) error {
	s, err := spec(r.PathValue("action"))
	if err != nil {
		return err
	}
	input := r.PostForm.Get("input")
	cmd, err := decode(s, input)
	if err != nil {
		g, ok, entered := c.enter(w, r)
		if !ok {
			return entered
		}
		return c.render(w, r, g, failure.Public(err), "command", view{Spec: s, Input: input})
	}
	step, err := c.Check(r, cmd.Action(), cmd.Object())
	if err != nil {
		return err
	}
	switch step.State {
	case signin.Granted:
		return c.do(w, r, step.Grant, s, cmd, input)
	case signin.Ask:
		code, err := c.Keep(r, session.Errand{Action: cmd.Action(), Object: cmd.Object(),
			Return: "/console/" + s.Action + "/approved", Form: url.Values{"input": {input}}})
		if err != nil {
			return err
		}
		c.Look.Set(w, waitingCookie, code, waitingLife)
		return c.SignIn(w, r, code)
	}
	return failure.Refuse(step.Reason, step.Public)
}

// approved does what was posted before the person was sent to approve it.
func (c *Console) approved(w http.ResponseWriter, r *http.Request) error {
	s, err := spec(r.PathValue("action"))
	if err != nil {
		return err
	}
	e, err := c.Sessions.Errand(r.Context(), c.Look.Get(r, waitingCookie))
	if err != nil {
		return err
	}
	input := e.Form.Get("input")
	cmd, err := decode(s, input)
	if err != nil {
		return err
	}
	g, err := c.Claim(w, r, cmd.Action(), cmd.Object())
	if err != nil {
		return err
	}
	c.Look.Drop(w, waitingCookie)
	return c.do(w, r, g, s, cmd, input)
}

func (c *Console) do(w http.ResponseWriter, r *http.Request, g signin.Grant, s admin.Spec, cmd admin.Command, input string) error {
	answer, err := c.Admin.Do(r.Context(), g, cmd)
	if err != nil {
		if failure.ClassOf(err) == failure.Internal {
			return err
		}
		return c.render(w, r, g, failure.Public(err), "command", view{Spec: s, Input: input})
	}
	b, err := json.MarshalIndent(answer, "", "  ")
	if err != nil {
		return err
	}
	return c.render(w, r, g, "", "command", view{Spec: s, Input: input, Answer: string(b)})
}
