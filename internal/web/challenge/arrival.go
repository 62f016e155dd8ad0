package challenge

import (
	"net/http"

	"countersign/internal/admin/pass"
	"countersign/internal/admin/setup"
	"countersign/internal/failure"
	"countersign/internal/web/look"
)

// arrivals are the pages of those who come for the first time: by a welcome link, or to set
// the installation up.
type arrivals struct {
	player      *player
	welcomes    *pass.Passes
	invitations *pass.Invitations
	settingUp   *setup.Setup
}

func (c *arrivals) routes() []look.Route {
	return []look.Route{
		{Pattern: "GET /welcome", Demand: look.Public(), Handler: c.welcome},
		{Pattern: "POST /welcome", Demand: look.Public(), Handler: c.accept},
		{Pattern: "GET /invited", Demand: look.Public(), Handler: c.invited},
		{Pattern: "POST /invited", Demand: look.Public(), Handler: c.open},
		{Pattern: "GET /setup", Demand: look.Public(), Handler: c.setup},
		{Pattern: "POST /setup", Demand: look.Public(), Handler: c.setUp},
	}
}

func (c *arrivals) welcome(w http.ResponseWriter, r *http.Request) error {
	code := r.URL.Query().Get("code")
	name, _, err := c.welcomes.Welcome(r.Context(), code)
	if err != nil {
		return err
	}
	return c.player.pages.Render(w, r, look.Page{Template: "welcome", Title: "Welcome", Shape: look.Card, Data: map[string]string{"Name": name, "Code": code}})
}

// accept takes the pass behind a welcome link, or one that was typed with its name.
func (c *arrivals) accept(w http.ResponseWriter, r *http.Request) error {
	if name := r.PostForm.Get("name"); name != "" {
		return c.player.passIn(w, r, name, r.PostForm.Get("pass"))
	}
	name, pass, err := c.welcomes.Welcome(r.Context(), r.PostForm.Get("code"))
	if err != nil {
		return err
	}
	return c.player.passIn(w, r, name, pass)
}

// invited shows whose invitation it is, or asks for the code of a letter. It gives no pass:
// mail is read by programs as well, which follow every link.
func (c *arrivals) invited(w http.ResponseWriter, r *http.Request) error {
	code := r.URL.Query().Get("code")
	page := look.Page{Template: "invited", Title: "Invitation", Shape: look.Card, Data: map[string]any{"Code": ""}}
	if code != "" {
		found, err := c.invitations.Look(r.Context(), code)
		if err != nil {
			return err
		}
		page.Data = map[string]any{"Code": code, "Name": found.Account, "Until": found.Expires}
	}
	return c.player.pages.Render(w, r, page)
}

// open takes the pass that an invitation gives.
func (c *arrivals) open(w http.ResponseWriter, r *http.Request) error {
	given, err := c.invitations.Open(r.Context(), r.PostForm.Get("code"), c.player.browser.Source(r))
	if err != nil {
		return err
	}
	return c.player.passIn(w, r, given.Account, given.Code)
}

func (c *arrivals) setup(w http.ResponseWriter, r *http.Request) error {
	code := r.URL.Query().Get("code")
	if err := c.settingUp.Open(r.Context(), code); err != nil {
		return err
	}
	return c.player.pages.Render(w, r, look.Page{Template: "setup", Title: "Set up", Shape: look.Card, Data: setup.Newcomer{Code: code}})
}

func (c *arrivals) setUp(w http.ResponseWriter, r *http.Request) error {
	f := r.PostForm
	n := setup.Newcomer{Code: f.Get("code"), Name: f.Get("name"), Display: f.Get("display"), Mail: f.Get("mail"), Codes: f.Get("with") == "codes"}
	pass, err := c.settingUp.Administrator(r.Context(), n)
	if class := failure.ClassOf(err); err != nil && (class == failure.Invalid || class == failure.Conflict) {
		return c.player.pages.Render(w, r, look.Page{Template: "setup", Title: "Set up", Shape: look.Card, Status: http.StatusBadRequest, Problem: look.Problem(err), Data: n})
	}
	if err != nil {
		return err
	}
	return c.player.passIn(w, r, pass.Account, pass.Code)
}
