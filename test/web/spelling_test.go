package web

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// backends are real programs as applications. Each says ADMIN to whom it lets
// into /admin, by its own reading of the address, and PLAIN to others.
var backends = []struct {
	name  string
	start func(t testing.TB) (addr string)
}{
	{"nginx", func(t testing.TB) string {
		addr := testbed.Addr(t)
		testbed.Nginx(t, addr, fmt.Sprintf("server { listen %s; location = /admin { return 200 ADMIN; } location /admin/ { return 200 ADMIN; } location / { return 200 PLAIN; } }", addr))
		return addr
	}},
	{"caddy", func(t testing.TB) string {
		addr := testbed.Addr(t)
		testbed.Caddy(t, addr, fmt.Sprintf("http://%s {\n\t@admin path /admin /admin/*\n\trespond @admin ADMIN\n\trespond PLAIN\n}", addr))
		return addr
	}},
	{"haproxy", func(t testing.TB) string {
		addr := testbed.Addr(t)
		testbed.HAProxy(t, addr, fmt.Sprintf(`global
  expose-experimental-directives
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend f
  bind %s
  http-request normalize-uri percent-decode-unreserved
  http-request normalize-uri path-strip-dot
  http-request normalize-uri path-strip-dotdot
  http-request normalize-uri path-merge-slashes
  http-request return status 200 content-type text/plain string ADMIN if { path /admin } or { path_beg /admin/ }
  http-request return status 200 content-type text/plain string PLAIN
`, addr))
		return addr
	}},
	{"go", func(t testing.TB) string {
		mux := http.NewServeMux()
		mux.HandleFunc("/admin/", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ADMIN") })
		mux.HandleFunc("/admin", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ADMIN") })
		mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "PLAIN") })
		s := httptest.NewServer(mux)
		t.Cleanup(s.Close)
		return strings.TrimPrefix(s.URL, "http://")
	}},
}

// waysToAdmin are targets that some program takes for /admin.
var waysToAdmin = []string{
	"/admin", "/admin/", "/admin/x", "/%61dmin", "/%61%64%6D%69%6E", "/%61%64%6d%69%6e/x", "//admin", "///admin//x", "/./admin", "/x/../admin", "/x/y/../../admin/x",
	"/%2e/admin", "/x/%2e%2e/admin", "/x/%2E./admin", "/x/.%2e/admin", "/x%2f..%2fadmin", "/x%2F%2e%2e%2Fadmin", "/%2fadmin", "/admin%2f", "/admin%2Fx", "/admin%00", "/admin;a=b", "/admin/;x", "/x/..;/admin", "/;/admin",
	"/admin?x", "/admin?/../x", "/admin#x", "/admin%3fx", "/admin%23x", "/admin%20", "/admin.", "/ADMIN", "/Admin/x", "\\admin", "/\\admin", "/x\\..\\admin", "/%5cadmin", "/x%5c..%5cadmin",
	"/%2561dmin", "/%252fadmin", "/x/%252e%252e/admin", "/%c0%afadmin", "/%u0061dmin", "/\xc0\xafadmin", "/admin\t", "/admin%09", "/admin\x0b", "http://HOST/admin", "http://HOST/x/../admin", "http://elsewhere/admin", "//elsewhere/admin", "HOST/admin", "admin", "/.countersign/../admin", "/.countersign/%2e%2e/admin", "/.countersign%2f..%2fadmin",
	"/.countersign/..;/admin", "/.countersign/x/../../admin", "/%2ecountersign/../admin", "/.countersign//../admin", "/.countersign/.%2e/admin", "/.countersign\\..\\admin", "/countersign-verify/../admin", "/countersign-verify", "/admin/.countersign/", "/admin/.countersign/accept",
	"/verify/caddy/../../admin", "/admin/./", "/admin/x/..", "/admin%2e", "/admin/%2e", "/ad%6Din", "/%41dmin",
}

// madeUp are more of them, put together at random from what such spellings are
// made of: always the same ones, so that a failure comes again.
func madeUp(n int) []string {
	parts := []string{"/", "/", "/", "//", "/.", "/..", "%2f", "%2F", "%2e", "%2E%2e", "%252e", "%5c", "\\", ";", "x", "admin", "%61dmin", "ADMIN", "adm%69n", "%00", "?", "#", ".", "%20", ".countersign", "countersign-verify", "%c0%af", "%3b"}
	random := rand.New(rand.NewPCG(1, 2))
	var out []string
	for len(out) < n {
		s := "/"
		for range 2 + random.IntN(5) {
			s += parts[random.IntN(len(parts))]
		}
		if strings.Contains(strings.ToLower(s), "dm") {
			out = append(out, s+[]string{"", "", "/", "/x", "admin"}[random.IntN(5)])
		}
	}
	return out
}

