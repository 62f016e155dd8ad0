package portal

import (
	"net/http"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/web/look"
)

// pinCookie holds the ticket of a PIN that is to be typed.
const pinCookie = "countersign-pin"

// beginPIN opens the form once the person has proved themselves: what is typed
// into it waits nowhere.
func (p *Portal) beginPIN(w http.ResponseWriter, r *http.Request, g signin.Grant, id assurance.CredentialID) error {
	secret, err := p.pins.Begin(r.Context(), g, id)
	if err != nil {
		return err
	}
	p.look.Set(w, pinCookie, secret, 10*time.Minute)
	return look.Go(w, r, "/account/pin")
}

func (p *Portal) pin(w http.ResponseWriter, r *http.Request) error { return p.showPIN(w, r, "") }

func (p *Portal) showPIN(w http.ResponseWriter, r *http.Request, problem string) error {
	g, _, ok, err := p.enter(w, r)
	if !ok {
		return err
	}
	var a enrollment.Authenticator
	if a, err = p.pins.Resume(r.Context(), g, p.look.Get(r, pinCookie)); err != nil {
		return err
	}
	status := 0
	if problem != "" {
		status = http.StatusBadRequest
	}
	return p.pages.Render(w, r, look.Page{Template: "pin", Title: "PIN", Shape: look.Card, Problem: problem, Status: status, Data: a})
}

func (p *Portal) setPIN(w http.ResponseWriter, r *http.Request) error {
	g, _, ok, err := p.enter(w, r)
	if !ok {
		return err
	}
	f := r.PostForm
	err = p.pins.Finish(r.Context(), g, p.look.Get(r, pinCookie), f.Get("pin"), f.Get("again"))
	if failure.ClassOf(err) == failure.Invalid {
		return p.showPIN(w, r, failure.Public(err))
	}
	if err != nil {
		return err
	}
	p.look.Drop(w, pinCookie)
	return p.look.Done(w, r, "/account", "The PIN is set. It belongs to each code from now on.")
}
