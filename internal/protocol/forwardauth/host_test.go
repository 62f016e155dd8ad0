package forwardauth

import (
	"strings"
	"testing"
)

func TestPlainHost(t *testing.T) {
	for _, c := range []struct{ scheme, host, want string }{
		{"https", "wiki.example.org", "wiki.example.org"},
		{"https", "WIKI.Example.ORG", "wiki.example.org"},
		{"https", "wiki.example.org.", "wiki.example.org"},
		{"https", "wiki.example.org:443", "wiki.example.org"},
		{"http", "wiki.example.org.:80", "wiki.example.org"},
		{"http", "wiki.example.org:443", "wiki.example.org:443"},
		{"https", "wiki.example.org:8443", "wiki.example.org:8443"},
		{"https", "xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"https", "my_wiki.corp", "my_wiki.corp"},
		{"http", "127.0.0.1:8081", "127.0.0.1:8081"},
		{"http", "[::1]:8081", "[::1]:8081"},
		{"http", "[0:0::0001]", "[::1]"},
		{"http", "localhost", "localhost"},
		{"http", "3com.example", "3com.example"},
	} {
		if got, ok := plainHost(c.scheme, c.host); !ok || got != c.want {
			t.Errorf("%s is %q, %v", c.host, got, ok)
		}
	}
	for _, bad := range []string{"", ".", "a..b", "wiki.example.org..", ".a", "a b", "a/b", "a\\b", "a@b", "user:x@b", "a:b", "a:", "a:0", "a:080", "a:65536", "a:80:80", "a,b", "a, b",
		"*.example.org", "bücher.example", "a\x00b", "-a.b", "a-.b", "::1", "[::1", "::1]", "[::1%lo]", "[127.0.0.1]", "[::ffff:127.0.0.1", "127.1", "0x7f.1", "0x7f000001", "2130706433", "127.0.0.01", "1.2.3.4.5",
		"a%2eb", strings.Repeat("a", 64) + ".b", strings.Repeat("a.", 130) + "b", "a#b", "a?b", "a;b", "a\r\nb"} {
		if got, ok := plainHost("https", bad); ok {
			t.Errorf("%q is read as %q", bad, got)
		}
	}
}

func TestSettingsHost(t *testing.T) {
	for host, want := range map[string]string{"Wiki.example.org.": "wiki.example.org", "*.apps.example.org": "*.apps.example.org", "*.example.org:8443": "*.example.org:8443",
		"bücher.example": "xn--bcher-kva.example", "BÜCHER.example:8443": "xn--bcher-kva.example:8443", "*.bücher.example": "*.xn--bcher-kva.example", "localhost:8081": "localhost:8081", "127.0.0.1:8081": "127.0.0.1:8081"} {
		if got, err := settingsHost(host); err != nil || got != want {
			t.Errorf("%s is %q, %v", host, got, err)
		}
	}
	for _, bad := range []string{"*.org", "*.co.uk", "*.github.io", "*.test", "*.xn--p1ai", "*", "*.", "*.*.example.org", "a.*.example.org", "w*.example.org", "*wiki.example.org", "**.example.org",
		"wiki.example.org:443", "wiki.example.org:80", "*.127.0.0.1", "*.[::1]", "https://wiki.example.org", "wiki.example.org/", "ex\u2024ample.org:1\u00e9"} {
		if got, err := settingsHost(bad); err == nil {
			t.Errorf("%q is read as %q", bad, got)
		}
	}
}

// A wildcard stands for one label; the exact name goes before it; and a host of
// two applications belongs to neither.
func TestIndex(t *testing.T) {
	ix := &hostCache{hosts: map[string]place{}}
	ix.add("apps", Settings{Hosts: []string{"*.apps.example.org", "*.example.org:8443", "shared.example.org"}})
	ix.add("wiki", Settings{Hosts: []string{"wiki.apps.example.org", "WIKI.apps.example.org", "Shared.Example.org."}})
	for host, want := range map[string]string{"wiki.apps.example.org": "wiki", "code.apps.example.org": "apps", "apps.example.org": "", "a.b.apps.example.org": "", "x.example.org:8443": "apps",
		"x.example.org": "", "code.apps.example.org:8443": "", "shared.example.org": "", "*.apps.example.org": "apps", "org": "", "": ""} {
		got, ok := ix.find(host)
		if strings.HasPrefix(host, "*") {
			continue // no request's host begins so: see TestPlainHost
		}
		if got.app != want || ok != (want != "") {
			t.Errorf("%s belongs to %q, %v", host, got.app, ok)
		}
	}
}

func FuzzPlainHost(f *testing.F) {
	for _, s := range []string{"wiki.example.org:443", "[::1]:80", "a..b", "127.1", "*.a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := plainHost("https", s)
		if !ok {
			return
		}
		if again, ok := plainHost("https", got); !ok || again != got {
			t.Errorf("%q is %q, and that is %q, %v", s, got, again, ok)
		}
		if strings.ContainsAny(got, "*/\\@?# ,") || got != strings.ToLower(got) {
			t.Errorf("%q is %q", s, got)
		}
	})
}