// The promise: behind every proxy and in front of every backend, no spelling of
// /admin that the backend takes for it gets past the rule about /admin. Without
// the rule, several do: so the test can fail.
func TestNoSpellingReachesAdmin(t *testing.T) {
	t.Parallel()
	for _, f := range servertest.Fronts {
		t.Run(f.Name, func(t *testing.T) {
			w := servertest.NewWorld(t)
			ada := w.EnrollCodes("ada")
			own := strings.Replace(strings.TrimPrefix(w.Base, "http://"), "localhost", "127.0.0.1", 1)
			addrs, hosts := map[string]string{}, []string{}
			for _, b := range backends {
				addr := testbed.Addr(t)
				f.Start(t, addr, own, b.start(t))
				addrs[b.name] = addr
				hosts = append(hosts, addr)
			}
			w.Protect("wiki", map[string]any{"hosts": hosts})
			secret := w.SignedIn(ada)
			w.Later(20 * time.Minute) // too old for an action, by the policy of a new installation
			for name, addr := range addrs {
				cookie := servertest.Handed(w, secret, addr)
				if n := admitted(t, addr, cookie, nil); n < 3 {
					t.Errorf("without a rule only %d spellings reach /admin of %s", n, name)
				}
			}
			w.Protect("wiki", map[string]any{"hosts": hosts, "rules": []any{map[string]any{"path": "/admin", "action": "wiki.admin"}}})
			for name, addr := range addrs {
				cookie := servertest.Handed(w, secret, addr)
				// A server hears of a changed application within a second.
				w.Until("the changed application is heard of", func() bool {
					status, _ := servertest.Raw(t, addr, "GET", "/admin", cookie)
					return status != http.StatusOK
				})
				admitted(t, addr, cookie, func(target string) { t.Errorf("%q reaches /admin of %s", target, name) })
				if status, body := servertest.Raw(t, addr, "GET", "/notes", cookie); status != http.StatusOK || body != "PLAIN" {
					t.Errorf("what needs no more is answered %d %q", status, body)
				}
			}
		})
	}
}

// admitted counts the spellings that are answered with ADMIN, and tells each.
func admitted(t testing.TB, addr, cookie string, tell func(target string)) int {
	n := 0
	for _, target := range slices.Concat(waysToAdmin, madeUp(200)) {
		if _, body := servertest.Raw(t, addr, "GET", target, cookie); body == "ADMIN" {
			n++
			if tell != nil {
				tell(target)
			}
		}
	}
	return n
}

// socket is an application that opens WebSockets and echoes, as far as HTTP goes.
func socket(t testing.TB) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			n, _ := io.Copy(io.Discard, r.Body)
			w.Header().Set("X-Body", fmt.Sprint(n))
			io.WriteString(w, "PLAIN")
			return
		}
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
		line, err := rw.ReadString('\n')
		if err == nil {
			io.WriteString(c, "echo "+line)
		}
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// The promise: a WebSocket is opened with a session and not without, a header
// that is too large opens nothing, and a second method, host or cookie neither.
func TestOddRequests(t *testing.T) {
	t.Parallel()
	for _, f := range servertest.Fronts {
		t.Run(f.Name, func(t *testing.T) {
			w := servertest.NewWorld(t)
			ada := w.EnrollCodes("ada")
			addr := testbed.Addr(t)
			f.Start(t, addr, strings.Replace(strings.TrimPrefix(w.Base, "http://"), "localhost", "127.0.0.1", 1), socket(t))
			w.Protect("wiki", map[string]any{"hosts": []string{addr}, "rules": []any{map[string]any{"path": "/m", "methods": []string{"DELETE"}, "action": "wiki.delete"}}})
			cookie := servertest.Handed(w, w.SignedIn(ada), addr)
			w.Later(20 * time.Minute)

			if got := handshake(t, addr); got != "401" {
				t.Errorf("without a session a WebSocket is answered %s", got)
			}
			if got := handshake(t, addr, cookie); got != "echo hello\n" {
				t.Errorf("with a session a WebSocket is answered %s", got)
			}
			for why, headers := range map[string][]string{
				"40 KiB of header":      {cookie, "X-Long: " + strings.Repeat("a", 40<<10)},
				"40 KiB of cookie":      {cookie + "; x=" + strings.Repeat("a", 40<<10)},
				"the same cookie twice": {cookie + "; " + strings.TrimPrefix(cookie, "Cookie: ")},
				"two hosts":             {cookie, "Host: elsewhere"},
			} {
				if status, body := servertest.Raw(t, addr, "GET", "/notes", headers...); status == http.StatusOK || strings.Contains(body, "PLAIN") {
					t.Errorf("%s: %d", why, status)
				}
			}
			if status, _ := servertest.Raw(t, addr, "GET", "/notes", cookie, "Cookie: x="+strings.Repeat("a", 3<<10)); status != http.StatusOK {
				t.Errorf("3 KiB of somebody's cookies are too much: %d", status)
			}
			for _, c := range []struct {
				method string
				more   string
			}{{"DELETE", "X-A: b"}, {"delete", "X-A: b"}, {"POST", "X-HTTP-Method-Override: DELETE"}, {"POST", "X-HTTP-Method: DELETE"}, {"POST", "X-Method-Override: DELETE"}, {"TRACE", "X-A: b"}} {
				if status, body := servertest.Raw(t, addr, c.method, "/m", cookie, "Content-Length: 0", c.more); status == http.StatusOK || strings.Contains(body, "PLAIN") {
					t.Errorf("%s with %s: %d", c.method, c.more, status)
				}
			}
			posts(t, addr, cookie)
			for target, to := range map[string]string{"/notes?" + strings.Repeat("a", 2000): "/notes?" + strings.Repeat("a", 2000), "/notes?" + strings.Repeat("a", 6000): "/notes", "/" + strings.Repeat("a", 6000): "/"} {
				r := hop(w.Person(), "http://"+addr+target)
				if r.StatusCode != http.StatusFound || r.Header.Get("Location") != "http://"+addr+"/.countersign/begin?to="+url.QueryEscape(to) {
					t.Errorf("a page of %d bytes: %d %.80s", len(target), r.StatusCode, r.Header.Get("Location"))
				}
			}
			if status, _ := servertest.Raw(t, addr, "POST", "/m", cookie, "Content-Length: 0"); status != http.StatusOK {
				t.Errorf("a method without a rule: %d", status)
			}
		})
	}
}

