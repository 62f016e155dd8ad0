package web

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"countersign/internal/policy"
	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// opened is one application with public paths and preflights, behind one proxy.
type opened struct {
	*servertest.World
	page         *testbed.Page
	addr, cookie string
}

func newOpened(t *testing.T, f servertest.Front) opened {
	w := servertest.NewWorld(t)
	w.SetPolicy(strings.Replace(string(policy.DefaultForCodes()), "rules:\n", `rules:
  - name: shut to everybody
    when: path.startsWith("/assets/shut")
    deny: shut
`, 1))
	o := opened{World: w, page: testbed.NewPage(t), addr: testbed.Addr(t)}
	f.Start(t, o.addr, strings.Replace(strings.TrimPrefix(w.Base, "http://"), "localhost", "127.0.0.1", 1), o.page.Addr)
	w.Protect("wiki", map[string]any{"hosts": []string{o.addr},
		"rules":     []any{map[string]any{"path": "/assets/admin", "action": "wiki.admin"}, map[string]any{"path": "/api/admin", "action": "wiki.admin"}},
		"public":    []any{map[string]any{"path": "/assets/"}, map[string]any{"path": "/hooks", "methods": []string{"POST"}}},
		"preflight": []any{map[string]any{"path": "/api", "origins": []string{"https://app.example.org"}}}})
	o.cookie = servertest.Handed(w, w.SignedIn(w.EnrollCodes("ada")), o.addr)
	return o
}

// asked sends one request, and returns its status and what reached the page, or nil.
func (o opened) asked(method, target string, headers ...string) (int, *testbed.Seen) {
	o.T.Helper()
	status, _ := servertest.Raw(o.T, o.addr, method, target, headers...)
	seen := o.page.Seen()
	if len(seen) == 0 {
		return status, nil
	}
	return status, &seen[0]
}

// passes fails the test unless a request reaches the page as somebody, or as nobody.
func (o opened) passes(who, method, target string, headers ...string) {
	o.T.Helper()
	status, seen := o.asked(method, target, headers...)
	if status != http.StatusOK || seen == nil {
		o.T.Errorf("%s %s %q is answered %d", method, target, headers, status)
		return
	}
	if got := seen.Header.Get("Remote-User"); got != who {
		o.T.Errorf("%s %s %q reached the page as %q, not %q", method, target, headers, got, who)
	}
	for name, values := range seen.Header {
		if who == "" && strings.HasPrefix(strings.ToLower(name), "remote") && strings.Join(values, "") != "" || strings.Contains(strings.Join(values, ""), "countersign-app=") {
			o.T.Errorf("%s %s %q reached the page with %s: %q", method, target, headers, name, values)
		}
	}
}

// stops fails the test if a request reaches the page.
func (o opened) stops(method, target string, headers ...string) {
	o.T.Helper()
	if status, seen := o.asked(method, target, headers...); status == http.StatusOK || seen != nil {
		o.T.Errorf("%s %s %q is answered %d and reached the page: %v", method, target, headers, status, seen != nil)
	}
}

// The promise: what an application's settings open to everybody reaches it without a session and
// as nobody, and as who it is with one. Nothing beside it does: no other method, no guarded path, no
// spelling that leads elsewhere, and nothing that a rule of the policy denies to everybody.
func TestPublicPaths(t *testing.T) {
	t.Parallel()
	for _, f := range servertest.Fronts {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			o := newOpened(t, f)
			for _, target := range []string{"/assets", "/assets/", "/assets/a.css", "/assets/a/b?c=d", "/assets/%41"} {
				o.passes("", "GET", target)
				o.passes("", "HEAD", target)
				o.passes("", "GET", target, "Cookie: countersign-app=nonsense")
				o.passes("ada", "GET", target, o.cookie)
			}
			o.passes("", "POST", "/hooks/push")
			for _, target := range []string{"/", "/asset", "/assetsx", "/ASSETS/a", "/assets./a", "/notes", "/hooks", "/assets/admin", "/assets/admin/x", "/assets/ADMIN", "/assets/shut", "/assets/shut/x",
				"/assets/../notes", "/assets/%2e%2e/notes", "/assets/..%2fnotes", "/assets/..;/notes", "/assets;/../notes", "/assets%2f..%2fnotes", "/assets\\..\\notes", "/notes?/assets", "/notes#/assets"} {
				o.stops("GET", target)
			}
			if _, seen := o.asked("GET", "//assets/a"); seen != nil && seen.Target != "/assets/a" { // Traefik tidies before it asks
				t.Errorf("//assets/a reached the page as %s", seen.Target)
			}
			o.stops("POST", "/assets/a.css")
			o.stops("OPTIONS", "/assets/a.css")
			o.stops("GET", "/assets/a?_method=DELETE")
			o.stops("GET", "/assets/a", "X-HTTP-Method-Override: DELETE")
			dotted := "Remote.User" // as it came: no form of net/http's
			if _, seen := o.asked("GET", "/assets/a", "Remote-User: root", "Remote.User: root"); seen != nil && (seen.Header.Get("Remote-User") != "" || seen.Header[dotted] != nil) {
				t.Errorf("somebody without a session reached the page as %v", seen.Header)
			}
			o.stops("get", "/assets/a")
		})
	}
}

