package entra

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/linked"
	"countersign/internal/prompt"
	"countersign/internal/protocol"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/signingkey"
	"countersign/internal/ticket"
)

// asked is a believed request that waits while its person signs in here. It stays on this server.
type asked struct {
	App, State, Nonce, Class string
	Number                   int64 // of the application
	Methods                  []string
	Subject                  string // of the hint
	Account                  linked.Account
	ID                       string // client-request-id
	Begun                    time.Time
	// Browser is the hash of what the browser holds that brought the hint.
	Browser []byte
}

const askedKind = "entra-request"

// cookie is what the browser that brought a hint holds until it brings the answer. Each request
// has its own, named after the code that it comes back with, so that two windows do not disturb
// each other.
func (d *provider) cookie(code string) string {
	name := "countersign-entra-" + ticket.Name(code)
	if d.public.Scheme == "https" {
		return "__Host-" + name
	}
	return name
}

func hashOf(secret string) []byte {
	sum := sha256.Sum256([]byte("countersign entra browser\x00" + secret))
	return sum[:]
}

// send keeps a request, gives the browser that brought it what it is known by, and sends it on:
// by a form of another site it brings no session, and by the address that follows it does.
func (d *provider) send(w http.ResponseWriter, r *http.Request, a asked) {
	secret := rand.Text()
	a.Browser = hashOf(secret)
	payload, err := json.Marshal(a)
	if err == nil {
		var code string
		code, err = d.tickets.Issue(r.Context(), ticket.Spec{Kind: askedKind, Owner: int64(a.Account.ID), Payload: payload, Lifetime: life})
		if err == nil {
			http.SetCookie(w, &http.Cookie{Name: d.cookie(code), Value: secret, Path: "/", MaxAge: int(life.Seconds()), Secure: d.public.Scheme == "https", HttpOnly: true, SameSite: http.SameSiteLaxMode})
			http.Redirect(w, r, issuer(d.public, a.App)+continuePath+"?"+url.Values{"request": {code}}.Encode(), http.StatusSeeOther)
			return
		}
	}
	d.unavailable(w, r, err)
}

var errOtherBrowser = errors.New("entra: another browser than that which brought the hint")

// waiting is the request of a code, of this party, in the browser that brought it.
func (d *provider) waiting(r *http.Request, of *party, code string) (asked, error) {
	t, err := d.tickets.Peek(r.Context(), askedKind, code)
	if err != nil {
		return asked{}, err
	}
	var a asked
	if err := json.Unmarshal(t.Payload, &a); err != nil {
		return asked{}, err
	}
	if a.App != of.app || a.Number != of.number {
		return asked{}, failure.Refuse("stale", "This began too long ago.")
	}
	held := r.CookiesNamed(d.cookie(code))
	if len(held) != 1 || subtle.ConstantTimeCompare(hashOf(held[0].Value), a.Browser) != 1 {
		return a, errOtherBrowser
	}
	return a, nil
}

// goOn answers a request, or sends the browser to sign in for it.
func (d *provider) goOn(w http.ResponseWriter, r *http.Request) {
	private(w)
	of, err := d.parties.named(r.Context(), r.PathValue("app"))
	if err != nil {
		d.unavailable(w, r, err)
		return
	}
	if of == nil {
		d.stop(w, r, gone)
		return
	}
	code := r.URL.Query().Get("request")
	a, err := d.waiting(r, of, code)
	switch {
	case errors.Is(err, errOtherBrowser):
		d.notes.record(r, a.request(of), meant{a.Account, true}, denies("other-browser"))
		d.stop(w, r, otherBrowser)
	case failure.ClassOf(err) == failure.Refused:
		d.stop(w, r, gone)
	case err != nil:
		d.unavailable(w, r, err)
	default:
		d.decide(w, r, of, a, code)
	}
}

// request is what was asked, as far as an answer needs it.
func (a asked) request(of *party) request { return request{of: of, state: a.State, id: a.ID} }

// asks is the request as the engine is asked it: something that its owner holds was shown, and
// since Entra asked unless the settings let the session count.
func (d *provider) asks(r *http.Request, of *party, a asked) signin.Request {
	held := assurance.Need(assurance.Held)
	q := signin.Request{Application: of.app, Session: protocol.Held(r, d.public), Source: d.notes.source(r), Protocol: Protocol, Medium: prompt.Browser, Raise: &held, Partner: of.ClientID}
	if of.Evidence != OfSession {
		q.Since = a.Begun
	}
	return q
}