// posts sends bodies of known and of unknown length: they arrive whole with a
// session, and not at all without.
func posts(t testing.TB, addr, cookie string) {
	t.Helper()
	for why, body := range map[string]io.Reader{"a body": strings.NewReader(strings.Repeat("b", 200<<10)), "chunks": io.LimitReader(zeros{}, 200<<10), "chunks without a session": io.LimitReader(zeros{}, 20<<10)} {
		r, err := http.NewRequest("POST", "http://"+addr+"/save", body)
		if err != nil {
			t.Fatal(err)
		}
		want := "200 204800"
		if name, value, _ := strings.Cut(cookie, ": "); !strings.Contains(why, "without") {
			r.Header.Set(name, value)
		} else {
			want = "401 "
		}
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Errorf("%s: %v", why, err)
			continue
		}
		resp.Body.Close()
		if got := fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("X-Body")); got != want {
			t.Errorf("%s is answered %s, not %s", why, got, want)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// handshake tries to open a WebSocket (RFC 6455 section 4.1) and returns the answer's
// status, or what it says to hello.
func handshake(t testing.TB, addr string, headers ...string) string {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(15 * time.Second))
	fmt.Fprintf(c, "GET /socket HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-Fetch-Mode: websocket\r\n", addr)
	for _, h := range headers {
		fmt.Fprintf(c, "%s\r\n", h)
	}
	fmt.Fprint(c, "\r\n")
	in := bufio.NewReader(c)
	r, err := http.ReadResponse(in, &http.Request{Method: "GET"})
	if err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Sprint(r.StatusCode)
	}
	io.WriteString(c, "hello\n")
	line, err := in.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// The promise: nobody takes what Countersign says away from the application, by
// naming it as a header that ends at the proxy (RFC 9110 section 7.6.1), nor what
// the proxy says away from Countersign.
func TestNobodyTakesHeadersAway(t *testing.T) {
	t.Parallel()
	for _, f := range servertest.Fronts {
		t.Run(f.Name, func(t *testing.T) {
			w := servertest.NewWorld(t)
			ada := w.EnrollCodes("ada")
			page, addr := testbed.NewPage(t), testbed.Addr(t)
			f.Start(t, addr, strings.Replace(strings.TrimPrefix(w.Base, "http://"), "localhost", "127.0.0.1", 1), page.Addr)
			w.Protect("wiki", map[string]any{"hosts": []string{addr}})
			cookie := servertest.Handed(w, w.SignedIn(ada), addr)
			for _, name := range []string{"X-Nothing", "Remote-User", "remote-user", "Remote-Groups", "Cookie", "X-Forwarded-Uri", "X-Forwarded-Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Method", "X-Original-Url", "X-Original-Method", "Host"} {
				servertest.Raw(t, addr, "GET", "/notes", cookie, "Connection: "+name, "TE: trailers", "Remote-User: root")
				for _, seen := range page.Seen() {
					if seen.Header.Get("Remote-User") != "ada" {
						t.Errorf("with Connection: %s the page was told %q", name, seen.Header["Remote-User"])
					}
				}
			}
		})
	}
}

