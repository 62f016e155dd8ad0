// Package yubico speaks Yubico's Validation Protocol Version 2.0, so that programs
// that ask YubiCloud whether a key's one-time password is good can ask here.
// https://developers.yubico.com/OTP/Specifications/OTP_validation_protocol.html
//
// It owns the query, both signatures and the answer's words. It does not open a
// one-time password: signin has the authenticator do that and decides, by the
// policy of the application that the client belongs to. Its one invariant: "OK" is
// a Grant, for a request that the client signed.
package yubico

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"countersign/internal/application"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/protocol"
	"countersign/internal/signin"
)

// Path is where clients ask.
const Path = "/wsapi/2.0/verify"

// Service answers clients.
type Service struct {
	engine       protocol.Engine
	applications protocol.Applications
	now          func() time.Time

	mu    sync.Mutex
	cache clientCache
	asked *asked
}

// clientCache holds the clients as they were read last.
type clientCache struct {
	changed uint64
	clients map[string]client // by id; nil before the first reading
}

// client is one Client, ready for use.
type client struct {
	application, name string
	key               []byte
}

// New makes a Service.
func New(p protocol.Parts) *Service {
	return &Service{engine: p.Engine, applications: p.Applications, now: p.Now, asked: newAsked()}
}

// Handle mounts the address at which clients ask. A query is not logged: it holds what a
// key typed.
func (d *Service) Handle(mux *http.ServeMux) { mux.HandleFunc("GET "+Path, d.verify) }

func (d *Service) verify(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	q, ok := parse(r.URL.RawQuery)
	status, key := statusMissing, []byte(nil)
	if ok {
		status, key = d.judge(r.Context(), q)
	}
	io.WriteString(w, answer(q, status, key, d.now())) //nolint:errcheck // the client went away
}

// judge says what becomes of a request, and with which key the answer is signed.
// Before the signature is right nothing is looked at that costs anything.
func (d *Service) judge(ctx context.Context, q request) (status string, key []byte) {
	if q.id == "" || q.otp == "" || q.h == "" || !q.nonced() {
		return statusMissing, nil
	}
	c, found, err := d.client(ctx, q.id)
	switch {
	case err != nil:
		return statusBroken, nil
	case !found:
		return statusNoClient, nil
	case !q.signed(c.key):
		return statusSignature, c.key
	case !q.typed():
		return statusBad, c.key
	case d.asked.before(q, d.now()):
		return statusAgain, c.key
	}
	step, err := d.engine.Begin(ctx, signin.Request{Application: c.application, Protocol: Protocol, Medium: prompt.Single, Partner: c.name, CodeAlone: true,
		Opening: []prompt.Answer{{Authenticator: signin.AnyCode, Text: q.otp}}})
	if err != nil && failure.ClassOf(err) != failure.Refused {
		return statusBroken, c.key
	}
	d.asked.note(q, d.now())
	switch {
	case err == nil && step.State == signin.Granted:
		return statusOK, c.key
	case step.Reason == "replayed":
		return statusReplayed, c.key
	}
	return statusBad, c.key
}

// client finds who has this id. An id that two applications gave away is
// nobody's.
func (d *Service) client(ctx context.Context, id string) (client, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if changed := d.applications.Changed(); d.cache.clients == nil || d.cache.changed != changed {
		all, err := d.applications.ByProtocol(ctx, Protocol)
		if err != nil {
			return client{}, false, err
		}
		d.cache = clientCache{changed: changed, clients: register(all)}
	}
	c, ok := d.cache.clients[id]
	return c, ok && c.key != nil, nil
}

func register(all []application.Application) map[string]client {
	clients := map[string]client{}
	for _, a := range all {
		s, err := parseSettings(a.Settings)
		if err != nil {
			continue // settings of an older release that are refused today serve nobody
		}
		for _, c := range s.Clients {
			id := strconv.Itoa(c.ID)
			key, _ := c.key() // parseSettings has tried it
			if _, twice := clients[id]; twice {
				key = nil
			}
			clients[id] = client{application: a.Name, name: c.Name, key: key}
		}
	}
	return clients
}
