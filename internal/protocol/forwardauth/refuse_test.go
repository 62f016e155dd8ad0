package forwardauth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/clientaddr"
	"countersign/internal/protocol"
)

// list is a catalogue of one application. The way to the store may be cut.
type list struct {
	settings string
	changed  uint64
	cut      bool
}

func (l *list) Changed() uint64 { return l.changed }

func (l *list) ByProtocol(context.Context, string) ([]application.Application, error) {
	if l.cut {
		return nil, errors.New("the store does not answer")
	}
	return []application.Application{{Name: "wiki", Settings: json.RawMessage(l.settings)}}, nil
}

// proxies are the trusted ones of these tests.
var proxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}

// without is a door with one application and no engine: whoever gets as far as
// the engine makes it panic.
func without(t *testing.T) (*Guard, http.Handler) {
	t.Helper()
	u, err := url.Parse("https://login.example.org")
	if err != nil {
		t.Fatal(err)
	}
	d := New(protocol.Parts{Applications: &list{settings: `{"hosts":["wiki.example.org"]}`}, PublicURL: u, Clients: clientaddr.NewReader(proxies, time.Now, nil), Now: time.Now})
	mux := http.NewServeMux()
	d.Handle(mux)
	return d, d.Around(mux)
}

// decided reports whether a question gets as far as the engine, and if not, how
// it is answered.
func decided(h http.Handler, r *http.Request) (asked bool, status int) {
	w := httptest.NewRecorder()
	defer func() {
		if recover() != nil {
			asked = true
		}
	}()
	h.ServeHTTP(w, r)
	return false, w.Code
}

// Whatever a browser sends beside the proxy's own headers, and whoever asks who
// is no listed proxy, the engine is not even asked.
func TestRefusedBeforeTheEngine(t *testing.T) {
	_, h := without(t)
	type headers map[string][]string
	good := map[string]headers{
		"/verify/nginx": {"X-Original-Url": {"https://wiki.example.org/notes"}, "X-Original-Method": {"GET"}},
		"/verify/caddy": {"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"wiki.example.org"}, "X-Forwarded-Uri": {"/notes"}, "X-Forwarded-Method": {"GET"}},
	}
	good["/verify/traefik"], good["/verify/haproxy"] = good["/verify/caddy"], good["/verify/caddy"]
	good["/verify/envoy/notes"] = headers{"X-Forwarded-Proto": {"https"}}
	request := func(path string, hs ...headers) *http.Request {
		r := httptest.NewRequest("GET", "https://wiki.example.org"+path, nil)
		r.RequestURI = path
		r.RemoteAddr = "192.0.2.1:4711"
		r.Header.Set("X-Forwarded-For", "203.0.113.9")
		r.Header.Set("Cookie", cookie("https")+"=x")
		for _, h := range hs {
			for name, values := range h {
				r.Header[name] = values
			}
		}
		return r
	}
	for path, hs := range good {
		r := request(path, hs)
		if asked, status := decided(h, r); !asked {
			t.Fatalf("%s: a plain question is answered %d", path, status)
		}
		r = request(path, hs)
		r.RemoteAddr = "198.51.100.1:4711"
		if asked, status := decided(h, r); asked || status != http.StatusForbidden {
			t.Errorf("%s: a question of no listed proxy is answered %d, %v", path, status, asked)
		}
		for _, said := range [][]string{nil, {}, {""}, {"nonsense"}, {"203.0.113.9", ""}, {"203.0.113.9,"}, {"unknown"}, {"0.0.0.0"}} {
			r = request(path, hs, headers{"X-Forwarded-For": said})
			if asked, status := decided(h, r); asked || status != http.StatusForbidden {
				t.Errorf("%s: a browser at %q is answered %d, %v", path, said, status, asked)
			}
		}
		for name, values := range hs {
			for _, bad := range [][]string{nil, {""}, {values[0], values[0]}, {values[0], "x"}, {values[0] + ", " + values[0]}, {values[0] + " "}, {" " + values[0]}, {values[0] + "\t"}, {values[0] + "\x00"}} {
				r := request(path, hs)
				r.Header[name] = bad
				if asked, status := decided(h, r); asked || status != http.StatusForbidden {
					t.Errorf("%s: with %s: %q it is answered %d, %v", path, name, bad, status, asked)
				}
			}
		}
	}
	for _, u := range []string{"http://wiki.example.org/notes", "ftp://wiki.example.org/", "https://wiki.example.org", "https://x@wiki.example.org/", "https://wiki.example.org:8443/", "https://other.example.org/", "https://wiki.example.org#/", "wiki.example.org/notes",
		"https:/wiki.example.org/notes", "https://wiki.example.org\\@other.example.org/", "HTTPS://wiki.example.org/notes", "https://wiki.example.org/%", "https://wiki.example.org/a/../b"} {
		if asked, status := decided(h, request("/verify/nginx", headers{"X-Original-Url": {u}, "X-Original-Method": {"GET"}})); asked || status != http.StatusForbidden {
			t.Errorf("%s is answered %d, %v", u, status, asked)
		}
	}
}

// What only a listed proxy may bring, and what begins with nothing.
func TestOnHostRefuses(t *testing.T) {
	_, h := without(t)
	for _, path := range []string{beginPath + "?to=/", acceptPath + "?to=/&code=x"} {
		for why, change := range map[string]func(*http.Request){
			"no listed proxy": func(r *http.Request) { r.RemoteAddr = "198.51.100.1:4711" },
			"another host":    func(r *http.Request) { r.Header.Set("X-Forwarded-Host", "other.example.org") },
			"two hosts":       func(r *http.Request) { r.Header["X-Forwarded-Host"] = []string{"wiki.example.org", "wiki.example.org"} },
			"no scheme":       func(r *http.Request) { r.Header.Del("X-Forwarded-Proto") },
			"no address":      func(r *http.Request) { r.Header.Del("X-Forwarded-For") },
			"plain http":      func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "http") },
		} {
			r := httptest.NewRequest("GET", path, nil)
			r.RemoteAddr = "192.0.2.1:4711"
			r.Header.Set("X-Forwarded-Proto", "https")
			r.Header.Set("X-Forwarded-Host", "wiki.example.org")
			r.Header.Set("X-Forwarded-For", "203.0.113.9")
			change(r)
			if asked, status := decided(h, r); asked || status != http.StatusForbidden {
				t.Errorf("%s with %s is answered %d, %v", path, why, status, asked)
			}
		}
	}
}

// A change is heard of at once, and a server that is cut off from the store does
// not go on by what it remembers.
func TestIndexIsFresh(t *testing.T) {
	now, l := time.Now(), &list{settings: `{"hosts":["a.example.org"]}`}
	d := New(protocol.Parts{Applications: l, Now: func() time.Time { return now }})
	knows := func(host string) bool {
		_, ok, err := d.find(t.Context(), host)
		return ok && err == nil
	}
	if !knows("a.example.org") || knows("b.example.org") {
		t.Fatal("the cache is not what the catalogue says")
	}
	l.settings, l.changed = `{"hosts":["b.example.org"]}`, 1
	if knows("a.example.org") || !knows("b.example.org") {
		t.Error("a change that was announced is not heard of")
	}
	l.settings = `{"hosts":["a.example.org"]}`
	now = now.Add(keep)
	if !knows("a.example.org") || knows("b.example.org") {
		t.Error("a change that was not announced is never heard of")
	}
	l.cut = true
	if !knows("a.example.org") {
		t.Error("the cache is not used at all")
	}
	now = now.Add(keep)
	if knows("a.example.org") {
		t.Error("a second after the store was lost, a host is still known")
	}
}
