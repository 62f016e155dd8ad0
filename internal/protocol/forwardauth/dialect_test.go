package forwardauth

import (
	"net/http/httptest"
	"net/netip"
	"testing"
)

// Headers count only from listed proxies, and what counts of a list is what the
// listed proxies added.
func TestSource(t *testing.T) {
	d := New(Parts{Proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/64"), netip.MustParsePrefix("198.51.100.80/32")}})
	for _, c := range []struct {
		peer, want string
		forwarded  []string
	}{
		{"192.0.2.1:1", "203.0.113.9", []string{"203.0.113.9"}},
		{"192.0.2.1:1", "203.0.113.9", []string{"198.51.100.1, 203.0.113.9"}},
		{"192.0.2.1:1", "203.0.113.9", []string{"198.51.100.1", "203.0.113.9"}}, // two headers are one list (RFC 9110 section 5.3)
		{"192.0.2.1:1", "203.0.113.9", []string{"198.51.100.1, 203.0.113.9, 192.0.2.7"}},
		{"192.0.2.1:1", "192.0.2.8", []string{"192.0.2.8, 192.0.2.7"}},
		{"198.51.100.7:1", "198.51.100.7", []string{"203.0.113.9"}},
		{"192.0.2.1:1", "invalid IP", []string{"nonsense"}},
		{"192.0.2.1:1", "invalid IP", []string{"203.0.113.9, "}},
		{"192.0.2.1:1", "invalid IP", []string{"203.0.113.9", ""}},
		{"192.0.2.1:1", "203.0.113.9", []string{"nonsense, 203.0.113.9"}},
		{"192.0.2.1:1", "203.0.113.9", []string{"203.0.113.9:4711"}},
		{"192.0.2.1:1", "2001:db8:1::1", []string{"[2001:db8:1::1]:4711"}},
		{"192.0.2.1:1", "2001:db8:1::1", []string{"2001:db8:1::1"}},
		{"192.0.2.1:1", "203.0.113.9", []string{"::ffff:203.0.113.9"}},
		{"[2001:db8::1]:1", "203.0.113.9", []string{"203.0.113.9"}},
		{"192.0.2.1:1", "invalid IP", nil}, // a proxy's address is nobody's who comes through it
		{"192.0.2.1:1", "invalid IP", []string{""}},
		{"192.0.2.1:1", "invalid IP", []string{"unknown"}},
		{"192.0.2.1:1", "invalid IP", []string{"0.0.0.0"}},
		{"192.0.2.1:1", "invalid IP", []string{"::"}},
		{"192.0.2.1:1", "invalid IP", []string{"203.0.113.9,192.0.2.7,"}},
		{"192.0.2.1:1", "203.0.113.9", []string{"203.0.113.9,192.0.2.7"}},
		// A chain: the outer proxy, listed by its address, names nobody.
		{"192.0.2.1:1", "invalid IP", []string{"198.51.100.80"}},
		{"192.0.2.1:1", "203.0.113.9", []string{"203.0.113.9, 198.51.100.80"}},
		{"198.51.100.80:1", "invalid IP", nil},
		{"198.51.100.80:1", "invalid IP", []string{"198.51.100.80"}},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.peer
		for _, v := range c.forwarded {
			r.Header.Add("X-Forwarded-For", v)
		}
		if got := d.Source(r).String(); got != c.want {
			t.Errorf("%s saying %q is %s, not %s", c.peer, c.forwarded, got, c.want)
		}
	}
}

func TestSplitURL(t *testing.T) {
	for u, want := range map[string][3]string{
		"https://a.example/b?c": {"https", "a.example", "/b?c"}, "http://a": {"http", "a", ""}, "": {"", "", ""}, "a/b": {"a/b", "", ""},
		"https://u:p@a/b": {"https", "u:p@a", "/b"}, "https://a?b": {"https", "a", "?b"}, "https:///b": {"https", "", "/b"}, "https://a\\@b/": {"https", "a\\@b", "/"},
	} {
		if scheme, host, target := splitURL(u); [3]string{scheme, host, target} != want {
			t.Errorf("%q is %q %q %q", u, scheme, host, target)
		}
	}
}

func TestPage(t *testing.T) {
	for _, c := range []struct {
		method  string
		headers []string
		want    bool
	}{
		{"GET", []string{"Accept", "text/html,*/*"}, true},
		{"HEAD", []string{"Accept", "text/html"}, true},
		{"POST", []string{"Accept", "text/html"}, false},
		{"OPTIONS", []string{"Accept", "text/html"}, false},
		{"GET", []string{"Accept", "*/*"}, false},
		{"GET", nil, false},
		{"GET", []string{"Accept", "text/html", "Sec-Fetch-Mode", "navigate"}, true},
		{"GET", []string{"Accept", "text/html", "Sec-Fetch-Mode", "cors"}, false},
		{"GET", []string{"Accept", "text/html", "Sec-Fetch-Mode", "websocket"}, false},
		{"GET", []string{"Accept", "text/html", "Upgrade", "websocket"}, false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		for i := 0; i < len(c.headers); i += 2 {
			r.Header.Set(c.headers[i], c.headers[i+1])
		}
		if page(r, c.method) != c.want {
			t.Errorf("%s %v: %v", c.method, c.headers, !c.want)
		}
	}
}
