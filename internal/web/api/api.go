// Package api is the admin API: every command of admin as one request, for the
// command line and for automation.
//
// It owns the wire (JSON over HTTP), its one OpenAPI document, and the waiting
// for an approval that a browser gives. It has no rule of its own: who may is
// the engine's answer, what is done is admin's. Its neighbours are the console,
// which does the same commands on pages, and web/challenge, which plays the
// approval. Its one invariant: what is done is the very text that was approved,
// by the account whose session asked for it.
package api

import (
	"embed"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/nouns"
	"countersign/internal/failure"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/ticket"
	"countersign/internal/web/challenge"
	"countersign/internal/web/look"
)

//go:embed templates
var files embed.FS

// Root is where the API's version 1 begins.
const Root = "/api/v1/"

// Protocol is its word in policy and in the audit log.
const Protocol = "api"

// keyKind is the authenticator that a key is checked by.
const keyKind = "apikey"

// Parts are what the API works on.
type Parts struct {
	Browser  challenge.Browser
	Look     *look.Look
	Engine   *signin.Engine
	Sessions *session.Sessions
	Endings  *session.Endings
	Admin    *admin.Admin
	Tickets  *ticket.Tickets
	// PublicURL is where the pages are that somebody approves on.
	PublicURL *url.URL
	Now       func() time.Time
	Log       *slog.Logger
}

// API serves requests: it is the list of them, and each is served by the piece that it is
// about.
type API struct {
	publicURL *url.URL
	log       *slog.Logger
	logins    *logins
	terminals *terminals
	sessions  *sessions
	commands  *commands
	waiting   *waiting
	approvals *approvals
}

// New prepares the API.
func New(p Parts) *API {
	c := &caller{browser: p.Browser, sessions: p.Sessions}
	q := &waiting{tickets: p.Tickets, admin: p.Admin, caller: c, publicURL: p.PublicURL, now: p.Now}
	h := &sessions{caller: c, sessions: p.Sessions, endings: p.Endings, admin: p.Admin}
	cmds := &commands{engine: p.Engine, admin: p.Admin, caller: c, waiting: q}
	in := &logins{tickets: p.Tickets, endings: p.Endings, caller: c, waiting: q, sessions: h}
	return &API{
		publicURL: p.PublicURL, log: p.Log, logins: in, sessions: h, commands: cmds, waiting: q,
		terminals: &terminals{engine: p.Engine, admin: p.Admin, caller: c, commands: cmds, sessions: h},
		approvals: &approvals{browser: p.Browser, look: p.Look, pages: p.Look.Load(files), log: p.Log, waiting: q, commands: cmds, logins: in},
	}
}

// Route is one request that the API takes.
type Route struct {
	// Pattern is as [http.ServeMux] reads it. Demand says what it demands before
	// it does anything.
	Pattern string
	Demand  look.Demand
	Summary string
	Handler func(w http.ResponseWriter, r *http.Request) (any, error)
	// Takes and Answers are empty values of what comes and goes, for the
	// document; nil is nothing.
	Takes, Answers any
}

// Requests lists everything the API takes, one for each command among them.
func (a *API) Requests() []Route {
	routes := []Route{
		{"GET " + Root + "openapi.json", look.Public(), "This document.", a.openAPI, nil, nil},
		{"POST " + Root + "login", look.Public(), "Begin to sign in: answers a page for the person's browser.", a.logins.login, LoginBegin{}, LoginPage{}},
		{"POST " + Root + "login/finish", look.Public(), "Turn the code that the browser brought back into a session.", a.logins.finish, LoginFinish{}, Session{}},
		{"POST " + Root + "login/terminal", look.Public(), "Sign in with typed answers, one request each.", a.terminals.terminal, TerminalAnswer{}, TerminalStep{}},
		{"GET " + Root + "session", look.Session(), "Say who is signed in.", a.sessions.whoami, nil, Session{}},
		{"DELETE " + Root + "session", look.Session(), "Sign out.", a.sessions.logout, nil, nil},
		{"POST " + Root + "approval", look.Public(), "Ask whether an approval was given, and for its answer.", a.waiting.poll, ApprovalWait{}, ApprovalState{}},
	}
	for _, s := range nouns.Commands() {
		routes = append(routes, Route{"POST " + Root + "commands/" + s.Action, look.Action(s.Action), s.Summary, a.commands.command(s), s.New(), s.Answer})
	}
	return routes
}

// Handler serves every request. Nothing here reads a cookie, so that no page of
// another site can ask for anything with what a browser holds.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range a.Requests() {
		mux.Handle(r.Pattern, a.serve(r.Handler))
	}
	mux.Handle(Root, a.serve(func(http.ResponseWriter, *http.Request) (any, error) {
		return nil, failure.New(failure.NotFound, "There is no such request; see %sopenapi.json.", Root)
	}))
	return mux
}

// most is the greatest body, in bytes.
const most = 256 << 10

func (a *API) serve(h func(http.ResponseWriter, *http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, most)
		head := w.Header()
		head.Set("Cache-Control", "no-store")
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		answer, err := h(w, r)
		if err != nil {
			a.problem(w, r, err)
			return
		}
		status := http.StatusOK
		if _, wait := answer.(Approval); wait {
			status = http.StatusAccepted
		}
		write(w, "application/json", status, answer)
	})
}

func write(w http.ResponseWriter, kind string, status int, v any) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.Encode(v) //nolint:errcheck // the client went away
}

// Problem is an error as RFC 9457 writes one.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

// The Type of a problem that the client can do something about.
const (
	SignInProblem = "urn:countersign:sign-in"
	StepUpProblem = "urn:countersign:step-up"
	plainProblem  = "about:blank"
)

// signInNeeded is a session that is missing, over, or no longer enough.
var signInNeeded = &failure.Error{Class: failure.Refused, Reason: "sign-in", Public: "Sign in first, or again."}

func (a *API) problem(w http.ResponseWriter, r *http.Request, err error) {
	p := Problem{Type: plainProblem, Title: failure.ClassOf(err).String(), Status: look.Status(err), Detail: failure.Public(err)}
	var big *http.MaxBytesError
	switch {
	case errors.Is(err, signInNeeded):
		p.Type, p.Status = SignInProblem, http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", "Bearer")
	case errors.Is(err, insufficient):
		p.Type, p.Status = StepUpProblem, http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_user_authentication", error_description="Sign in again, or ask for an approval with Prefer: respond-async."`)
	case errors.As(err, &big):
		p.Status = http.StatusRequestEntityTooLarge
	case p.Status >= 500:
		a.log.Error("a request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	write(w, "application/problem+json", p.Status, p)
}

// read decodes a body strictly. An empty body is an empty object.
func read(r *http.Request, into any) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return failure.New(failure.Invalid, "Send JSON, with Content-Type: application/json.")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return failure.Wrap(failure.Invalid, err, "The request could not be read; it may be longer than 256 KiB.")
	}
	if len(strings.TrimSpace(string(body))) == 0 {
		return nil
	}
	return decode(body, into)
}

func decode(body []byte, into any) error {
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return failure.New(failure.Invalid, "That cannot be read: %s.", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return failure.New(failure.Invalid, "That cannot be read: something follows the object.")
	}
	return nil
}
