package events

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/keyring"
	"countersign/internal/keyring/keyringtest"
	"countersign/internal/outside"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// rig is a database with a log, and a clock that is moved by hand.
type rig struct {
	t    *testing.T
	db   *store.DB
	keys *keyring.Keyring

	mu  sync.Mutex
	add time.Duration
}

func newRig(t *testing.T, dsn string) *rig {
	r := &rig{t: t}
	r.db, r.keys = keyringtest.Open(t, store.Options{DSN: dsn, Now: r.now}, keyring.NewRoot())
	return r
}

func (r *rig) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Add(r.add)
}

func (r *rig) later(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add += d
}

// write records an entry and waits until it has its number.
func (r *rig) write(events ...string) {
	r.t.Helper()
	for _, event := range events {
		storetest.Change(r.t, r.db, func(tx *store.Tx) error {
			return tx.Record(audit.Entry{Event: event, Outcome: audit.OK, AccountName: "ada", Detail: map[string]string{"n": event}})
		})
	}
	if err := r.db.View().Hear(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) delivery(all ...Destination) *Delivery {
	r.t.Helper()
	d := New(Parts{DB: r.db, Keys: r.keys, Destinations: all, Now: r.now, Log: slog.New(slog.DiscardHandler)})
	if err := d.Begin(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	if err := r.db.View().Hear(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	return d
}

// steps lets one destination work as long as it has something to do.
func (r *rig) steps(d *Delivery) {
	r.t.Helper()
	for range 1000 {
		more, err := d.all[0].step(r.t.Context())
		if err != nil {
			r.t.Fatal(err)
		}
		if !more {
			return
		}
	}
	r.t.Fatal("it never ends")
}

// log is the whole log, by number.
func (r *rig) log() map[int64]string {
	r.t.Helper()
	out := map[int64]string{}
	if err := r.db.AuditLog().EachEntry(r.t.Context(), 0, func(l audit.Leaf) error { out[l.Seq] = string(l.Body); return nil }); err != nil {
		r.t.Fatal(err)
	}
	return out
}

func (r *rig) said(event string) (n int) {
	r.t.Helper()
	if err := r.db.View().Hear(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	all, err := r.db.AuditLog().Entries(r.t.Context(), store.Filter{Event: event})
	if err != nil {
		r.t.Fatal(err)
	}
	return len(all)
}

// catcher is a receiver in the same process.
type catcher struct {
	mu   sync.Mutex
	got  []audit.Entry
	fail error
	hang bool
}

func (c *catcher) Take(ctx context.Context, all []audit.Entry) (int, error) {
	if c.hang {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail == nil {
		c.got = append(c.got, all...)
	}
	return 0, c.fail
}

func (*catcher) Close() {}

func (c *catcher) numbers() (out []int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.got {
		out = append(out, e.Seq)
	}
	return out
}

// hooks is a receiver by HTTPS that does what it is told.
type hooks struct {
	*httptest.Server
	ca, secret string

	mu     sync.Mutex
	hits   int
	got    map[int64]string // each entry by its number
	ids    []string
	answer func(w http.ResponseWriter, n int) // nil accepts
}

const hookSecret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

func newHooks(t *testing.T) *hooks {
	h := &hooks{got: map[int64]string{}, ca: filepath.Join(t.TempDir(), "ca.pem"), secret: filepath.Join(t.TempDir(), "secret")}
	h.Server = httptest.NewTLSServer(http.HandlerFunc(h.serve))
	t.Cleanup(h.Server.Close)
	keep(t, h.ca, pemOf(h.Server))
	keep(t, h.secret, hookSecret+"\n")
	return h
}

func keep(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (h *hooks) serve(w http.ResponseWriter, r *http.Request) {
	all, _ := io.ReadAll(r.Body)
	var said struct {
		Events []struct {
			Seq   int64
			Entry json.RawMessage
		}
	}
	if r.Method != http.MethodPost || json.Unmarshal(all, &said) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hits++
	if h.answer != nil {
		h.answer(w, h.hits)
	}
	h.ids = append(h.ids, r.Header.Get("webhook-id"))
	for _, e := range said.Events {
		h.got[e.Seq] = string(e.Entry)
	}
}

func (h *hooks) receiver(t *testing.T, inside ...string) *Webhook {
	t.Helper()
	l, err := outside.List(inside)
	if err != nil {
		t.Fatal(err)
	}
	return &Webhook{URL: h.URL + "/a-secret-path", SecretFile: h.secret, Inside: l, Files: Files{CA: h.ca}, Host: "login.example.org", Name: "siem", Now: time.Now}
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

func pemOf(s *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}