// The promise: a preflight of a listed origin reaches the application as nobody, and the request
// after it needs a session like any other. No other OPTIONS passes.
func TestPreflights(t *testing.T) {
	t.Parallel()
	for _, f := range servertest.Fronts {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			o := newOpened(t, f)
			origin, method := "Origin: https://app.example.org", "Access-Control-Request-Method: PUT"
			o.passes("", "OPTIONS", "/api/notes", origin, method)
			o.passes("", "OPTIONS", "/api", origin, method, "Access-Control-Request-Headers: content-type")
			o.passes("ada", "PUT", "/api/notes", origin, o.cookie)
			o.stops("PUT", "/api/notes", origin)
			o.stops("GET", "/api/notes", origin, method)
			o.stops("OPTIONS", "/api/notes")
			o.stops("OPTIONS", "/api/notes", origin)
			o.stops("OPTIONS", "/api/notes", method)
			o.stops("OPTIONS", "/notes", origin, method)
			o.stops("OPTIONS", "/api/admin", origin, method)
			o.stops("OPTIONS", "/api/notes", "Origin: https://evil.example.org", method)
			o.stops("OPTIONS", "/api/notes", "Origin: https://app.example.org.evil.example", method)
			o.stops("OPTIONS", "/api/notes", "Origin: null", method)
			o.stops("OPTIONS", "/api/notes?_method=PUT", origin, method)
		})
	}
}

// The promise: who posts a form without a session reads that nothing was passed on and what to
// do, behind each proxy, and the same form passes with a session. A form of another site, and a
// script's request, get no such advice.
func TestFormWithoutSession(t *testing.T) {
	t.Parallel()
	for _, f := range servertest.Fronts {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			o := newOpened(t, f)
			post := func(target string, headers ...string) (int, string, http.Header) {
				t.Helper()
				r, err := http.NewRequest("POST", "http://"+o.addr+target, strings.NewReader("text=a+long+text"))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				for _, h := range headers {
					name, value, _ := strings.Cut(h, ": ")
					r.Header.Set(name, value)
				}
				answer, err := http.DefaultTransport.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				defer answer.Body.Close()
				body, err := io.ReadAll(answer.Body)
				if err != nil {
					t.Fatal(err)
				}
				return answer.StatusCode, string(body), answer.Header
			}
			mine := [][]string{{"Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: same-origin"}, {"Accept: text/html", "Origin: http://" + o.addr}}
			for _, h := range mine {
				status, body, header := post("/notes/new?x=1", h...)
				if status != http.StatusUnauthorized || !strings.Contains(body, "was not passed on") || !strings.Contains(body, `href="/.countersign/begin?to=%2F"`) {
					t.Errorf("%q is answered %d %s", h, status, body)
				}
				if header.Get("Content-Security-Policy") == "" || !strings.HasPrefix(header.Get("Content-Type"), "text/html") {
					t.Errorf("%q: headers %v", h, header)
				}
				if status, _, _ := post("/notes/new?x=1", append(h, o.cookie)...); status != http.StatusOK {
					t.Errorf("with a session %q is answered %d", h, status)
				}
				o.page.Seen()
			}
			for _, h := range [][]string{{"Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: cross-site"}, {"Accept: text/html", "Origin: https://evil.example.org"}, {"Accept: text/html"},
				{"Accept: text/html", "Sec-Fetch-Mode: cors", "Sec-Fetch-Site: same-origin"}, {"Accept: application/json", "Origin: http://" + o.addr},
				{"Accept: text/html", "X-Requested-With: XMLHttpRequest", "Origin: http://" + o.addr}} {
				if status, body, _ := post("/notes/new", h...); status != http.StatusUnauthorized || strings.Contains(body, "reload") {
					t.Errorf("%q is answered %d %s", h, status, body)
				}
			}
			if seen := o.page.Seen(); len(seen) > 0 {
				t.Errorf("the page was reached without a session: %+v", seen)
			}
			if status, _, _ := post("/.countersign/ended"); status == http.StatusOK {
				t.Errorf("the page itself is answered %d to a form", status)
			}
		})
	}
}
