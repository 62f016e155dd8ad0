package forwardauth

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"
)

// What has two readings is refused, whatever a proxy or an application would
// make of it; the rest is decoded once.
func TestReadTarget(t *testing.T) {
	for raw, want := range map[string]string{"/": "/", "/a/b.c": "/a/b.c", "/notes?to=//x/../y;z": "/notes", "/%20space": "/ space", "/%c3%a9": "/é", "/%C3%A9/": "/é/",
		"/a..b": "/a..b", "/.well-known/x": "/.well-known/x", "/%61dmin": "/admin", "/a+b": "/a+b", "/...": "/...", "/a%3Ab": "/a:b"} {
		if got, ok := readTarget(raw); !ok || got.path != want || got.raw != raw {
			t.Errorf("%q is read as %q, %v", raw, got.path, ok)
		}
	}
	for _, bad := range []string{"", "a", "*", "//a", "/a//b", "/a//", "/a/../b", "/a/..", "/./a", "/a/.", "/%2e%2e/a", "/%2E/a", "/a%2fb", "/a%2Fb", "/a%5cb",
		"/a\\b", "/a?b\\c", "/a;x=1", "/..;/a", "/a%3bx", "/a%3Fx", "/a%23x", "/a%00", "/a\x00", "/a#b", "/a?b#c", "/a b", "/a\tb", "/a\nb", "/a?\n", "/%252e", "/100%25",
		"/a%", "/a%4", "/a%zz", "/%u0061", "/é", "/%c0%af", "/%ff", "/%e2%82", "/%7f", "/%1f", "http://h/a", "/" + strings.Repeat("a", 9000), "/?" + strings.Repeat("a", 9000)} {
		if got, ok := readTarget(bad); ok {
			t.Errorf("%q is read as %q", bad, got.path)
		}
	}
}

// FuzzReadTarget compares with how the standard library reads a request's
// target, and with its tidying of paths: what we accept, they read as we do.
func FuzzReadTarget(f *testing.F) {
	for _, s := range []string{"/a/b?c", "/a/../b", "/%2e%2e/", "/;", "//", "/%61dmin", "/a%2fb", "/é", "/a?b;c", "/a%c3%a9/", "/a%00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := readTarget(s)
		if !ok {
			return
		}
		u, err := url.ParseRequestURI(s)
		if err != nil || u.Path != got.path || u.RawQuery != got.query || u.Host != "" {
			t.Errorf("%q: we read %q %q, net/url %v %v", s, got.path, got.query, u, err)
		}
		if clean := path.Clean(got.path); clean != strings.TrimSuffix(got.path, "/") && clean != got.path {
			t.Errorf("%q has another reading: %q", s, clean)
		}
		again, err := url.PathUnescape(got.path)
		if err != nil || again != got.path {
			t.Errorf("%q reads on when decoded twice: %q", s, again)
		}
	})
}

// muxed is how a Go application with a route for /admin/ (and its tidying
// redirects followed) would answer: the reference for "resolves to /admin".
func muxed(target string) string {
	mux := http.NewServeMux()
	said := ""
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) { said = "else" })
	mux.HandleFunc("/admin/", func(http.ResponseWriter, *http.Request) { said = "admin" })
	for range 4 {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return ""
		}
		r := &http.Request{Method: "GET", URL: u, RequestURI: target, Host: "h", Header: http.Header{}, Proto: "HTTP/1.1"}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code/100 != 3 {
			break
		}
		target = w.Header().Get("Location")
	}
	return said
}

// readers are ways in which applications come from a target to a path. An
// attacker may choose among them by choosing the application.
var readers = map[string]func(string) string{
	"Go's ServeMux":      muxed,
	"decodes and tidies": func(s string) string { return guarded(path.Clean(decode(s))) },
	"decodes twice":      func(s string) string { return guarded(path.Clean(decode(decode(s)))) },
	"drops parameters": func(s string) string {
		segments := strings.Split(cut(s), "/")
		for i := range segments {
			segments[i], _, _ = strings.Cut(segments[i], ";")
		}
		return guarded(path.Clean(decode(strings.Join(segments, "/"))))
	},
	"is of Windows":      func(s string) string { return guarded(pathSkeleton(decode(s))) },
	"stops at NUL":       func(s string) string { p, _, _ := strings.Cut(decode(s), "\x00"); return guarded(path.Clean(p)) },
	"decodes, then cuts": func(s string) string { return guarded(path.Clean(cut(decode(s)))) },
}

