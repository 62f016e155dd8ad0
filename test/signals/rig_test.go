package signals

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin/key"
	commands "countersign/internal/admin/signal"
	"countersign/internal/audit"
	"countersign/internal/outside"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/store"
)

// site is a server with somebody who administers it.
type site struct {
	*servertest.World
	ada *servertest.Clerk
}

// here lists this machine, where the stories' servers are.
func here(t testing.TB) outside.Listed {
	t.Helper()
	l, err := outside.List([]string{"localhost", "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func siteOn(t testing.TB, dsn string) *site {
	t.Helper()
	w := servertest.NewWorldFrom(t, server.Settings{Database: dsn, SignalsInside: here(t)}, "http://localhost", nil)
	return &site{w, servertest.OfficeOf(w, "root")[0]}
}

// does has the administrator do a command.
func (s *site) does(action string, in map[string]any, out any) {
	s.T.Helper()
	if err := s.ada.Do(context.Background(), action, in, out); err != nil {
		s.T.Fatalf("%s: %v", action, err)
	}
}

// refuses fails if the administrator can do it, or is refused without this text.
func (s *site) refuses(text, action string, in map[string]any) {
	s.T.Helper()
	if err := s.ada.Do(context.Background(), action, in, nil); err == nil || !strings.Contains(err.Error(), text) {
		s.T.Errorf("%s %v: %v, and not %q", action, in, err, text)
	}
}

// host is the host of the site's issuer.
func (s *site) host() string {
	u, err := url.Parse(s.Base)
	if err != nil {
		s.T.Fatal(err)
	}
	return u.Hostname()
}

// robot is a service account with a key for these actions.
func (s *site) robot(name string, actions ...string) string {
	s.T.Helper()
	s.does("account.create", map[string]any{"name": name, "kind": "service"}, nil)
	return s.keyOf(name, actions...)
}

func (s *site) keyOf(name string, actions ...string) string {
	s.T.Helper()
	var k key.Key
	s.does("key.issue", map[string]any{"account": name, "actions": actions, "networks": []string{"127.0.0.0/8"}}, &k)
	return k.Key
}

// together sets the clocks of two sites to the later one.
func together(all ...*site) {
	var most int64
	for _, s := range all {
		most = max(most, s.Skew.Load())
	}
	for _, s := range all {
		s.Skew.Store(most)
	}
}

// source makes a source of a site's signals at another, by push.
func (s *site) hears(of *site, more map[string]any) commands.Source {
	s.T.Helper()
	settings := map[string]any{"issuer": of.Base, "audience": s.Base, "delivery": "push", "domains": []string{of.host()},
		"events": []string{"session-revoked", "credential-change", "assurance-level-change", "account-disabled", "account-purged", "risk-level-change", "credential-compromise"}}
	for k, v := range more {
		settings[k] = v
	}
	var out commands.Source
	s.does("source.create", map[string]any{"name": "head-office", "settings": settings}, &out)
	return out
}

// tells makes a stream of everything to where a source hears.
func (s *site) tells(name string, more map[string]any) commands.Stream {
	s.T.Helper()
	settings := map[string]any{"format": "account", "events": []string{"session-revoked", "credential-change", "assurance-level-change", "account-disabled", "account-purged", "risk-level-change"}}
	for k, v := range more {
		settings[k] = v
	}
	s.numbered() // what has no number yet comes after the beginning of a stream
	var out commands.Stream
	s.does("stream.create", map[string]any{"name": name, "settings": settings}, &out)
	return out
}

// numbered waits until all entries of the log have their numbers, which some get a moment later.
func (s *site) numbered() {
	s.T.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		var waiting int
		if err := s.DB.QueryRow(context.Background(), `select count(*) from audit_inbox`).Scan(&waiting); err != nil {
			s.T.Fatal(err)
		}
		if waiting == 0 {
			return
		}
		if time.Now().After(end) {
			s.T.Fatalf("%d entries have no number", waiting)
		}
	}
}

// sends delivers what waits on pushed streams.
func (s *site) sends() {
	s.T.Helper()
	s.numbered()
	if err := s.Signals.Transmitter.Deliver(context.Background()); err != nil {
		s.T.Fatal(err)
	}
}

// asks polls the sources that are polled.
func (s *site) asks() {
	s.T.Helper()
	if err := s.Signals.Hearing.Ask(context.Background()); err != nil {
		s.T.Fatal(err)
	}
}

// told are the entries of an event, oldest first.
func (s *site) told(event string) []audit.Entry {
	s.T.Helper()
	all, err := s.DB.AuditLog().Entries(context.Background(), store.Filter{Event: event, Limit: 1000})
	if err != nil {
		s.T.Fatal(err)
	}
	return all
}

// request sends a request, with a body of JSON where there is one.
func (s *site) request(method, path, key string, body any) (int, string) {
	s.T.Helper()
	var text string
	switch body := body.(type) {
	case nil:
	case string:
		text = body
	default:
		b, err := json.Marshal(body)
		if err != nil {
			s.T.Fatal(err)
		}
		text = string(b)
	}
	return s.sendAs(method, path, key, "application/json", text)
}

func (s *site) sendAs(method, path, key, kind, text string) (int, string) {
	s.T.Helper()
	r, err := http.NewRequest(method, s.Base+path, strings.NewReader(text))
	if err != nil {
		s.T.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if text != "" {
		r.Header.Set("Content-Type", kind)
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		s.T.Fatal(err)
	}
	defer got.Body.Close()
	b, err := io.ReadAll(got.Body)
	if err != nil {
		s.T.Fatal(err)
	}
	return got.StatusCode, string(b)
}

// must is request for what must be answered so, and reads the answer.
func (s *site) must(status int, method, path, key string, body, out any) {
	s.T.Helper()
	got, text := s.request(method, path, key, body)
	if got != status {
		s.T.Fatalf("%s %s is answered %d and not %d: %s", method, path, got, status, text)
	}
	if out != nil {
		if err := json.Unmarshal([]byte(text), out); err != nil {
			s.T.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
}
