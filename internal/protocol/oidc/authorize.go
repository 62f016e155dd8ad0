package oidc

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/oauth"
	"countersign/internal/protocol"
	"countersign/internal/session"
	"countersign/internal/signin"
)

// authorize is where clients send browsers (RFC 6749 section 3.1). Until client and redirect URI
// are found in the settings, what is wrong is said on a page of ours.
func (p *front) authorize(w http.ResponseWriter, r *http.Request) {
	v, f := readForm(w, r)
	if f.is() {
		p.refusePage(w, r, language.Say("%s", language.Word(f.says)))
		return
	}
	pending, err := p.pendingOf(r, v)
	if err != nil {
		p.refuseError(w, r, err)
		return
	}
	p.proceed(w, r, pending)
}

// authorizePosted takes the same by a form (OpenID Connect Core section 3.1.2.1).
func (p *front) authorizePosted(w http.ResponseWriter, r *http.Request) {
	p.askAgain(w, r, authorizePath, func(v params) (string, error) {
		pending, err := p.pendingOf(r, v)
		if err != nil {
			return "", err
		}
		return p.suspend(r, pending)
	})
}

// askAgain has the browser ask by an address what a form of another site asked: the form brought
// no session, and nothing that was begun here. The code is that of what it asked.
func (p *front) askAgain(w http.ResponseWriter, r *http.Request, path string, code func(params) (string, error)) {
	v, f := readForm(w, r)
	if f.is() || v[resumed] != "" {
		p.refusePage(w, r, unreadable)
		return
	}
	sealed, err := code(v)
	if err != nil {
		p.refuseError(w, r, err)
		return
	}
	http.Redirect(w, r, path+"?"+url.Values{resumed: {sealed}}.Encode(), http.StatusSeeOther)
}

// refuseError says on a page what is wrong; what is our own fault is said as that.
func (p *front) refuseError(w http.ResponseWriter, r *http.Request, err error) {
	switch failure.ClassOf(err) {
	case failure.Refused, failure.Invalid:
		p.refusePage(w, r, language.Say("%s", language.Word(failure.Public(err))))
	default:
		p.notes.fails(err)
		p.pages.Unavailable(w, r)
	}
}

// proceed goes on with a request as far as it leads.
func (p *front) proceed(w http.ResponseWriter, r *http.Request, pending pending) {
	q, ok := p.address(w, r, pending)
	if !ok {
		return
	}
	r = p.suggested(w, r, pending.Params)
	f := q.understand(pending.Params)
	if !f.is() {
		f = q.client.demands(pending)
	}
	if !f.is() {
		f = p.readHint(r, &q, pending.Params)
	}
	if f.is() {
		p.refuse(w, r, q, f)
		return
	}
	p.decide(w, r, q, pending)
}

// mostLocales bounds how many languages of a request are looked at.
const mostLocales = 10

// suggested has our pages be in a language that the client asks for (OpenID Connect Core section
// 3.1.2.1, ui_locales), where it is there and the person has chosen none.
func (p *front) suggested(w http.ResponseWriter, r *http.Request, v params) *http.Request {
	tags := strings.Fields(v["ui_locales"])
	if len(tags) == 0 {
		return r
	}
	return p.locales.Suggest(w, r, tags[:min(len(tags), mostLocales)])
}

// address finds the client and whether its answer may go where it says. Otherwise it has
// answered with a page.
func (p *front) address(w http.ResponseWriter, r *http.Request, pending pending) (request, bool) {
	v := pending.Params
	c, known, err := p.clients.of(r.Context(), v["client_id"])
	switch {
	case err != nil:
		p.pages.Unavailable(w, r)
		return request{}, false
	case !known:
		p.notes.miss("no-such-application", "", p.source(r))
		p.refusePage(w, r, language.Say("The application that sent you is not known here."))
		return request{}, false
	case !c.redirects(v["redirect_uri"]):
		p.notes.miss("no-such-address", c.app, p.source(r))
		p.refusePage(w, r, language.Say("The address that %s wants you to be sent back to is not one of its own.", c.title))
		return request{}, false
	}
	p.notes.hear(c)
	return request{client: c, redirect: v["redirect_uri"], state: v["state"], begun: pending.Begun}, true
}

// demands is what the client's settings demand of how a request came.
func (c client) demands(pending pending) fault {
	switch {
	case c.pushes() && !pending.Pushed:
		return fault{"invalid_request", "This client hands its requests over at the pushed authorization request endpoint."}
	case c.Requests == Signed && !pending.Signed:
		return fault{"invalid_request", "This client signs its requests."}
	}
	return fault{}
}