// The promise: a session for one site opens no other by naming the wrong one,
// in the Host header or in the target: what is asked about is what is served.
func TestAnotherSitesSession(t *testing.T) {
	t.Parallel()
	for _, f := range servertest.Fronts {
		t.Run(f.Name, func(t *testing.T) {
			w := servertest.NewWorld(t)
			ada := w.EnrollCodes("ada")
			page, addr := testbed.NewPage(t), testbed.Addr(t)
			f.Start(t, addr, strings.Replace(strings.TrimPrefix(w.Base, "http://"), "localhost", "127.0.0.1", 1), page.Addr)
			w.Protect("wiki", map[string]any{"hosts": []string{addr}})
			w.Protect("canteen", map[string]any{"hosts": []string{"canteen.test"}})
			secret := w.SignedIn(ada)
			canteen, wiki := servertest.Handed(w, secret, "canteen.test"), servertest.Handed(w, secret, addr)
			for _, c := range []struct{ target, host string }{{"/notes", "canteen.test"}, {"http://" + addr + "/notes", "canteen.test"}, {"http://canteen.test/notes", addr}, {"http://canteen.test/notes", "canteen.test"},
				{"/notes", "canteen.test:80"}, {"/notes", "CANTEEN.test."}, {"/notes", addr + ", canteen.test"}, {"/notes", "canteen.test\r\nX-Forwarded-Host: canteen.test"}} {
				servertest.RawTo(t, addr, c.host, "GET", c.target, canteen, "X-Forwarded-Host: canteen.test", "X-Original-Url: http://canteen.test/notes")
				for _, seen := range page.Seen() {
					t.Errorf("the canteen's session, with %s at %q, opened %s of the wiki", c.target, c.host, seen.Target)
				}
			}
			r := servertest.PageRequest("http://" + addr + "/.countersign/begin?to=/notes")
			for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Proto", "X-Original-Url", "Forwarded"} {
				r.Header.Set(name, "canteen.test")
			}
			resp, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if to, err := resp.Location(); err != nil || to.Query().Get("to") != "http://"+addr+"/notes" {
				t.Errorf("a forged host begins the way of %v, %v", to, err)
			}
			if status, _ := servertest.Raw(t, addr, "GET", "/notes", wiki); status != http.StatusOK {
				t.Errorf("the wiki's own session is answered %d", status)
			}
		})
	}
}

// The wildcard of docs/nginx.md: nginx knows the names, and Countersign too.
func TestNginxWildcard(t *testing.T) {
	t.Parallel()
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	page, addr := testbed.NewPage(t), testbed.Addr(t)
	_, port, _ := strings.Cut(addr, ":")
	own := strings.Replace(strings.TrimPrefix(w.Base, "http://"), "localhost", "127.0.0.1", 1)
	names := "map $host $apps {\n    default \"\";\n    \"~^[a-z0-9-]+\\.apps\\.example\\.org$\" $host;\n}\n"
	doc, err := os.ReadFile("../../docs/nginx.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), names) {
		t.Error("the document shows another map")
	}
	testbed.Nginx(t, addr, names+testbed.Example(t, "nginx.conf", "127.0.0.1:8081", addr, "server_name wiki.example.org", "server_name *.apps.example.org",
		"$countersign_site wiki.example.org", "$countersign_site $apps:"+port, "127.0.0.1:8080", own, "127.0.0.1:3000", page.Addr))
	w.Protect("wiki", map[string]any{"hosts": []string{"*.apps.example.org:" + port}})
	secret := w.SignedIn(ada)
	for host, status := range map[string]int{"a.apps.example.org": 200, "A.Apps.example.org.": 200, "b.apps.example.org:" + port: 200, "a.b.apps.example.org": 403, "apps.example.org": 403, "elsewhere.org": 403} {
		plain := strings.TrimSuffix(strings.ToLower(host), ".")
		if !strings.Contains(plain, ":") {
			plain += ":" + port
		}
		if got, _ := servertest.RawTo(t, addr, host, "GET", "/notes", servertest.Handed(w, secret, plain)); got != status {
			t.Errorf("%s is answered %d, not %d", host, got, status)
		}
	}
	if got, _ := servertest.RawTo(t, addr, "b.apps.example.org", "GET", "/notes", servertest.Handed(w, secret, "a.apps.example.org:"+port)); got == http.StatusOK {
		t.Error("one name's session opens another name of the wildcard")
	}
}
