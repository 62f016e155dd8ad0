package portal

import (
	"net/http"
	"time"

	"countersign/internal/failure"
	"countersign/internal/session"
	"countersign/internal/signin"
)

// errandCookie holds the errand of what waits for a fresh proof: what was typed is
// not typed twice.
const errandCookie, errandLife = "countersign-own-errand", 15 * time.Minute

// errandDone is what an errand is about, done under the grant for it.
type errandDone func(w http.ResponseWriter, r *http.Request, g signin.Grant, e session.Errand) error

// prove does an errand, or keeps it and sends the person to prove themselves first.
func (p *Portal) prove(w http.ResponseWriter, r *http.Request, e session.Errand, do errandDone) error {
	step, err := p.Check(r, e.Action, e.Object)
	if err != nil {
		return err
	}
	switch step.State {
	case signin.Granted:
		return do(w, r, step.Grant, e)
	case signin.Ask:
		code, err := p.Keep(r, e)
		if err != nil {
			return err
		}
		p.Look.Set(w, errandCookie, code, errandLife)
		return p.SignIn(w, r, code)
	}
	return failure.Refuse(step.Reason, step.Public)
}

// proved does what was kept, when the person comes back. The grant is claimed for
// the action that this address is for, and the object that the errand holds.
func (p *Portal) proved(w http.ResponseWriter, r *http.Request, action string, do errandDone) error {
	e, err := p.Sessions.Errand(r.Context(), p.Look.Get(r, errandCookie))
	if err != nil {
		return err
	}
	g, err := p.Claim(w, r, action, e.Object)
	if err != nil {
		return err
	}
	p.Look.Drop(w, errandCookie)
	return do(w, r, g, e)
}