// decide asks the engine over the session in the browser, and goes where that leads.
func (d *provider) decide(w http.ResponseWriter, r *http.Request, of *party, a asked, code string) {
	q := a.request(of)
	if other, err := d.somebodyElse(r, a); err != nil {
		d.breaks(w, r, q, err)
		return
	} else if other {
		d.notes.record(r, q, meant{a.Account, true}, denies("other-account"))
		d.tellOther(w, r, q)
		return
	}
	ask := d.asks(r, of, a)
	step, err := d.engine.Check(r.Context(), ask)
	switch {
	case err != nil:
		d.breaks(w, r, q, err)
	case step.State == signin.Granted:
		d.answer(w, r, of, a, code, step.Grant)
	case step.State == signin.Ask:
		d.signIn(w, r, a, ask, code)
	default:
		d.notes.record(r, q, meant{a.Account, true}, denies(step.Reason))
		d.tellDenied(w, r, q, protocol.Refusal(step))
	}
}

// somebodyElse reports whether another account than the linked one is signed in here.
func (d *provider) somebodyElse(r *http.Request, a asked) (bool, error) {
	secret := protocol.Held(r, d.public)
	if secret == "" {
		return false, nil
	}
	held, err := d.sessions.Active(r.Context(), secret)
	if failure.ClassOf(err) == failure.Refused {
		return false, nil
	}
	return err == nil && held.Account != a.Account.ID, err
}

// signIn sends the browser to sign in, or to show more, and back to be answered. Whoever has no
// session signs in first by what policy demands: whether they can show more is known then.
func (d *provider) signIn(w http.ResponseWriter, r *http.Request, a asked, ask signin.Request, code string) {
	back := issuer(d.public, a.App) + continuePath + "?" + url.Values{"request": {code}}.Encode()
	if ask.Session == "" {
		ask.Raise = nil
	}
	errand, err := d.continuations.Send(session.Continuation{Application: a.App, Protocol: Protocol, Raise: ask.Raise, Since: ask.Since, Return: back, Hint: a.Account.Name})
	if err != nil {
		d.unavailable(w, r, err)
		return
	}
	http.Redirect(w, r, "/sign-in?errand="+url.QueryEscape(errand), http.StatusSeeOther)
}

// answer tells Entra by which second factor the linked account showed who it is.
func (d *provider) answer(w http.ResponseWriter, r *http.Request, of *party, a asked, code string, g signin.Grant) {
	q, who := a.request(of), meant{a.Account, true}
	if !g.Covers(of.app, signin.SignIn, "") || g.Account() != a.Account.ID {
		d.notes.record(r, q, who, denies("other-account"))
		d.tellOther(w, r, q)
		return
	}
	method := methodOf(a.Methods, d.counted(of, a, g), d.method)
	if method == "" {
		d.refuse(w, r, q, who, denies("no-such-method"))
		return
	}
	if _, err := d.tickets.Take(r.Context(), askedKind, code); err != nil { // one answer for a request
		d.stop(w, r, gone)
		return
	}
	signed, err := d.statement(r.Context(), of, a, method)
	if err == nil {
		err = d.links.Told(r.Context(), g, detailOf(q, map[string]string{"acr": a.Class, "amr": method}))
	}
	if err != nil {
		d.breaks(w, r, q, err)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: d.cookie(code), Path: "/", MaxAge: -1, Secure: d.public.Scheme == "https", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	d.post(w, r, q, url.Values{"id_token": {signed}})
}

// counted is the evidence that an answer may name: what was shown since Entra asked, unless the
// settings let the session count.
func (d *provider) counted(of *party, a asked, g signin.Grant) []assurance.Evidence {
	all := g.Evidence()
	if of.Evidence == OfSession {
		return all
	}
	return slices.DeleteFunc(all, func(e assurance.Evidence) bool { return e.Time.Before(a.Begun) })
}

// answerLife is how long an answer is good: it is read once, at once.
const answerLife = 5 * time.Minute

// statement is the answer (Microsoft's "Microsoft Entra ID processing of the provider response"):
// one class of those that were asked for, and one method in a list.
func (d *provider) statement(ctx context.Context, of *party, a asked, method string) (string, error) {
	now := d.now()
	says, err := json.Marshal(map[string]any{
		"iss": issuer(d.public, of.app), "aud": of.ClientID, "sub": a.Subject, "nonce": a.Nonce,
		"iat": now.Unix(), "exp": now.Add(answerLife).Unix(), "acr": a.Class, "amr": []string{method},
	})
	if err != nil {
		return "", err
	}
	return d.signers.Sign(ctx, d.signing, signingkey.RS256, "JWT", says)
}

// numberOf is a hash that names a hint in the log without telling it.
func numberOf(hint string) string {
	sum := sha256.Sum256([]byte(hint))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}
