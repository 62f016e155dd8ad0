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
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"countersign/internal/application"
	"countersign/internal/clientaddr"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/protocol"
	"countersign/internal/signin"
)

// Path is where clients ask by version 2.0 of the protocol, and OldPath by version 1, which
// has no nonce.
const (
	Path    = "/wsapi/2.0/verify"
	OldPath = "/wsapi/verify"
)

// Service answers clients.
type Service struct {
	engine       protocol.Engine
	applications protocol.Applications
	clients      *clientaddr.Reader
	now          func() time.Time
	log          *slog.Logger
	ears         *protocol.Ears

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
	return &Service{engine: p.Engine, applications: p.Applications, clients: p.Clients, now: p.Now, log: p.Log, ears: p.Ears, asked: newAsked()}
}

// Handle mounts the addresses at which clients ask. A query is not logged: it holds what a
// key typed.
func (d *Service) Handle(mux *http.ServeMux) {
	for _, path := range []string{Path, OldPath} {
		mux.HandleFunc("GET "+path, d.verify)
		mux.HandleFunc("POST "+path, d.verify)
	}
}

func (d *Service) verify(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	q, ok := read(r)
	v := verdict{status: statusMissing, cause: "unreadable"}
	if ok {
		v = d.judge(r.Context(), q)
	}
	d.miss(r, v)
	io.WriteString(w, answer(q, v.status, v.client.key, d.now())) //nolint:errcheck // the client went away
}

// verdict is what becomes of a request.
type verdict struct {
	status string
	// client is who asked, as far as it is known. Its key signs the answer.
	client client
	// cause is what an administrator can mend, a key of mends, or empty.
	cause string
	// err is the cause of a breakdown, for the log.
	err error
}

// judge says what becomes of a request. Before the signature is right nothing is looked at
// that costs anything.
func (d *Service) judge(ctx context.Context, q request) verdict {
	if q.id == "" || q.otp == "" || !q.nonced() && !q.old() {
		return verdict{status: statusMissing, cause: "missing-parameter"}
	}
	c, found, err := d.client(ctx, q.id)
	switch {
	case err != nil:
		return verdict{status: statusBroken, cause: "breakdown", err: err}
	case q.h == "":
		return verdict{status: statusMissing, cause: "no-signature", client: client{application: c.application, name: c.name}}
	case !found:
		return verdict{status: statusNoClient, cause: "no-such-client"}
	case !q.signed(c.key):
		return verdict{status: statusSignature, cause: "bad-signature", client: c}
	}
	d.ears.Hear(c.application, d.now())
	switch {
	case !q.typed():
		return verdict{status: statusBad, cause: "no-one-time-password", client: c}
	case !q.old() && d.asked.before(q, d.now()):
		return verdict{status: statusAgain, client: c}
	}
	return d.ask(ctx, q, c)
}

// ask has the engine decide about a request that its client signed.
func (d *Service) ask(ctx context.Context, q request, c client) verdict {
	step, err := d.engine.Begin(ctx, signin.Request{Application: c.application, Protocol: Protocol, Medium: prompt.Single, Partner: c.name, CodeAlone: true,
		Opening: []prompt.Answer{{Authenticator: signin.AnyCode, Text: q.otp}}})
	if err != nil && failure.ClassOf(err) != failure.Refused {
		return verdict{status: statusBroken, cause: "breakdown", client: c, err: err}
	}
	d.asked.note(q, d.now())
	switch {
	case err == nil && step.State == signin.Granted:
		return verdict{status: statusOK, client: c}
	case step.Reason == "replayed":
		return verdict{status: statusReplayed, client: c}
	}
	return verdict{status: statusBad, client: c}
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
