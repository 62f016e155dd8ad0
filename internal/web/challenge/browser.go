package challenge

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/web/look"
)

// Browser reads what a browser brings and sends it to sign in, in the same way
// for every room of pages.
type Browser struct {
	look          *look.Look
	engine        *signin.Engine
	continuations *session.Continuations
	source        func(*http.Request) netip.Addr
}

// NewBrowser makes a Browser. Source says where a browser is, behind whatever proxies
// are trusted.
func NewBrowser(l *look.Look, engine *signin.Engine, continuations *session.Continuations, source func(*http.Request) netip.Addr) Browser {
	return Browser{look: l, engine: engine, continuations: continuations, source: source}
}

// Source is where the browser is, behind whatever proxies are trusted.
func (b Browser) Source(r *http.Request) netip.Addr { return b.source(r) }

// Secret is the session that the browser holds, with its bound cookie, or empty.
func (b Browser) Secret(r *http.Request) string {
	return session.With(b.look.GetNamed(r, session.Cookie(b.look.Options.Secure)), b.bound(r))
}

// Check asks the engine for an action in Countersign itself.
func (b Browser) Check(r *http.Request, action, object string) (signin.Step, error) {
	return b.engine.Check(r.Context(), signin.Request{Application: signin.Self, Action: action, Object: object, Session: b.Secret(r),
		Source: b.source(r), Protocol: "browser", Medium: prompt.Browser})
}

// continuationCookie holds the continuation that a browser signs in or proves itself for.
const (
	continuationCookie = "countersign-errand"
	cookieLife         = 15 * time.Minute
	// own stands in an address for the continuation in the cookie, which is in no address.
	own = "own"
)

// bearer is this browser, with the session that it holds.
func (b Browser) bearer(w http.ResponseWriter, r *http.Request) (session.Bearer, error) {
	return b.continuations.Bearer(r.Context(), b.look.Browser(w, r), b.Secret(r))
}

// SignIn has the browser sign in and come back to one of our own pages. It carries
// nothing that was to be done: whoever has no session makes no continuation for an action.
func (b Browser) SignIn(w http.ResponseWriter, r *http.Request, to string) error {
	code, err := b.continuations.Send(session.Continuation{Application: signin.Self, Return: to})
	if errors.Is(err, session.ErrLongWay) {
		code, err = b.continuations.Send(session.Continuation{Application: signin.Self, Return: "/account"})
	}
	if err != nil {
		return err
	}
	return look.Go(w, r, "/sign-in?errand="+url.QueryEscape(code))
}

// Prove keeps a continuation in Countersign itself, for this browser and the session that it
// holds, and has the person prove themselves for it.
func (b Browser) Prove(w http.ResponseWriter, r *http.Request, e session.Continuation) error {
	by, err := b.bearer(w, r)
	if err != nil {
		return err
	}
	if by.Session == "" { // it has just ended
		return b.SignIn(w, r, "/account")
	}
	e.Application = signin.Self
	code, err := b.continuations.Keep(r.Context(), e, by)
	if err != nil {
		return err
	}
	b.look.Set(w, continuationCookie, code, cookieLife)
	return look.Go(w, r, "/sign-in?errand="+own)
}

// Kept is the continuation that this browser began and proved itself for; anybody else's is
// refused.
func (b Browser) Kept(w http.ResponseWriter, r *http.Request) (session.Continuation, error) {
	by, err := b.bearer(w, r)
	if err != nil {
		return session.Continuation{}, err
	}
	return b.continuations.Kept(r.Context(), b.look.Get(r, continuationCookie), by)
}

// Claim turns what was proved on the sign-in pages into the grant for a kept continuation,
// and ends the continuation. It takes a form of this browser with the text in it, and whoever proved themselves
// must be whose session began it.
func (b Browser) Claim(w http.ResponseWriter, r *http.Request, e session.Continuation) (signin.Grant, error) {
	if r.Method != http.MethodPost {
		return signin.Grant{}, failure.New(failure.Internal, "an act was to be done without a form")
	}
	if err := b.movedText(r, e); err != nil {
		return signin.Grant{}, err
	}
	by, err := b.bearer(w, r)
	if err != nil {
		return signin.Grant{}, err
	}
	g, err := b.engine.Claim(r.Context(), b.look.Get(r, ticketCookie), signin.Self, e.Action, e.Object)
	if err != nil {
		return signin.Grant{}, err
	}
	code := b.look.Get(r, continuationCookie)
	b.look.Drop(w, ticketCookie)
	b.look.Drop(w, continuationCookie)
	if e.Action != signin.Recover && (g.Account() != by.Account || g.Session() != by.Session || by.Session == "") {
		return signin.Grant{}, failure.Refuse("other-account", "That was begun by somebody else; only they can approve it.")
	}
	return g, b.continuations.Done(r.Context(), code)
}