// decide asks the engine over the session in the browser, and goes where that leads.
func (p *front) decide(w http.ResponseWriter, r *http.Request, q request, pending pending) {
	wish, f := q.wish(p.now())
	if f.is() {
		p.refuse(w, r, q, f)
		return
	}
	step, err := p.engine.Check(r.Context(), wish.asks(q.client, p.secret(r), p.source(r)))
	switch {
	case err != nil:
		p.notes.fails(err)
		p.refuse(w, r, q, errUnavailable)
	case step.State == signin.Granted:
		p.granted(w, r, q, wish, pending, step.Grant)
	case step.State == signin.Ask && q.prompted("none"):
		p.refuse(w, r, q, notAsked(step, wish))
	case step.State == signin.Wait && q.prompted("none"):
		p.refuse(w, r, q, fault{"interaction_required", "The browser has not bound the session to its device yet."})
	case step.State == signin.Ask, step.State == signin.Wait: // the pages wait until it is bound
		p.signIn(w, r, q, wish, pending)
	case q.prompted("none") || wish.essential:
		p.refuse(w, r, q, denied(wish))
	default:
		p.notLetIn(w, r, q, protocol.Refusal(step))
	}
}

// errUnavailable is what a client is told of a breakdown of ours.
var errUnavailable = fault{"temporarily_unavailable", "The sign-in service is not available. Try again soon."}

// notAsked is why nobody is asked anything where the client forbids it.
func notAsked(step signin.Step, w wish) fault {
	switch {
	case step.Reason == "no-session" || !w.since.IsZero():
		return fault{"login_required", "The person has to sign in."}
	case w.essential:
		return fault{unmet, "The person has to show more, and the request forbids to ask."}
	}
	return fault{"interaction_required", "The person has to show more, and the request forbids to ask."}
}

func denied(w wish) fault {
	if w.essential {
		return fault{unmet, "The person cannot show what is asked for."}
	}
	return fault{"access_denied", "The person was not let in."}
}

// granted goes on with somebody who is let in: it is whom the client means, they have chosen and
// consented where that is asked for, and the browser goes back with a code.
func (p *front) granted(w http.ResponseWriter, r *http.Request, q request, wish wish, pending pending, g signin.Grant) {
	ask, err := p.asksFirst(r, q, pending, g)
	switch {
	case err != nil:
		p.notes.fails(err)
		p.refuse(w, r, q, errUnavailable)
	case q.sub != "" && q.sub != subject(g):
		p.refuse(w, r, q, fault{"login_required", "Somebody else is signed in than the one who is meant."})
	case len(wish.methods) > 0 && !used(wish.methods, assurance.AMR(g.Evidence(), p.method)):
		p.refuse(w, r, q, fault{unmet, "The person signed in by none of the methods that are demanded."})
	case ask != "" && q.prompted("none"):
		p.refuse(w, r, q, fault{ask, "The person has to be asked, and the request forbids it."})
	case ask != "":
		p.askPerson(w, r, q, pending, g, ask)
	default:
		p.give(w, r, q, wish, g)
	}
}

func used(methods, amr []string) bool {
	return slices.ContainsFunc(methods, func(m string) bool { return slices.Contains(amr, m) })
}

// give issues a code for a grant, and sends the browser back with it.
func (p *front) give(w http.ResponseWriter, r *http.Request, q request, wish wish, g signin.Grant) {
	code, err := p.grants.Begin(r.Context(), g, oauth.Spec{Redirect: q.redirect, Challenge: q.challenge, Key: q.key, Scopes: q.scopes, Nonce: q.nonce,
		Wanted: wish.wanted, Raise: wish.raise, Since: wish.since, IDClaims: q.idClaims, UserClaims: q.userClaims,
		Offline: slices.Contains(q.scopes, scopeOffline), Lasts: q.lasts(), Subject: subject(g), Listens: q.client.BackChannel != ""})
	if err != nil {
		p.notes.fails(err)
		p.refuse(w, r, q, errUnavailable)
		return
	}
	p.respond(w, r, q, url.Values{"code": {code}})
}

// lasts is how long what came of it lives; zero is as long as the session.
func (q request) lasts() time.Duration {
	if !slices.Contains(q.scopes, scopeOffline) {
		return 0
	}
	return time.Duration(q.client.OfflineDays) * 24 * time.Hour
}

// signIn sends the browser to sign in, or to show more, and back here.
func (p *front) signIn(w http.ResponseWriter, r *http.Request, q request, wish wish, pending pending) {
	back := p.public.JoinPath(authorizePath)
	code, err := p.suspend(r, pending)
	if err == nil {
		back.RawQuery = url.Values{resumed: {code}}.Encode()
		code, err = p.continuations.Send(wish.continuation(q.client, back.String()))
	}
	if errors.Is(err, session.ErrLongWay) {
		p.refuse(w, r, q, fault{"invalid_request", "The request is too long."})
		return
	}
	if err != nil {
		p.notes.fails(err)
		p.refuse(w, r, q, errUnavailable)
		return
	}
	http.Redirect(w, r, "/sign-in?errand="+url.QueryEscape(code), http.StatusSeeOther)
}
