package forwardauth

import (
	"encoding/json"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"testing"
)

// A path with two readings is refused, whatever a proxy or an application would
// make of it.
func TestCleanPath(t *testing.T) {
	for _, good := range []string{"/", "/a/b.c", "/notes?to=//x/../y", "/%20space", "/%c3%a9", "/a..b", "/.well-known/x"} {
		if _, ok := cleanPath(good); !ok {
			t.Errorf("%q is refused", good)
		}
	}
	for _, bad := range []string{"", "a", "//a", "/a//b", "/a/../b", "/a/..", "/./a", "/a/.", "/%2e%2e/a", "/%2E/a", "/a%2fb", "/a%2Fb", "/a%5cb",
		"/a\\b", "/a;x=1", "/..;/a", "/a%3bx", "/a%00", "/a\x00", "/a#b", "/a b", "/a\tb", "/a\nb", "/%252e", "http://h/a", "/" + strings.Repeat("a", 9000)} {
		if p, ok := cleanPath(bad); ok {
			t.Errorf("%q is read as %q", bad, p)
		}
	}
}

func FuzzCleanPath(f *testing.F) {
	for _, s := range []string{"/a/b?c", "/a/../b", "/%2e%2e/", "/;", "//"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, ok := cleanPath(s)
		if !ok {
			return
		}
		decoded, err := url.PathUnescape(p)
		if err == nil && path.Clean(decoded) != strings.TrimSuffix(decoded, "/") && decoded != "/" {
			t.Errorf("%q has another reading: %q", s, path.Clean(decoded))
		}
	})
}

func TestCheckSettings(t *testing.T) {
	for text, good := range map[string]bool{
		`{"hosts":["wiki.example.org","localhost:8081"]}`:                        true,
		`{"hosts":["wiki.example.org"],"rules":[{"path":"/a/","action":"x.y"}]}`: true,
		`{"hosts":[]}`:                                            false,
		`{"hosts":["Wiki.example.org"]}`:                          false,
		`{"hosts":["*.example.org"]}`:                             false,
		`{"hosts":["a@b"]}`:                                       false,
		`{"hosts":["h"],"unknown":1}`:                             false,
		`{"hosts":["h"],"rules":[{"path":"/../a","action":"x"}]}`: false,
		`{"hosts":["h"],"rules":[{"path":"/a"}]}`:                 false,
		`[]`: false,
	} {
		if err := CheckSettings(json.RawMessage(text)); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzCheckSettings(f *testing.F) {
	f.Add([]byte(`{"hosts":["h"],"rules":[{"path":"/a","action":"x"}]}`))
	f.Fuzz(func(_ *testing.T, b []byte) { _ = CheckSettings(b) })
}

func TestRules(t *testing.T) {
	s := Settings{Rules: []Rule{{Path: "/admin/", Methods: []string{"POST"}, Action: "change"}, {Path: "/admin/", Action: "look"}, {Path: "/export", Action: "export"}}}
	for _, c := range []struct{ method, path, action string }{
		{"POST", "/admin/users", "change"}, {"GET", "/admin/users", "look"}, {"GET", "/admin", ""}, {"GET", "/export", "export"}, {"GET", "/export/x", ""},
	} {
		if got := s.action(c.method, c.path); got != c.action {
			t.Errorf("%s %s is %q", c.method, c.path, got)
		}
	}
}

// Headers count only from listed proxies, and only the last forwarded address
// is the proxy's own word.
func TestSource(t *testing.T) {
	d := New(Parts{Proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	for _, c := range []struct{ peer, forwarded, want string }{
		{"192.0.2.1:1", "203.0.113.9", "203.0.113.9"},
		{"192.0.2.1:1", "198.51.100.1, 203.0.113.9", "203.0.113.9"},
		{"198.51.100.7:1", "203.0.113.9", "198.51.100.7"},
		{"192.0.2.1:1", "nonsense", "192.0.2.1"},
		{"192.0.2.1:1", "", "192.0.2.1"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.peer
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := d.Source(r).String(); got != c.want {
			t.Errorf("%s saying %q is %s, not %s", c.peer, c.forwarded, got, c.want)
		}
	}
}

func TestIdentityCannotBreakOut(t *testing.T) {
	for in, want := range map[string]string{"ada": "ada", "a\r\nRemote-User: root": "a%0D%0ARemote-User:%20root", "100%": "100%25", "Zoë": "Zo%C3%AB"} {
		if got := plain(in); got != want {
			t.Errorf("%q became %q", in, got)
		}
	}
}
