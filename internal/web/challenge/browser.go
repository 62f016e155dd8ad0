package challenge

import (
	"net/http"
	"net/netip"
	"net/url"

	"countersign/internal/prompt"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/web/look"
)

// Browser reads what a browser brings and sends it to sign in, in the same way
// for every room of pages.
type Browser struct {
	Look     *look.Look
	Engine   *signin.Engine
	Sessions *session.Sessions
	// Source says where a browser is, behind whatever proxies are trusted.
	Source func(*http.Request) netip.Addr
}

// Secret is the session that the browser holds, or empty.
func (b Browser) Secret(r *http.Request) string {
	return b.Look.GetNamed(r, session.Cookie(b.Look.Options.Secure))
}

// Check asks the engine for an action in Countersign itself.
func (b Browser) Check(r *http.Request, action, object string) (signin.Step, error) {
	return b.Engine.Check(r.Context(), signin.Request{Application: signin.Self, Action: action, Object: object, Session: b.Secret(r),
		Source: b.Source(r), Protocol: "browser", Medium: prompt.Browser})
}

// Keep keeps an errand in Countersign itself and returns its code for [Browser.SignIn].
func (b Browser) Keep(r *http.Request, e session.Errand) (string, error) {
	e.Application = signin.Self
	return b.Sessions.Send(r.Context(), e)
}

// SignIn has the browser sign in, or prove itself again, and come back for the
// errand of this code. Cookies must be set before.
func (b Browser) SignIn(w http.ResponseWriter, r *http.Request, code string) error {
	return look.Go(w, r, "/sign-in?errand="+url.QueryEscape(code))
}

// Send is Keep and then SignIn.
func (b Browser) Send(w http.ResponseWriter, r *http.Request, e session.Errand) error {
	code, err := b.Keep(r, e)
	if err != nil {
		return err
	}
	return b.SignIn(w, r, code)
}

// Claim turns what was approved on the sign-in pages into its grant.
func (b Browser) Claim(w http.ResponseWriter, r *http.Request, action, object string) (signin.Grant, error) {
	g, err := b.Engine.Claim(r.Context(), b.Look.Get(r, ticketCookie), signin.Self, action, object)
	if err == nil {
		b.Look.Drop(w, ticketCookie)
	}
	return g, err
}
