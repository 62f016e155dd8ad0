package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"countersign/internal/failure"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/ticket"
)

// loginAction is what a browser approves when a command line signs in.
const loginAction = signin.CommandLine

// LoginBegin begins a sign-in by the browser (RFC 8252, RFC 7636).
type LoginBegin struct {
	Challenge string `json:"challenge" help:"S256 of the verifier, as in RFC 7636 section 4.2."`
	Redirect  string `json:"redirect,omitempty" help:"An address on this person's own machine, http://127.0.0.1:PORT/, that the browser brings the code to; without it the page shows the code."`
	Agent     string `json:"agent,omitempty" help:"What asks, for the person to read, such as a host's name."`
}

// LoginPage is the page for the browser.
type LoginPage struct {
	Page string `json:"page"`
}

// LoginFinish turns the code into a session.
type LoginFinish struct {
	Code     string `json:"code" help:"What the browser brought or showed; good once, for five minutes."`
	Verifier string `json:"verifier" help:"What the challenge was made from."`
}

const (
	codeKind = "api-login"
	codeLife = 5 * time.Minute
)

// handed is what a code stands for.
type handed struct {
	Challenge string
	Session
}

// logins signs a command line in by the person's browser.
type logins struct {
	tickets  *ticket.Tickets
	endings  *session.Endings
	caller   *caller
	waiting  *waiting
	sessions *sessions
}

func (l *logins) login(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in LoginBegin
	if err := read(r, &in); err != nil {
		return nil, err
	}
	if b, err := base64.RawURLEncoding.Strict().DecodeString(in.Challenge); err != nil || len(b) != sha256.Size {
		return nil, failure.New(failure.Invalid, "The challenge must be the base64url of a SHA-256 sum.")
	}
	if in.Redirect != "" && !loopback(in.Redirect) {
		return nil, failure.New(failure.Invalid, "The redirect must be http://127.0.0.1:PORT/ or http://[::1]:PORT/.")
	}
	code, err := l.waiting.carried(r, pending{Action: loginAction, Object: l.caller.object(r, in.Agent), Challenge: in.Challenge, Redirect: in.Redirect, Agent: agentOf(in.Agent)})
	return LoginPage{Page: l.waiting.page(code)}, err
}

// agentMost bounds what a command line says of itself.
const agentMost = 100

// agentOf is what a command line says of itself, as far as it is shown or kept.
func agentOf(agent string) string {
	agent = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return -1
		}
		return c
	}, agent[:min(len(agent), 4*agentMost)])
	return strings.ToValidUTF8(agent[:min(len(agent), agentMost)], "")
}

// loopback accepts the redirects of RFC 8252 section 7.3: an address, not the
// name localhost, which can be made to mean another machine.
func loopback(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "/" || u.Port() == "" {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip.IsLoopback() && s == u.String()
}

// handOver starts the command line's session and returns a code for it.
func (l *logins) handOver(r *http.Request, g signin.Grant, p pending) (string, error) {
	s, err := l.sessions.start(r, g, p.Agent)
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(handed{Challenge: p.Challenge, Session: s})
	if err != nil {
		return "", err
	}
	return l.tickets.Issue(r.Context(), ticket.Spec{Kind: codeKind, Owner: int64(g.Account()), Payload: b, Lifetime: codeLife})
}

func (l *logins) finish(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in LoginFinish
	if err := read(r, &in); err != nil {
		return nil, err
	}
	t, err := l.tickets.Take(r.Context(), codeKind, strings.TrimSpace(in.Code))
	if err != nil {
		return nil, err
	}
	var h handed
	if err := json.Unmarshal(t.Payload, &h); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(in.Verifier))
	if subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(h.Challenge)) != 1 {
		// Whoever has the code and not the verifier did not begin this sign-in.
		if err := l.endings.SignOut(r.Context(), session.At(session.CommandLine, h.Secret)); err != nil {
			return nil, err
		}
		return nil, failure.Refuse("other-verifier", "That code is for another command line. Begin again.")
	}
	return h.Session, nil
}
