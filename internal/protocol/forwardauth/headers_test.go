package forwardauth

import (
	"bytes"
	"countersign/internal/clientaddr"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// dialects ask about GET https://wiki.example.org/notes, each in its own way.
var dialects = map[string]http.Header{
	"/verify/nginx":       {"X-Original-Url": {"https://wiki.example.org/notes"}, "X-Original-Method": {"GET"}},
	"/verify/caddy":       {"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"wiki.example.org"}, "X-Forwarded-Uri": {"/notes"}, "X-Forwarded-Method": {"GET"}},
	"/verify/traefik":     {"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"wiki.example.org"}, "X-Forwarded-Uri": {"/notes"}, "X-Forwarded-Method": {"GET"}},
	"/verify/haproxy":     {"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"wiki.example.org"}, "X-Forwarded-Uri": {"/notes"}, "X-Forwarded-Method": {"GET"}},
	"/verify/envoy/notes": {"X-Forwarded-Proto": {"https"}},
}

// inDialect is such a question, with a browser's address.
func inDialect(path string) *http.Request {
	r := httptest.NewRequest("GET", "https://wiki.example.org"+path, nil)
	r.RequestURI = path
	r.RemoteAddr = "192.0.2.1:4711"
	r.Header = dialects[path].Clone()
	r.Header.Set("X-Forwarded-For", "203.0.113.9")
	r.Header.Set("Cookie", cookie("https")+"=x")
	return r
}

// signs are all that a header's name may have between its letters and digits
// (RFC 9110 section 5.6.2).
const signs = "!#$%&'*+-.^_`|~"

// The promise: whatever stands between the letters, and in whatever case, a
// header that a server could fold to one of ours gets no question as far as the
// engine, in any dialect.
func TestForgedIdentityIsRefused(t *testing.T) {
	_, h := without(t)
	var bad []string
	for _, sign := range signs {
		for _, word := range []string{"User", "Groups", "Email", "Name", "Addr", ""} {
			name := "Remote" + string(sign) + word
			bad = append(bad, name, strings.ToUpper(name), strings.ToLower(name), string(sign)+name, name+string(sign), "re"+string(sign)+"mote"+word, "Remote"+strings.Repeat(string(sign), 3)+word)
		}
	}
	bad = append(bad, "RemoteUser", "remoteuser", "REMOTE")
	for path := range dialects {
		for _, name := range bad {
			r := inDialect(path)
			r.Header[name] = []string{"root"}
			if asked, status := decided(h, r); asked || status != http.StatusForbidden {
				t.Errorf("%s: with %s a question is answered %d, %v", path, name, status, asked)
			}
		}
		for _, name := range []string{"X-Remote-User", "Rem", "Referer", "Accept", "User", "-", "!", "Range"} {
			r := inDialect(path)
			r.Header[name] = []string{"x"}
			if asked, status := decided(h, r); !asked {
				t.Errorf("%s: with %s a question is answered %d", path, name, status)
			}
		}
	}
}

// The promise: a proxy that does not say where its visitors are lets nobody in,
// in any dialect, and the log says why, once a minute.
func TestProxyWithoutAddress(t *testing.T) {
	d, h := without(t)
	var log bytes.Buffer
	now := time.Now()
	d.clients = clientaddr.NewReader(proxies, func() time.Time { return now }, slog.New(slog.NewTextHandler(&log, nil)))
	for path := range dialects {
		for range 3 {
			r := inDialect(path)
			r.Header.Del("X-Forwarded-For")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "does not say where you are") {
				t.Errorf("%s is answered %d %s", path, w.Code, w.Body)
			}
		}
	}
	if n := strings.Count(log.String(), "X-Forwarded-For"); n != 1 || !strings.Contains(log.String(), "proxy=192.0.2.1") {
		t.Errorf("the log says it %d times:\n%s", n, &log)
	}
	now = now.Add(clientaddr.WarnAgain)
	r := inDialect("/verify/caddy")
	r.RemoteAddr = "198.51.100.1:1"
	decided(h, r)
	r = inDialect("/verify/caddy")
	r.Header.Del("X-Forwarded-For")
	decided(h, r)
	if n := strings.Count(log.String(), "X-Forwarded-For"); n != 2 || strings.Count(log.String(), "trusted_proxies") != 1 {
		t.Errorf("a minute later the log says:\n%s", &log)
	}
}

// A request that names a second method, in a header or in its address, in
// whatever spelling, has none for rules and policy.
func TestSecondMethod(t *testing.T) {
	d, _ := without(t)
	for _, header := range []string{"X-HTTP-Method-Override", "X_HTTP_Method_Override", "x.http.method", "X-Method-Override", "X-Http-Method", "X~HTTP~METHOD~OVERRIDE", "HTTP-Method-Override"} {
		r := inDialect("/verify/caddy")
		r.Header[header] = []string{"DELETE"}
		if q, _, err := d.read(r, forwarded(r)); err != nil || q.forPolicy() != "*" {
			t.Errorf("%s: %q %v", header, q.forPolicy(), err)
		}
	}
	for query, second := range map[string]bool{"_method=DELETE": true, "a=b&_method=x": true, "%5fmethod=DELETE": true, "_M%65thod=x": true, "_method[]=x": true, "+_method=x": true, ".method=x": true, "a;_method=x": true, "_method": true,
		"x-http-method-override=PUT": true, "X_HTTP_METHOD=x": true, "%EF%BC%BFmethod=x": true, "method=paypal": false, "methods=a": false, "a=_method": false, "": false, "%=x": false, "http=1&x=2": false} {
		r := inDialect("/verify/caddy")
		r.Header.Set("X-Forwarded-Uri", "/notes?"+query)
		if q, _, err := d.read(r, forwarded(r)); err != nil || (q.forPolicy() == "*") != second {
			t.Errorf("%s: %q %v", query, q.forPolicy(), err)
		}
	}
	for _, method := range []string{"delete", "Delete", "GEt", "*", "patch"} {
		r := inDialect("/verify/caddy")
		r.Header.Set("X-Forwarded-Method", method)
		if _, _, err := d.read(r, forwarded(r)); err == nil {
			t.Errorf("the method %s is taken", method)
		}
	}
}

func TestCookiesWithoutOurs(t *testing.T) {
	for _, c := range []struct {
		lines []string
		want  string
	}{
		{nil, ""}, {[]string{"a=b"}, "a=b"}, {[]string{"a=b; c"}, "a=b; c"}, {[]string{"countersign-app=x"}, ""}, {[]string{"__Host-countersign-app=x; a=b"}, "a=b"},
		{[]string{"a=b; countersign-app=x; c=d;__Host-countersign-app-way=y ;countersign=z"}, "a=b; c=d"}, {[]string{"a=b", "countersign-app=x", "c=d"}, "a=b; c=d"}, {[]string{"a=countersign"}, "a=countersign"},
		{[]string{"countersign-app=x; a=b\u00a0;\tc=\u3000"}, "a=b\u00a0; c=\u3000"},
	} {
		if got := withoutOurs(c.lines); got != c.want {
			t.Errorf("%q became %q", c.lines, got)
		}
	}
}

// What every check does costs no memory.
func TestLookAllocatesNothing(t *testing.T) {
	r := inDialect("/verify/caddy")
	r.Header.Set("Accept", "text/html")
	r.Header.Set("X_Http_Method", "x")
	d, _ := without(t)
	if n := testing.AllocsPerRun(100, func() {
		look(r.Header)
		namesMethod("page=1&q=two")
		d.clients.Source(r)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzWithoutOurs(f *testing.F) {
	f.Add("a=b; countersign-app=x", "__Host-countersign-app=y")
	f.Fuzz(func(t *testing.T, one, two string) {
		r := &http.Request{Header: http.Header{"Cookie": {withoutOurs([]string{one, two})}}}
		for _, c := range r.Cookies() {
			if strings.HasPrefix(strings.TrimPrefix(c.Name, "__Host-"), ownCookies) {
				t.Errorf("%q, %q: %s is left", one, two, c.Name)
			}
		}
	})
}

// The attack: a connection that changes to HTTP/2 in its middle, where whoever may open
// one page asks for any other and says that they are anybody. The promise: of what
// changes a connection a WebSocket alone gets as far as the engine, in any dialect.
func TestOnlyAWebSocketChangesAConnection(t *testing.T) {
	_, h := without(t)
	for path := range dialects {
		for _, lines := range []http.Header{
			{"Upgrade": {"h2c"}}, {"Upgrade": {"H2C"}}, {"Upgrade": {"websocket, h2c"}}, {"Upgrade": {"websocket", "h2c"}}, {"Upgrade": {"h2c", "websocket"}},
			{"Upgrade": {"TLS/1.0"}}, {"Upgrade": {"HTTP/2.0"}}, {"Http2-Settings": {"AAMAAABkAARAAAAAAAIAAAAA"}}, {"Upgrade": {"websocket"}, "Http2-Settings": {""}},
		} {
			r := inDialect(path)
			for name, values := range lines {
				r.Header[name] = values
			}
			if asked, status := decided(h, r); asked || status != http.StatusForbidden {
				t.Errorf("%s: with %v a question is answered %d, %v", path, lines, status, asked)
			}
		}
		for _, lines := range []http.Header{{}, {"Upgrade": {"websocket"}}, {"Upgrade": {"WebSocket"}}, {"Upgrade": {""}}, {"Upgrade-Insecure-Requests": {"1"}}} {
			r := inDialect(path)
			for name, values := range lines {
				r.Header[name] = values
			}
			if asked, _ := decided(h, r); !asked {
				t.Errorf("%s: with %v nobody is asked", path, lines)
			}
		}
	}
}

// The promise: other headers that tell who somebody is are the proxy's to drop where they are
// written as such headers are, and are refused in a spelling that a server may fold to the same.
func TestForeignIdentityInOddSpelling(t *testing.T) {
	_, h := without(t)
	for path := range dialects {
		for name, refused := range map[string]bool{
			"X_forwarded_user": true, "X.remote.user": true, "X-Remote_user": true, "-X-Remote-User": true, "X-Remote~groups": true, "X.auth-Request-Email": true, "X_webauth_user": true,
			"X_authentik_username": true, "X.authenticated.user": true, "X!forwarded!email": true, "X_forwarded_groups": true, "X.forwarded.preferred.username": true,
			"X-Forwarded-User": false, "X-Remote-User": false, "X_auth_token": false, "X.request.id": false, "X_forwarded_port": false,
		} {
			r := inDialect(path)
			r.Header[name] = []string{"root"}
			if asked, status := decided(h, r); asked == refused || refused && status != http.StatusForbidden {
				t.Errorf("%s: with %s a question is answered %d, %v", path, name, status, asked)
			}
		}
	}
}

// What look passes over says nothing when it is read, in any dialect.
func TestProxiesHeadersSayNothing(t *testing.T) {
	for _, headers := range dialects {
		for name := range headers {
			if begins(name, identity) || odd(name) || !strings.HasPrefix(name, "X-Forwarded-") && overrides(name) {
				t.Errorf("%s says something", name)
			}
		}
	}
}
