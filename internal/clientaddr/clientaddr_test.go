package clientaddr_test

import (
	"bytes"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"countersign/internal/clientaddr"
)

// Headers count only from listed proxies, and what counts of a list is what the
// listed proxies added.
func TestSource(t *testing.T) {
	d := clientaddr.NewReader([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/64"), netip.MustParsePrefix("198.51.100.80/32")}, time.Now, nil)
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
		got, listed := d.Behind(r)
		if listed != d.FromProxy(r) || listed && got.String() != c.want || !listed && got.IsValid() {
			t.Errorf("%s saying %q, read at once, is %s, listed %t", c.peer, c.forwarded, got, listed)
		}
	}
}

// Each kind of warning is in the log once a minute, and names the proxy.
func TestWarnings(t *testing.T) {
	var log bytes.Buffer
	now := time.Now()
	d := clientaddr.NewReader([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, func() time.Time { return now }, slog.New(slog.NewTextHandler(&log, nil)))
	proxy, stranger := httptest.NewRequest("GET", "/", nil), httptest.NewRequest("GET", "/", nil)
	proxy.RemoteAddr, stranger.RemoteAddr = "192.0.2.1:1", "198.51.100.1:1"
	for n := 1; n <= 2; n++ {
		for range 3 {
			if d.Source(proxy).IsValid() || d.FromProxy(stranger) || !d.FromProxy(proxy) || d.Source(stranger).String() != "198.51.100.1" {
				t.Fatal("an address is not read as it should be")
			}
			if a, ok := d.Behind(proxy); !ok || a.IsValid() {
				t.Fatal("a proxy that names nobody is somebody")
			}
			if _, ok := d.Behind(stranger); ok {
				t.Fatal("a stranger passes for a proxy")
			}
		}
		if strings.Count(log.String(), "X-Forwarded-For") != n || strings.Count(log.String(), "trusted_proxies") != n || strings.Count(log.String(), "proxy=192.0.2.1 ") != n {
			t.Errorf("in the minute %d the log says:\n%s", n, &log)
		}
		now = now.Add(clientaddr.WarnAgain)
	}
}
