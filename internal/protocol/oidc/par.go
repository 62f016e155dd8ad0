package oidc

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"countersign/internal/failure"
	"countersign/internal/ticket"
)

// A client hands its request over itself, and the browser brings no more than its name (RFC 9126):
// nobody between can read or change it.
const (
	parPath = "/oidc/par"
	// pushedPrefix begins the names (RFC 9126 section 2.2).
	pushedPrefix = "urn:ietf:params:oauth:request_uri:"
	// pushedKind is the ticket's, and pushedLife how long it is good: until the browser comes.
	pushedKind, pushedLife = "oidc-pushed", time.Minute
)

// push takes a request of a client that has proved who it is, and answers with its name.
func (p *desk) push(w http.ResponseWriter, r *http.Request) {
	v, c, ok := p.asked(w, r)
	if !ok {
		return
	}
	key, f, err := p.possessed(w, r, c, "")
	var pending pending
	if err == nil && !f.is() {
		pending, f, err = p.pushable(r, c, v, key)
	}
	switch {
	case err != nil:
		p.notes.broken(w, err)
		return
	case f.is():
		answerFault(w, http.StatusBadRequest, f)
		return
	}
	plain, err := json.Marshal(pending)
	if err != nil {
		p.notes.broken(w, err)
		return
	}
	secret, err := p.tickets.Issue(r.Context(), ticket.Spec{Kind: pushedKind, Payload: plain, Lifetime: pushedLife})
	if err != nil {
		p.notes.broken(w, err)
		return
	}
	p.notes.hear(c)
	answerJSON(w, http.StatusCreated, map[string]any{"request_uri": pushedPrefix + secret, "expires_in": int64(pushedLife.Seconds())})
}

// pushable is a request as it is to be kept, with everything in it found good that can be before a
// browser comes (RFC 9126 section 2.1). The key of a proof that came with it is that of the code
// (RFC 9449 section 10.1).
func (p *desk) pushable(r *http.Request, c client, v params, key string) (pending, fault, error) {
	out := pending{Params: params{}, Begun: p.now(), Pushed: true}
	for name, value := range v {
		switch name {
		case "client_secret", "client_assertion", "client_assertion_type":
		case "request_uri", resumed:
			return out, fault{"invalid_request", "A pushed request names no other one."}, nil
		default:
			out.Params[name] = value
		}
	}
	if text := v["request"]; text != "" {
		inside, err := p.opened(r, c, text)
		if failure.ClassOf(err) == failure.Refused {
			return out, fault{"invalid_request_object", "The request is not signed as it must be."}, nil
		}
		if err != nil {
			return out, fault{}, err
		}
		out.Params, out.Signed = inside, true
	}
	out.Params["client_id"] = c.ClientID
	if key != "" {
		if asked := out.Params["dpop_jkt"]; asked != "" && asked != key {
			return out, fault{"invalid_dpop_proof", "The request names another key than that of its proof."}, nil
		}
		out.Params["dpop_jkt"] = key
	}
	if !c.redirects(out.Params["redirect_uri"]) {
		p.notes.miss("no-such-address", c.app, p.source(r))
		return out, fault{"invalid_request", "The redirect URI is not among the client's."}, nil
	}
	q := request{client: c, redirect: out.Params["redirect_uri"], state: out.Params["state"], begun: out.Begun}
	f := q.understand(out.Params)
	if !f.is() {
		f = c.demands(out)
	}
	if !f.is() {
		_, f = q.wish(p.now())
	}
	return out, f, nil
}

var errPushed = refused("stale", "This began too long ago.")

// pushed is the request of a name, which is good once. No other address is ever asked for one.
func (p *front) pushed(r *http.Request, v params) (pending, error) {
	secret, ours := strings.CutPrefix(v["request_uri"], pushedPrefix)
	if !ours {
		return pending{}, refused("foreign-request", "The application names a request that is kept elsewhere. Countersign fetches none.")
	}
	t, err := p.tickets.Take(r.Context(), pushedKind, secret)
	if failure.ClassOf(err) == failure.Refused {
		return pending{}, errPushed
	}
	if err != nil {
		return pending{}, err
	}
	var out pending
	if err := json.Unmarshal(t.Payload, &out); err != nil {
		return pending{}, err
	}
	if out.Params["client_id"] != v["client_id"] {
		return pending{}, refused("other-client", "The application names a request of another one.")
	}
	out.Begun = p.now()
	return out, nil
}
