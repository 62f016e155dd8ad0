package oidc

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"

	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/protocol"
	"countersign/internal/session"
	"countersign/internal/ticket"
)

// Clients send browsers here to sign out (OpenID Connect RP-Initiated Logout 1.0).
const (
	logoutPath = "/oidc/logout"
	// leavePath takes what somebody said who was asked.
	leavePath = "/oidc/logout/answer"
	// leavingKind is what a request to sign out is sealed as while it travels.
	leavingKind = "oidc-logout"
)

// exit is where browsers come that sign out.
type exit struct {
	*front
	sessions *session.Sessions
	endings  *session.Endings
}

// leaving is a request to sign out, with everything in it found good.
type leaving struct {
	// Client is the client's ID, or empty where it did not say. To is where the browser goes
	// afterwards, one of that client's addresses, with State; empty is nowhere.
	Client string
	To     string
	State  string
	// Session is what the client's ID token calls the session that is to end, and Asked that of
	// whoever was asked on a page. In another session they are nothing.
	Session string
	Asked   string
}

// logout ends the session in the browser where the client's ID token is of that session. Who comes
// with another one or with none is asked first, so that no other site signs anybody out.
func (p *exit) logout(w http.ResponseWriter, r *http.Request) {
	v, f := readForm(w, r)
	if f.is() {
		p.refusePage(w, r, unreadable)
		return
	}
	l, err := p.leavingOf(r, v)
	if err != nil {
		p.refuseError(w, r, err)
		return
	}
	p.leave(w, p.suggested(w, r, v), l)
}

// logoutPosted takes the same by a form.
func (p *exit) logoutPosted(w http.ResponseWriter, r *http.Request) {
	p.askAgain(w, r, logoutPath, func(v params) (string, error) {
		l, err := p.leavingOf(r, v)
		if err != nil {
			return "", err
		}
		return p.sealLeaving(l)
	})
}

// leaves goes on with what somebody said who was asked.
func (p *exit) leaves(w http.ResponseWriter, r *http.Request) {
	v, f := readForm(w, r)
	if f.is() {
		p.refusePage(w, r, unreadable)
		return
	}
	l, err := p.openLeaving(v[resumed])
	switch {
	case err != nil:
		p.refuseError(w, r, err)
	case v["answer"] == "leave":
		p.leave(w, r, l)
	default:
		p.pages(w, r, protocol.Page{Title: "Still signed in", Heading: language.Say("Still signed in"), Sentences: []language.Sentence{language.Say("Nothing was ended.")}})
	}
}

func (p *exit) sealLeaving(l leaving) (string, error) {
	plain, err := json.Marshal(l)
	if err != nil {
		return "", err
	}
	code, fits := p.tickets.Sealed(ticket.Spec{Kind: leavingKind, Payload: plain, Lifetime: pendingLife})
	if !fits {
		return "", refused("long", "The request cannot be read.")
	}
	return code, nil
}

func (p *exit) openLeaving(code string) (l leaving, err error) {
	plain, err := p.tickets.OpenSealed(leavingKind, code)
	if failure.ClassOf(err) == failure.Refused {
		return l, errStale
	}
	if err == nil {
		err = json.Unmarshal(plain, &l)
	}
	return l, err
}

// leavingOf reads a request (section 2). Where it leads is found among the client's addresses, or
// nothing is done: so it leads nobody elsewhere.
func (p *exit) leavingOf(r *http.Request, v params) (leaving, error) {
	if v[resumed] != "" {
		l, err := p.openLeaving(v[resumed])
		l.Asked = "" // who opens an address has said nothing
		return l, err
	}
	l := leaving{Client: v["client_id"], To: v["post_logout_redirect_uri"], State: v["state"]}
	if text := v["id_token_hint"]; text != "" {
		set, err := p.statements.publicKeys(r.Context())
		if err != nil {
			return l, err
		}
		says, ok := p.statements.ours(set, text)
		if !ok || l.Client != "" && says.Aud != l.Client {
			return l, refused("bad-hint", "The application names a sign-in that was not here.")
		}
		l.Client, l.Session = says.Aud, says.Sid
	}
	if l.Client == "" && l.To == "" {
		return l, nil
	}
	c, known, err := p.clients.of(r.Context(), l.Client)
	switch {
	case err != nil:
		return l, err
	case !known:
		p.notes.miss("no-such-application", "", p.source(r))
		return l, refused("no-such-application", "The application that sent you is not known here.")
	case l.To != "" && !slices.Contains(c.PostLogout, l.To):
		p.notes.miss("no-such-address", c.app, p.source(r))
		return l, refused("no-such-address", "The address that you were to be sent to afterwards is not one of the application's.")
	}
	p.notes.hear(c)
	return l, nil
}

// leave ends the session in the browser, or asks first.
func (p *exit) leave(w http.ResponseWriter, r *http.Request, l leaving) {
	secret := p.secret(r)
	held, err := p.sessions.Active(r.Context(), secret)
	switch {
	case secret == "" || failure.ClassOf(err) == failure.Refused: // it is over already
		p.left(w, r, l, nil)
		return
	case err != nil:
		p.notes.fails(err)
		p.pages.Unavailable(w, r)
		return
	}
	if here := sidOf(held.Number); l.Session != here && l.Asked != here {
		l.Asked = here
		p.askLeaving(w, r, l)
		return
	}
	frames, err := p.frames(r.Context(), held.Account, held.Number)
	if err == nil {
		err = p.endings.SignOut(r.Context(), secret)
	}
	if err != nil {
		p.notes.fails(err)
		p.pages.Unavailable(w, r)
		return
	}
	secure := p.public.Scheme == "https"
	http.SetCookie(w, &http.Cookie{Name: session.Cookie(secure), Path: "/", MaxAge: -1, Secure: secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	p.left(w, r, l, frames)
}

// askLeaving asks whoever is signed in whether they want that.
func (p *exit) askLeaving(w http.ResponseWriter, r *http.Request, l leaving) {
	code, err := p.sealLeaving(l)
	if err != nil {
		p.refuseError(w, r, err)
		return
	}
	form := &protocol.PageForm{To: leavePath, Hidden: []string{resumed, code}, Buttons: []protocol.PageButton{
		{Name: "answer", Value: "leave", Text: language.Say("Sign out")}, {Name: "answer", Value: "stay", Text: language.Say("Stay signed in"), Second: true}}}
	if l.To != "" {
		form.Origin = originOf(l.To)
	}
	p.pages(w, r, protocol.Page{Title: "Sign out", Heading: language.Say("Do you want to sign out?"), Form: form,
		Sentences: []language.Sentence{language.Say("An application asks for it. You would be signed out of everything that you signed in to here.")}})
}

// left goes where the client wants the browser to be, or says that it is done: on a page of ours
// where applications are told in frames.
func (p *exit) left(w http.ResponseWriter, r *http.Request, l leaving, frames []string) {
	to := l.To
	if to != "" && l.State != "" {
		to = addressed(to, url.Values{"state": {l.State}})
	}
	if to == "" || len(frames) > 0 {
		p.signedOut(w, r, frames, to, language.Say("Back to the application"))
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, to, http.StatusSeeOther)
}
