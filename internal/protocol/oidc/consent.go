package oidc

import (
	"net/http"
	"slices"

	"countersign/internal/assurance"
	"countersign/internal/signin"
)

// answerPath takes what somebody said on a page between signing in and going back.
const answerPath = "/oidc/answer"

// What somebody is asked before they go back, in the words of the errors that a client gets which
// forbids to ask (OpenID Connect Core section 3.1.2.6).
const (
	askAccount = "account_selection_required"
	askConsent = "consent_required"
)

// asksFirst is what somebody who is let in is asked before they go back; empty is nothing.
func (p *front) asksFirst(r *http.Request, q request, pending pending, g signin.Grant) (string, error) {
	here := sid(g)
	switch {
	case q.prompted("select_account") && pending.Chose != here && g.Session() != "" && !startedSince(g, q):
		return askAccount, nil
	case pending.Consents == here:
		return "", nil
	case q.prompted("consent"):
		return askConsent, nil
	case q.client.Consent != AsksConsent:
		return "", nil
	}
	before, err := p.grants.Consented(r.Context(), g.Account(), q.client.app)
	if err != nil {
		return "", err
	}
	for _, s := range q.scopes {
		if !slices.Contains(before, s) {
			return askConsent, nil
		}
	}
	return "", nil
}

// startedSince reports whether somebody has just proved themselves for this request: then they
// have chosen as whom.
func startedSince(g signin.Grant, q request) bool {
	return slices.ContainsFunc(g.Evidence(), func(e assurance.Evidence) bool { return !e.Time.Before(q.begun) })
}

// askPerson shows the page that asks.
func (p *front) askPerson(w http.ResponseWriter, r *http.Request, q request, pending pending, g signin.Grant, ask string) {
	// What is sealed says what is true once the person presses the button, in this session alone.
	if ask == askAccount {
		pending.Chose = sid(g)
	} else {
		pending.Consents = sid(g)
	}
	code, err := p.suspend(r, pending)
	if err != nil {
		p.notes.fails(err)
		p.refuse(w, r, q, errUnavailable)
		return
	}
	if ask == askAccount {
		p.askAccount(w, r, q, code, g.Name())
		return
	}
	p.askConsent(w, r, q, code, g.Name())
}

// answered goes on with what somebody said. The form holds a sealed request that counts in the
// session of whoever was asked, and nobody else has it.
func (p *front) answered(w http.ResponseWriter, r *http.Request) {
	v, f := readForm(w, r)
	if f.is() {
		p.refusePage(w, r, unreadable)
		return
	}
	pending, err := p.resume(r, v[resumed])
	if err != nil {
		p.refuseError(w, r, err)
		return
	}
	switch v["answer"] {
	case "allow", "continue":
		p.proceed(w, r, pending)
	case "another":
		p.another(w, r, pending)
	default:
		if q, ok := p.address(w, r, pending); ok {
			_ = q.understand(pending.Params) // only how the answer goes back
			p.refuse(w, r, q, fault{"access_denied", "The person did not allow it."})
		}
	}
}

// another has somebody else sign in: the sign-in page says as whom the browser is signed in, and
// signs out to begin again.
func (p *front) another(w http.ResponseWriter, r *http.Request, pending pending) {
	q, ok := p.address(w, r, pending)
	if !ok {
		return
	}
	if f := q.understand(pending.Params); f.is() {
		p.refuse(w, r, q, f)
		return
	}
	pending.Chose, pending.Begun = "", p.now()
	q.begun, q.prompts = pending.Begun, append(slices.Clone(q.prompts), "login")
	pending.Params = withPrompt(pending.Params)
	wish, f := q.wish(p.now())
	if f.is() {
		p.refuse(w, r, q, f)
		return
	}
	p.signIn(w, r, q, wish, pending)
}

// withPrompt is a request in which somebody proves themselves anew, as whomever.
func withPrompt(v params) params {
	out := params{}
	for name, value := range v {
		out[name] = value
	}
	out["prompt"] = "login"
	return out
}
