package portal

import (
	"net/http"
	"slices"
	"strconv"

	"countersign/internal/assurance"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/incident"
	"countersign/internal/language"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/web/look"
)

// continuePath is where what waited for a fresh proof is done.
const continuePath = "/account/continue"

// shows are the acts that a button on a list begins: their exact text is shown, and a
// press taken under it, before anything is done or proved.
var shows = []string{enrollment.Remove, incident.Report}

// act begins what was posted.
func (p *Portal) act(w http.ResponseWriter, r *http.Request) error {
	e := session.Continuation{Action: r.PostForm.Get("action"), Object: r.PostForm.Get("object"), Back: afterwards[r.PostForm.Get(backField)]}
	if !slices.Contains(shows, e.Action) {
		return p.prove(w, r, e)
	}
	g, ok, err := p.frame.inside(w, r)
	if !ok {
		return err
	}
	v, err := p.shown(r, g, e)
	if err != nil {
		return err
	}
	if e.Says = v.Text(); r.PostForm.Get("text") != e.Says { // nothing was shown yet, or it is something else now
		return p.frame.pages.Render(w, r, look.Page{Template: "press", Title: v.Title, Shape: look.Card, Data: v})
	}
	e.Told = v.told(p.frame.look.Language(r))
	return p.prove(w, r, e)
}

// prove does a continuation, or keeps it and sends the person to prove themselves first.
// Nothing is kept for whoever has no session: they sign in, and begin again.
func (p *Portal) prove(w http.ResponseWriter, r *http.Request, e session.Continuation) error {
	step, err := p.frame.browser.Check(r, e.Action, e.Object)
	if err != nil {
		return err
	}
	switch {
	case step.State == signin.Granted:
		return p.do(w, r, step.Grant, e)
	case step.State == signin.Ask && step.Reason == "no-session":
		return p.frame.browser.SignIn(w, r, comeBack(r))
	case step.State == signin.Ask:
		e.Return = continuePath
		return p.frame.browser.Prove(w, r, e)
	}
	return step.Refusal()
}

// resume does what was kept, under the grant for exactly that.
func (p *Portal) resume(w http.ResponseWriter, r *http.Request) error {
	e, err := p.frame.browser.Kept(w, r)
	if err != nil {
		return err
	}
	if e.Return != continuePath {
		return failure.Refuse("other-errand", "This was started for another purpose. Start again.")
	}
	g, err := p.frame.browser.Claim(w, r, e)
	if err != nil {
		return err
	}
	return p.do(w, r, g, e)
}

// do is the one place that does something to somebody's own account under a grant for it.
func (p *Portal) do(w http.ResponseWriter, r *http.Request, g signin.Grant, e session.Continuation) error {
	id, _ := strconv.ParseInt(e.Object, 10, 64)
	switch e.Action {
	case enrollment.Enroll:
		if e.Form.Get("for") != "" {
			return p.devices.handOut(w, r, g, e)
		}
		return p.offers.begin(w, r, g, e)
	case enrollment.SetPIN:
		return p.pins.begin(w, r, g, assurance.CredentialID(id))
	case enrollment.Rename:
		return p.rename(w, r, g, e)
	case signin.SetQuiet:
		return p.hush(w, r, g, e)
	case enrollment.Remove:
		if err := p.changes.Remove(r.Context(), g, assurance.CredentialID(id)); err != nil {
			return err
		}
		return p.frame.look.Done(w, r, afterPath+afterRemoval, language.Say("It was removed."))
	case incident.Report:
		off, err := p.incidents.Report(r.Context(), g, id)
		if err != nil {
			return err
		}
		return p.frame.look.Done(w, r, afterPath+afterReport, reportedNow(off))
	case signin.Approve:
		return p.approvals.approveIt(w, r, g, e.Object)
	}
	return failure.New(failure.NotFound, "Unknown action.")
}
