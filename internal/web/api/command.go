package api

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/nouns"
	"countersign/internal/failure"
	"countersign/internal/signin"
)

// ProvedHeader stands in the answer to a change for which nothing was asked: when what it was
// done by was shown.
const ProvedHeader = "Countersign-Proved-At"

// commands does what admin's list has, at once or when it is approved.
type commands struct {
	engine  *signin.Engine
	admin   *admin.Admin
	caller  *caller
	waiting *waiting
}

// command does one command: at once where the session or the key is enough, and
// otherwise after a browser has approved its text.
func (a *commands) command(s admin.Spec) func(http.ResponseWriter, *http.Request) (any, error) {
	return func(w http.ResponseWriter, r *http.Request) (any, error) {
		cmd := s.New()
		if err := read(r, cmd); err != nil {
			return nil, err
		}
		key, reference := bearer(r)
		if key == "" && reference == "" {
			return nil, signInNeeded // before anything is read for a stranger
		}
		if err := a.admin.Prepare(r.Context(), cmd); err != nil {
			return nil, err
		}
		cmd, err := settle(s, cmd)
		if err != nil {
			return nil, err
		}
		step, err := a.ask(r, cmd)
		if err != nil {
			return nil, err
		}
		switch step.State {
		case signin.Granted:
			if _, own, at := step.Grant.Approval(); key == "" && !own && !s.Reads && !at.IsZero() {
				w.Header().Set(ProvedHeader, at.UTC().Format(time.RFC3339))
			}
			return a.do(r, step.Grant, cmd)
		case signin.Ask:
			if s.Reads {
				return nil, signInNeeded // looking is a matter of the session
			}
			if !awaits(r) {
				return nil, insufficient
			}
			if err := a.admin.PreflightBy(r.Context(), a.caller.asker(r), cmd); err != nil {
				return nil, err // nobody is asked to approve what would be refused
			}
			return a.waiting.await(r, s, cmd)
		}
		return nil, failure.Refuse(step.Reason, step.Public)
	}
}

// Async is the preference (RFC 7240 section 4.1) of a client that waits for an approval.
const Async = "respond-async"

// awaits reports whether the client can have a person approve what it asks for. Of one that does
// not say so the session was only stolen, or nobody sits in front of it.
func awaits(r *http.Request) bool {
	for _, line := range r.Header.Values("Prefer") {
		for one := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(one), Async) {
				return true
			}
		}
	}
	return false
}

// insufficient is a change for which the session shows too little, or what was shown too long ago
// (RFC 9470 section 3). The engine has written it down.
var insufficient = &failure.Error{Class: failure.Refused, Reason: "step-up", Public: "What this session showed is not enough for this change, or was shown too long ago. Sign in again; or send Prefer: respond-async, and have a person approve the change."}

func (a *commands) do(r *http.Request, g signin.Grant, cmd admin.Command) (any, error) {
	answer, err := a.admin.Do(r.Context(), g, cmd)
	if err == nil && answer == nil {
		answer = struct{}{}
	}
	return answer, err
}

// ask asks the engine whether this request may do this.
func (a *commands) ask(r *http.Request, cmd admin.Command) (signin.Step, error) {
	key, reference := bearer(r)
	req := a.caller.request(r, cmd.Action(), cmd.Object())
	if key != "" {
		return a.engine.CheckKey(r.Context(), req, keyKind, key)
	}
	if reference == "" {
		return signin.Step{}, signInNeeded
	}
	step, err := a.engine.Check(r.Context(), req)
	if err == nil && step.Reason == "no-session" {
		return signin.Step{}, signInNeeded
	}
	return step, err
}

// settle writes a command and reads it again, so that its text does not depend
// on how its JSON was spaced: what is approved later is read from what was kept.
func settle(s admin.Spec, cmd admin.Command) (admin.Command, error) {
	b, err := json.Marshal(cmd)
	if err != nil {
		return nil, err
	}
	out := s.New()
	return out, json.Unmarshal(b, out)
}

// again decodes what was kept of a command and makes sure that it is the same.
func again(action string, input []byte, object string) (admin.Command, error) {
	s, ok := nouns.Commands().Find(action)
	if !ok {
		return nil, noCommand
	}
	cmd := s.New()
	if err := json.Unmarshal(input, cmd); err != nil {
		return nil, err
	}
	if cmd.Object() != object {
		return nil, failure.New(failure.Internal, "a kept command reads differently")
	}
	return cmd, nil
}

var noCommand = failure.New(failure.NotFound, "There is no such command.")

// indirect returns what a pointer points to, for the document.
func indirect(v any) reflect.Type {
	t := reflect.TypeOf(v)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}
