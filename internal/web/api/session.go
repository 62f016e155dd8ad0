package api

import (
	"net/http"
	"time"

	"countersign/internal/admin"
	"countersign/internal/failure"
	"countersign/internal/session"
	"countersign/internal/signin"
)

// Session is a command line's session. Secret is told once.
type Session struct {
	Secret  string    `json:"secret,omitempty"`
	Account string    `json:"account"`
	Display string    `json:"display,omitempty"`
	Groups  []string  `json:"groups,omitempty"`
	Number  string    `json:"number,omitempty"`
	Expires time.Time `json:"expires,omitzero"`
}

// sessions begins a command line's sessions, tells of them and ends them.
type sessions struct {
	caller   *caller
	sessions *session.Sessions
	endings  *session.Endings
	admin    *admin.Admin
}

func (h *sessions) start(r *http.Request, g signin.Grant, agent string) (Session, error) {
	if agent == "" {
		agent = "command line"
	}
	secret, err := h.sessions.StartAt(r.Context(), g, session.CommandLine, agent)
	if err != nil {
		return Session{}, err
	}
	held, err := h.sessions.Active(r.Context(), session.At(session.CommandLine, secret))
	return Session{Secret: secret, Account: g.Name(), Display: g.Display(), Groups: g.Groups(), Number: held.Number, Expires: held.Expires}, err
}

func (h *sessions) whoami(_ http.ResponseWriter, r *http.Request) (any, error) {
	held, err := h.caller.session(r)
	if err != nil {
		return nil, err
	}
	name, display, groups, err := h.admin.WhoIs(r.Context(), held.Account)
	switch {
	case failure.ClassOf(err) == failure.Refused: // it is nobody's session any more
		return nil, signInNeeded
	case err != nil:
		return nil, err
	}
	return Session{Account: name, Display: display, Groups: groups, Number: held.Number, Expires: held.Expires}, nil
}

func (h *sessions) logout(_ http.ResponseWriter, r *http.Request) (any, error) {
	_, reference := bearer(r)
	return struct{}{}, h.endings.SignOut(r.Context(), reference)
}
