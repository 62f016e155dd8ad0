package portal

import (
	"net/http"

	"countersign/internal/enrollment"
	"countersign/internal/signin"
)

// language keeps the language that somebody chose in the foot of a page, and goes back there:
// for this browser, and for the account of its session, which is written to in it.
func (p *Portal) language(w http.ResponseWriter, r *http.Request) error {
	in, err := p.frame.look.Chosen(r)
	if err != nil {
		return err
	}
	p.frame.look.Prefer(w, in.Tag())
	step, err := p.frame.whoever(r)
	if err == nil && step.State == signin.Granted {
		err = p.languages.Set(r.Context(), step.Grant, in.Tag())
	}
	if err != nil {
		return err
	}
	return p.frame.look.Return(w, r)
}

// whoever is signed in here, also where they only set up.
func (fr *frame) whoever(r *http.Request) (signin.Step, error) {
	if fr.browser.Secret(r) == "" {
		return signin.Step{}, nil
	}
	step, err := fr.browser.Check(r, signin.SignIn, "")
	if err != nil || step.State == signin.Granted {
		return step, err
	}
	return fr.browser.Check(r, enrollment.Enroll, fr.known())
}
