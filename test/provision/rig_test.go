package provision

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"testing"

	"countersign/internal/admin/key"
	"countersign/internal/admin/provisioning"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/provision"
	"countersign/internal/servertest"
	"countersign/internal/store"
)

// receiver is a second Countersign, whose own SCIM server is the application's: it knows nothing
// of who sends.
type receiver struct {
	*servertest.World
	key string
	// front is what stands before it; a test breaks it.
	front *front
}

// front passes requests on, writes them down, and answers some itself.
type front struct {
	*httptest.Server
	mu       sync.Mutex
	requests []string // method and path
	bodies   []string
	instead  func(w http.ResponseWriter, r *http.Request) bool
}

func (f *front) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

func (f *front) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests, f.bodies = nil, nil
}

func (f *front) answers(instead func(w http.ResponseWriter, r *http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.instead = instead
}

// newFront stands before a server.
func newFront(t testing.TB, to string) *front {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	f := &front{}
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u) }}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.requests = append(f.requests, r.Method+" "+r.URL.RequestURI())
		instead := f.instead
		f.mu.Unlock()
		if instead == nil || !instead(w, r) {
			pass.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(f.Close)
	return f
}

var everything = []string{"account.list", "account.show", "account.create", "account.rename", "account.set-display", "account.set-mail", "account.set-external",
	"account.suspend", "account.resume", "account.remove", "group.list", "group.show", "group.create", "group.set-display", "group.set-external",
	"group.member.add", "group.member.remove", "group.remove"}

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	w := servertest.NewWorld(t)
	clerk := servertest.OfficeOf(w, "operator")[0]
	if err := clerk.Do(context.Background(), "account.create", map[string]any{"name": "provisioner", "kind": "service"}, nil); err != nil {
		t.Fatal(err)
	}
	var k key.Key
	if err := clerk.Do(context.Background(), "key.issue", map[string]any{"account": "provisioner", "actions": everything, "networks": []string{"127.0.0.0/8"}}, &k); err != nil {
		t.Fatal(err)
	}
	return &receiver{World: w, key: k.Key, front: newFront(t, w.Base)}
}

// has is an account there by name; false for none.
func (r *receiver) has(t testing.TB, name string) (directory.Account, bool) {
	t.Helper()
	a, err := r.Accounts.Find(t.Context(), r.DB, name)
	return a, err == nil
}

// sender is the Countersign that provisions.
type sender struct {
	*servertest.World
	clerk *servertest.Clerk
	to    *receiver
}

func (s *sender) settings(more map[string]any) map[string]any {
	out := map[string]any{"address": s.to.front.URL + "/scim/v2", "token": s.to.key, "inside": []string{"127.0.0.1"}}
	for k, v := range more {
		out[k] = v
	}
	return out
}

func (s *sender) set(t testing.TB, more map[string]any) {
	t.Helper()
	if err := s.trySet(t, s.settings(more)); err != nil {
		t.Fatal(err)
	}
}

func (s *sender) trySet(t testing.TB, settings map[string]any) error {
	t.Helper()
	raw, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	return s.clerk.Do(t.Context(), "provisioning.set", map[string]any{"application": "wiki", "settings": json.RawMessage(raw)}, nil)
}

func (s *sender) does(t testing.TB, action string, in map[string]any, into any) {
	t.Helper()
	if err := s.clerk.Do(t.Context(), action, in, into); err != nil {
		t.Fatalf("%s %v: %v", action, in, err)
	}
}

// person makes one with a mail address.
func (s *sender) person(t testing.TB, name, display string) {
	t.Helper()
	s.does(t, "account.create", map[string]any{"name": name, "display": display, "mail": name + "@example.org"}, nil)
}

// works does what is due.
func (s *sender) works(t testing.TB) {
	t.Helper()
	if _, err := s.DB.Checkpoint(t.Context()); err != nil { // which numbers all entries, without which nobody reads them
		t.Fatal(err)
	}
	for range 5 {
		if err := s.Provision.Worker.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		if c, err := s.Provision.Queue.Count(t.Context(), s.DB, "wiki"); err != nil || c.Due == 0 {
			return
		}
	}
}

func (s *sender) shown(t testing.TB) provisioning.Shown {
	t.Helper()
	var out provisioning.Shown
	s.does(t, "provisioning.show", map[string]any{"application": "wiki"}, &out)
	return out
}

func (s *sender) drift(t testing.TB) provision.Drift {
	t.Helper()
	var out provision.Drift
	s.does(t, "provisioning.compare", map[string]any{"application": "wiki"}, &out)
	return out
}

type troubled = provisioning.Trouble

// entries are those of the log whose events begin so.
func (s *sender) entries(t testing.TB, event string) []audit.Entry {
	t.Helper()
	all, err := s.DB.AuditLog().Entries(t.Context(), store.Filter{Event: event, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// told are the events of the log that begin so.
func (s *sender) told(t testing.TB, event string) (out []string) {
	t.Helper()
	for _, e := range s.entries(t, event) {
		out = append(out, e.Event)
	}
	return out
}
