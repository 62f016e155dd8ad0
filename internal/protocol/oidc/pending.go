package oidc

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"countersign/internal/failure"
	"countersign/internal/ticket"
)

// resumed is the parameter by which a browser comes back with a request of before.
const resumed = "resume"

// pending is a request that a browser comes back with: what the client said, word for word, and
// when it was first said. It lets nobody in, so anybody may send it to anybody.
type pending struct {
	Params params
	Begun  time.Time
	// Pushed and Signed are how it came: at our endpoint, by the client itself (RFC 9126), or
	// with its signature (RFC 9101).
	Pushed bool `json:",omitempty"`
	Signed bool `json:",omitempty"`
	// Chose and Consents are the sessions in which somebody has said as whom they go on, and that
	// the client may know what it asks for. In another session they are nothing.
	Chose    string `json:",omitempty"`
	Consents string `json:",omitempty"`
}

const (
	pendingKind, pendingLife = "oidc-request", 15 * time.Minute
	// pendingMost is how long one may be that travels: it is sealed once more on its way.
	pendingMost = 1200
	// kept begins the code of one that is in the store.
	kept = "~"
)

// pendingOf reads a request as it comes in: in its parameters, pushed before, signed, or of a
// browser that comes back. An error is Refused or Invalid where the request is at fault.
func (p *front) pendingOf(r *http.Request, v params) (pending, error) {
	switch {
	case v[resumed] != "":
		return p.resume(r, v[resumed])
	case v["request_uri"] != "":
		return p.pushed(r, v)
	case v["request"] != "":
		return p.signed(r, v)
	}
	return pending{Params: v, Begun: p.now()}, nil
}

// suspend seals a request for an address; one that is too long for that is kept here.
func (p *front) suspend(r *http.Request, pending pending) (string, error) {
	plain, err := json.Marshal(pending)
	if err != nil {
		return "", err
	}
	spec := ticket.Spec{Kind: pendingKind, Payload: plain, Lifetime: pendingLife}
	if code, fits := p.tickets.Sealed(spec); fits && len(code) <= pendingMost {
		return code, nil
	}
	code, err := p.tickets.Issue(r.Context(), spec)
	return kept + code, err
}

var errStale = &failure.Error{Class: failure.Refused, Reason: "stale", Public: "This began too long ago."}

func (p *front) resume(r *http.Request, code string) (pending, error) {
	var plain []byte
	var err error
	if secret, there := strings.CutPrefix(code, kept); there {
		var t ticket.Ticket
		t, err = p.tickets.Peek(r.Context(), pendingKind, secret)
		plain = t.Payload
	} else {
		plain, err = p.tickets.OpenSealed(pendingKind, code)
	}
	if failure.ClassOf(err) == failure.Refused {
		return pending{}, errStale
	}
	if err != nil {
		return pending{}, err
	}
	var out pending
	err = json.Unmarshal(plain, &out)
	return out, err
}
