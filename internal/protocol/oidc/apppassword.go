package oidc

import (
	"net/http"
	"net/netip"
	"slices"

	"countersign/internal/signin"
)

// appPasswordPath is where resource servers ask about app passwords. No standard has such an
// address: RFC 6749 section 4.3 (the password grant) comes nearest, and would be a door for
// people's own passwords.
const appPasswordPath = "/oidc/app-password"

// Services are those that app passwords can be for, in the words of [Settings.AppPasswords].
func Services() []string { return []string{"imap", "pop3", "smtp", "sieve"} }

// appPasswordKind is what they are called among authenticators.
const appPasswordKind = "apppassword"

func (s Settings) checkAppPasswords() error {
	for i, service := range s.AppPasswords {
		switch {
		case !slices.Contains(Services(), service):
			return invalid("%q takes no app passwords; write imap, pop3, smtp or sieve.", service)
		case slices.Contains(s.AppPasswords[:i], service):
			return invalid("%s is there twice.", service)
		}
	}
	return nil
}

// appPassword says whether an app password is good now for a person at a service, to the resource
// server that it was typed at. The engine is asked each time. Whatever is wrong, the answer is the
// same, and the log has why.
func (p *desk) appPassword(w http.ResponseWriter, r *http.Request) {
	v, asker, ok := p.asked(w, r)
	if !ok {
		return
	}
	from, err := netip.ParseAddr(v["source"])
	switch {
	case asker.Authentication == ByNothing:
		p.notes.miss("no-proof", asker.app, p.source(r))
		refuseClient(w, r, errClient)
		return
	case v["username"] == "" || v["password"] == "" || v["service"] == "":
		answerFault(w, http.StatusBadRequest, fault{"invalid_request", "The parameters username, password and service are needed, and source is the device's address."})
		return
	case v["source"] != "" && err != nil:
		answerFault(w, http.StatusBadRequest, fault{"invalid_request", "The parameter source is an IP address."})
		return
	case !slices.Contains(asker.AppPasswords, v["service"]):
		p.notes.miss("no-app-passwords", asker.app, p.source(r))
		v["password"] = "" // which is none: the engine writes down whose mailbox was tried, and from where
	}
	step, err := p.engine.CheckKey(r.Context(), signin.Request{Application: asker.app, Object: v["service"], Name: v["username"], Protocol: Protocol, Source: from, Partner: asker.ClientID}, appPasswordKind, v["password"])
	if err != nil {
		p.notes.broken(w, err)
		return
	}
	p.notes.hear(asker)
	if step.State != signin.Granted {
		answerJSON(w, http.StatusOK, inactive())
		return
	}
	answerJSON(w, http.StatusOK, map[string]any{"active": true, "username": step.Grant.Name(), "sub": subject(step.Grant), "service": v["service"]})
}
