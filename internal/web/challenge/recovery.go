package challenge

import (
	"net/http"
	"time"

	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/recovery"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/web/look"
)

// recoveryCookie binds a browser to the number that it shows, and to what is
// opened for it.
const recoveryCookie = "recovery"

// recoveryLife is longer than a case can take.
const recoveryLife = recovery.WaitCeiling + 7*24*time.Hour

// codedPath is where a case is opened for whoever had both codes.
const codedPath = "/recovery/codes/shown"

func (c *Challenge) recoveryRoutes() []look.Route {
	return []look.Route{
		{Pattern: "GET /recovery", Demand: look.Public(), Handler: c.recovery},
		{Pattern: "POST /recovery", Demand: look.Public(), Handler: c.recover},
		{Pattern: "POST /recovery/codes", Demand: look.Public(), Handler: c.codes},
		{Pattern: "POST " + codedPath, Demand: look.Action(signin.Recover), Handler: c.coded},
		{Pattern: "POST /recovery/go-on", Demand: look.Public(), Handler: c.goOn},
		{Pattern: "POST /recovery/forget", Demand: look.Public(), Handler: c.forget},
		{Pattern: "GET /recovery/stop", Demand: look.Public(), Handler: c.stopping},
		{Pattern: "POST /recovery/stop", Demand: look.Public(), Handler: c.stop},
	}
}

type recoveryView struct {
	recovery.Standing
	Phase recovery.Phase // empty before something was opened
	Codes bool           // there is a way by two codes
}

// recovery shows how far this browser is.
func (c *Challenge) recovery(w http.ResponseWriter, r *http.Request) error {
	secret := c.look.Get(r, recoveryCookie)
	page := look.Page{Template: "recovery", Title: "Get back in", Shape: look.Card, Data: recoveryView{Codes: c.engine.RecoversByCodes()}}
	if secret == "" {
		return c.pages.Render(w, r, page)
	}
	standing, err := c.requests.Look(r.Context(), secret)
	if failure.ClassOf(err) == failure.NotFound {
		c.look.Drop(w, recoveryCookie)
		page.Problem = "The number of before has run out. Begin again."
		return c.pages.Render(w, r, page)
	}
	if err != nil {
		return err
	}
	v := recoveryView{Standing: standing}
	if standing.Number == "" {
		v.Phase = standing.Case.Phase(c.now())
	}
	switch v.Phase {
	case "": // somebody is on the telephone
		page.Refresh = 10 * time.Second
	case recovery.Waiting:
		page.Refresh = time.Minute
	case recovery.Unsure: // somebody is on the telephone, or will be
		page.Refresh = 30 * time.Second
	}
	page.Data = v
	return c.pages.Render(w, r, page)
}

// recover gives the browser a number, whether or not anybody has the name.
func (c *Challenge) recover(w http.ResponseWriter, r *http.Request) error {
	secret, _, err := c.requests.Begin(r.Context(), r.PostForm.Get("name"), c.browser.Source(r))
	if err != nil {
		return err
	}
	c.look.Set(w, recoveryCookie, secret, recoveryLife)
	return look.Go(w, r, "/recovery")
}

// codes begins with a saved code, for the browser that shows a number from then on.
func (c *Challenge) codes(w http.ResponseWriter, r *http.Request) error {
	name := r.PostForm.Get("name")
	secret, standing, err := c.requests.Begin(r.Context(), name, c.browser.Source(r))
	if err != nil {
		return err
	}
	c.look.Set(w, recoveryCookie, secret, recoveryLife)
	e := session.Errand{Application: signin.Self, Action: signin.Recover, Object: standing.Bound(), Return: codedPath}
	if err := c.hold(w, r, e); err != nil {
		return err
	}
	req := c.request(r, e)
	req.Session, req.Name, req.Opening = "", name, []prompt.Answer{{Authenticator: "recoverycode", Text: r.PostForm.Get("text")}}
	step, err := c.engine.Begin(r.Context(), req)
	if err != nil {
		return err
	}
	return c.play(w, r, e, "", step)
}

// coded opens the case when both codes were right.
func (c *Challenge) coded(w http.ResponseWriter, r *http.Request) error {
	secret := c.look.Get(r, recoveryCookie)
	standing, err := c.requests.Look(r.Context(), secret)
	if err != nil {
		return err
	}
	e, err := c.browser.Kept(w, r)
	if err != nil {
		return err
	}
	if e.Action != signin.Recover || e.Object != standing.Bound() {
		return failure.Refuse("other-errand", "That was begun for another number. Begin again.")
	}
	g, err := c.browser.Claim(w, r, e)
	if err != nil {
		return err
	}
	if _, err := c.openings.OpenByCodes(r.Context(), g, secret); err != nil {
		return err
	}
	return look.Go(w, r, "/recovery")
}

// goOn takes the pass and goes with it to the engine, in one step: nobody sees it.
func (c *Challenge) goOn(w http.ResponseWriter, r *http.Request) error {
	name, pass, err := c.passes.Collect(r.Context(), c.look.Get(r, recoveryCookie), c.browser.Source(r).String())
	if err != nil {
		return err
	}
	return c.passIn(w, r, name, pass)
}

// forget has the browser begin again.
func (c *Challenge) forget(w http.ResponseWriter, r *http.Request) error {
	c.look.Drop(w, recoveryCookie)
	return look.Go(w, r, "/recovery")
}

// stopping asks before it stops, because mail is read by programs as well, which
// follow every link.
func (c *Challenge) stopping(w http.ResponseWriter, r *http.Request) error {
	code := r.URL.Query().Get("code")
	found, err := c.stops.Stoppable(r.Context(), code)
	if err != nil {
		return err
	}
	return c.pages.Render(w, r, look.Page{Template: "recovery-stop", Title: "Stop the recovery", Shape: look.Card, Data: stoppingView{code, found.Taken > 0}})
}

// stoppingView asks whether to stop a case, and says what went before.
type stoppingView struct {
	Code  string
	Taken bool // its pass was taken
}

func (c *Challenge) stop(w http.ResponseWriter, r *http.Request) error {
	undone, err := c.stops.StopByNotice(r.Context(), r.PostForm.Get("code"), c.browser.Source(r).String())
	if err != nil {
		return err
	}
	return c.look.Done(w, r, "/sign-in", undone.String()+" Your administrators were told.")
}
