package api

import (
	"cmp"
	"net/http"
	"net/netip"
	"strings"

	"countersign/internal/admin"
	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/text"
	"countersign/internal/web/challenge"
)

// caller reads off a request who asks, and from where.
type caller struct {
	browser  challenge.Browser
	sessions *session.Sessions
}

// bearer is what the request proves itself with: a key, or the reference of a
// session; both may be empty.
func bearer(r *http.Request) (key, reference string) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case !strings.EqualFold(scheme, "Bearer"):
		return "", ""
	case strings.HasPrefix(secret, "cskey_"):
		return secret, ""
	}
	return "", session.At(session.CommandLine, secret)
}

// source is the address that the request came from.
func (c *caller) source(r *http.Request) netip.Addr { return c.browser.Source(r) }

// request is what the engine is asked with the caller's session.
func (c *caller) request(r *http.Request, action, object string) signin.Request {
	_, reference := bearer(r)
	return signin.Request{Application: signin.Self, Action: action, Object: object, Session: reference, Source: c.source(r), Protocol: Protocol}
}

// asker is who asks, for the log.
func (c *caller) asker(r *http.Request) admin.Asker {
	_, reference := bearer(r)
	return admin.Asker{Session: reference, Protocol: Protocol, Source: c.source(r)}
}

// session is the active session that a request comes with; signInNeeded if there is none.
func (c *caller) session(r *http.Request) (signin.Held, error) {
	_, reference := bearer(r)
	held, err := c.sessions.Active(r.Context(), reference)
	if failure.ClassOf(err) == failure.Refused {
		err = signInNeeded
	}
	return held, err
}

// from is where the caller is, for the person to read.
func (c *caller) from(r *http.Request) string {
	return cmp.Or(audit.AddressText(c.source(r)), "this machine")
}

// object is what the person reads and approves: where the command line is.
func (c *caller) object(r *http.Request, agent string) string {
	from := c.from(r)
	if agent = agentOf(agent); agent == "" {
		return "command line at " + from
	}
	return "command line at " + from + " " + text.OneLine(agent)
}
