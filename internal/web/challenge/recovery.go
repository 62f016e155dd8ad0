package challenge

import (
	"net/http"
	"time"

	"countersign/internal/failure"
	"countersign/internal/language"
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

// recoveries are the pages on which somebody who lost everything gets back in, and those on
// which whose account it is stops that.
type recoveries struct {
	player   *player
	requests *recovery.Requests
	openings *recovery.Openings
	passes   *recovery.Passes
	stops    *recovery.Stops
	now      func() time.Time
}

func (c *recoveries) routes() []look.Route {
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
	recovery.Progress
	Phase recovery.Phase // empty before something was opened
	Codes bool           // there is a way by two codes
}

// recovery shows how far this browser is.
func (c *recoveries) recovery(w http.ResponseWriter, r *http.Request) error {
	secret := c.player.look.Get(r, recoveryCookie)
	page := look.Page{Template: "recovery", Title: "Get back in", Shape: look.Card, Data: recoveryView{Codes: c.player.engine.RecoversByCodes()}}
	if secret == "" {
		return c.player.pages.Render(w, r, page)
	}
	standing, err := c.requests.Poll(r.Context(), secret)
	if failure.ClassOf(err) == failure.NotFound {
		c.player.look.Drop(w, recoveryCookie)
		page.Problem = language.Say("The number of before has run out. Begin again.")
		return c.player.pages.Render(w, r, page)
	}
	if err != nil {
		return err
	}
	v := recoveryView{Progress: standing}
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
	return c.player.pages.Render(w, r, page)
}

// recover gives the browser a number, whether or not anybody has the name.
func (c *recoveries) recover(w http.ResponseWriter, r *http.Request) error {
	secret, _, err := c.requests.Begin(r.Context(), r.PostForm.Get("name"), c.player.browser.Source(r))
	if err != nil {
		return err
	}
	c.player.look.Set(w, recoveryCookie, secret, recoveryLife)
	return look.Go(w, r, "/recovery")
}

// codes begins with a saved code, for the browser that shows a number from then on.
func (c *recoveries) codes(w http.ResponseWriter, r *http.Request) error {
	name := r.PostForm.Get("name")
	secret, standing, err := c.requests.Begin(r.Context(), name, c.player.browser.Source(r))
	if err != nil {
		return err
	}
	c.player.look.Set(w, recoveryCookie, secret, recoveryLife)
	e := session.Continuation{Application: signin.Self, Action: signin.Recover, Object: standing.Bound(), Return: codedPath}
	if err := c.player.hold(w, r, e); err != nil {
		return err
	}
	req := c.player.request(r, e)
	req.Session, req.Name, req.Opening = "", name, []prompt.Answer{{Authenticator: "recoverycode", Text: r.PostForm.Get("text")}}
	step, err := c.player.engine.Begin(r.Context(), req)
	if err != nil {
		return err
	}
	return c.player.play(w, r, e, "", step)
}

// coded opens the case when both codes were right.
func (c *recoveries) coded(w http.ResponseWriter, r *http.Request) error {
	secret := c.player.look.Get(r, recoveryCookie)
	standing, err := c.requests.Poll(r.Context(), secret)
	if err != nil {
		return err
	}
	e, err := c.player.browser.Kept(w, r)
	if err != nil {
		return err
	}
	if e.Action != signin.Recover || e.Object != standing.Bound() {
		return failure.Refuse("other-errand", "That was begun for another number. Begin again.")
	}
	g, err := c.player.browser.Claim(w, r, e)
	if err != nil {
		return err
	}
	if _, err := c.openings.OpenByCodes(r.Context(), g, secret); err != nil {
		return err
	}
	return look.Go(w, r, "/recovery")
}

// goOn takes the pass and goes with it to the engine, in one step: nobody sees it.
func (c *recoveries) goOn(w http.ResponseWriter, r *http.Request) error {
	name, pass, err := c.passes.Collect(r.Context(), c.player.look.Get(r, recoveryCookie), c.player.browser.Source(r).String())
	if err != nil {
		return err
	}
	return c.player.passIn(w, r, name, pass)
}

// forget has the browser begin again.
func (c *recoveries) forget(w http.ResponseWriter, r *http.Request) error {
	c.player.look.Drop(w, recoveryCookie)
	return look.Go(w, r, "/recovery")
}

// stopping asks before it stops, because mail is read by programs as well, which
// follow every link.
func (c *recoveries) stopping(w http.ResponseWriter, r *http.Request) error {
	code := r.URL.Query().Get("code")
	found, err := c.stops.Stoppable(r.Context(), code)
	if err != nil {
		return err
	}
	return c.player.pages.Render(w, r, look.Page{Template: "recovery-stop", Title: "Stop the recovery", Shape: look.Card, Data: stoppingView{code, found.Taken > 0}})
}

// stoppingView asks whether to stop a case, and says what went before.
type stoppingView struct {
	Code  string
	Taken bool // its pass was taken
}

func (c *recoveries) stop(w http.ResponseWriter, r *http.Request) error {
	undone, err := c.stops.StopByNotice(r.Context(), r.PostForm.Get("code"), c.player.browser.Source(r).String())
	if err != nil {
		return err
	}
	return c.player.look.Done(w, r, "/sign-in", language.Together(undone.Sentence(), language.Say("Your administrators were told.")))
}
