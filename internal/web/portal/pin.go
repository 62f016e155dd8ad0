package portal

import (
	"net/http"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/signin"
	"countersign/internal/web/look"
)

// pinCookie holds the ticket of a PIN that is to be typed.
const pinCookie = "countersign-pin"

// pins are the pages on which a person sets a PIN.
type pins struct {
	frame    *frame
	enrolled *enrollment.PINs
}

// begin opens the form once the person has proved themselves: what is typed
// into it waits nowhere.
func (pp *pins) begin(w http.ResponseWriter, r *http.Request, g signin.Grant, id assurance.CredentialID) error {
	secret, err := pp.enrolled.Begin(r.Context(), g, id)
	if err != nil {
		return err
	}
	pp.frame.look.Set(w, pinCookie, secret, 10*time.Minute)
	return look.Go(w, r, "/account/pin")
}

func (pp *pins) form(w http.ResponseWriter, r *http.Request) error {
	return pp.show(w, r, language.Sentence{})
}

func (pp *pins) show(w http.ResponseWriter, r *http.Request, problem language.Sentence) error {
	g, _, ok, err := pp.frame.enter(w, r)
	if !ok {
		return err
	}
	var a enrollment.Authenticator
	if a, err = pp.enrolled.Resume(r.Context(), g, pp.frame.look.Get(r, pinCookie)); err != nil {
		return err
	}
	status := 0
	if !problem.IsZero() {
		status = http.StatusBadRequest
	}
	return pp.frame.pages.Render(w, r, look.Page{Template: "pin", Title: "PIN", Shape: look.Card, Problem: problem, Status: status, Data: a})
}

func (pp *pins) set(w http.ResponseWriter, r *http.Request) error {
	g, _, ok, err := pp.frame.enter(w, r)
	if !ok {
		return err
	}
	f := r.PostForm
	err = pp.enrolled.Finish(r.Context(), g, pp.frame.look.Get(r, pinCookie), f.Get("pin"), f.Get("again"))
	if failure.ClassOf(err) == failure.Invalid {
		return pp.show(w, r, look.Problem(err))
	}
	if err != nil {
		return err
	}
	pp.frame.look.Drop(w, pinCookie)
	return pp.frame.look.Done(w, r, "/account", language.Say("The PIN is set. It belongs to each code from now on."))
}