func cut(s string) string { p, _, _ := strings.Cut(s, "?"); p, _, _ = strings.Cut(p, "#"); return p }

func decode(s string) string {
	if p, err := url.PathUnescape(cut(s)); err == nil {
		return p
	}
	return cut(s)
}

func guarded(p string) string {
	if p == "/admin" || strings.HasPrefix(p, "/admin/") {
		return "admin"
	}
	return "else"
}

// spellings are ways to write /admin, seen in the wild or made up.
var spellings = []string{"/admin", "/admin/", "/admin/users", "/%61dmin", "/%61%64%6d%69%6e/", "//admin", "/./admin", "/x/../admin", "/x/..;/admin", "/%2e/admin", "/%2E%2E/admin",
	"/x%2f..%2fadmin", "/x/%2e%2e/admin", "/admin;a=b", "/admin;/users", "/;/admin", "/admin%00", "/admin%00.png", "/admin%20", "/admin.", "/admin%2e", "/ADMIN", "/Admin/users",
	"/\\admin", "/%5cadmin", "/%5Cadmin", "/x\\..\\admin", "/%2561dmin", "/%252fadmin", "/admin%2fusers", "/admin%3f", "/admin%23", "/admin?x", "/admin#x", "/admin/.", "/admin/..;/x",
	"/\uff41dmin", "/%ef%bd%81dmin", "/%c0%afadmin", "/%u0061dmin", "/admin\t", "/admin%09", "/ admin", "/%20/../admin", "/admin/%2e", "http://h/admin", "/x/./../admin", "/admın", "/adm%C4%B1n", "/ad%6Din", "/%41DMIN"}

// No spelling that some application takes for /admin is taken by us for
// anything else: it is under the rule, or refused.
func TestNoSpellingPassesARule(t *testing.T) {
	s := prepare([]Rule{{Path: "/admin", Action: "administer"}})
	for _, spelling := range spellings {
		unguarded(t, s, readTarget, spelling)
	}
	passed := 0
	for _, fine := range []string{"/", "/notes", "/administration", "/x/admin", "/notes?p=/admin"} {
		if tg, ok := readTarget(fine); ok {
			if action, ok := s.action(request{method: "GET", target: tg}); ok && action == "" {
				passed++
			}
		}
	}
	if passed != 5 {
		t.Errorf("only %d of 5 plain addresses pass without the rule", passed)
	}
}

// unguarded fails the test when a target that is read so passes without the rule and some
// reader takes it for /admin.
func unguarded(t *testing.T, s rules, read func(string) (target, bool), raw string) {
	t.Helper()
	tg, ok := read(raw)
	if !ok {
		return
	}
	if action, ok := s.action(request{method: "GET", target: tg}); !ok || action != "" {
		return
	}
	for name, read := range readers {
		if read(raw) == "admin" {
			t.Errorf("%q passes the rule, and an application that %s takes it for /admin", raw, name)
		}
	}
}

func FuzzNoSpellingPassesARule(f *testing.F) {
	for _, s := range spellings {
		f.Add(s)
	}
	s := prepare([]Rule{{Path: "/admin", Action: "administer"}})
	f.Fuzz(func(t *testing.T, raw string) { unguarded(t, s, readTarget, raw) })
}

// The quick way to a skeleton is the slow one's.
func FuzzSkeleton(f *testing.F) {
	f.Add("/Admin. ")
	f.Fuzz(func(t *testing.T, s string) {
		b := []byte(s)
		for i := range b {
			b[i] &= 0x7f
		}
		if quick, slow := skeleton(string(b)), skeleton(string(b)+"é"); strings.TrimSpace(strings.TrimSuffix(slow, "é")) != quick {
			t.Errorf("%q: %q and %q", b, quick, slow)
		}
	})
}
