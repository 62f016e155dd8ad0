package challenge

import (
	"net/http"
	"time"

	"countersign/internal/protocol"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/web/look"
)

// Where a browser binds a session of our own pages to its device, and goes on with it.
const bindPath, refreshPath = "/session/bind", "/session/refresh"

// deviceRoutes are what browsers send by themselves, without a form.
func (c *player) deviceRoutes() []look.Route {
	return []look.Route{
		{Pattern: "POST " + bindPath, Demand: look.Public(), Bare: true, Handler: func(w http.ResponseWriter, r *http.Request) error {
			c.devices.Bind(w, r, c.seat(r, c.browser.Secret(r)))
			return nil
		}},
		{Pattern: "POST " + refreshPath, Demand: look.Public(), Bare: true, Handler: func(w http.ResponseWriter, r *http.Request) error {
			c.devices.Refresh(w, r, c.seat(r, c.browser.Secret(r)))
			return nil
		}},
	}
}

// seat is the session of a reference at our own pages.
func (c *player) seat(r *http.Request, reference string) protocol.Seat {
	return protocol.Seat{Reference: reference, Cookie: session.BoundCookie(c.look.Options.Secure), Bind: bindPath, Refresh: refreshPath, Agent: r.UserAgent(),
		Request: signin.Request{Application: signin.Self, Source: c.browser.Source(r), Protocol: "browser"}}
}

// bound is the bound cookie that the browser brings, or empty.
func (b Browser) bound(r *http.Request) string {
	return b.look.GetNamed(r, session.BoundCookie(b.look.Options.Secure))
}

// awaits reports whether where a continuation leads takes only a session that is bound to its
// device, and this one may be so in a moment.
func (c *player) awaits(r *http.Request, e session.Continuation, secret string) (bool, error) {
	if e.Application == signin.Self {
		return false, nil
	}
	q := c.request(r, e)
	q.Session = session.With(secret, c.browser.bound(r))
	step, err := c.engine.Check(r.Context(), q)
	return step.State == signin.Wait, err
}

// awaiting waits for the browser to bind its session, and goes on by itself.
func (c *player) awaiting(w http.ResponseWriter, r *http.Request) error {
	return c.pages.Render(w, r, look.Page{Template: "device", Title: "One moment", Shape: look.Card, Refresh: time.Second, RefreshTo: again})
}
