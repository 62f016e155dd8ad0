package oidc

import (
	"encoding/json"
	"strings"
	"testing"
)

func settings(t testing.TB, more map[string]any) Settings {
	t.Helper()
	all := map[string]any{"client_id": "wiki", "client_secret": strings.Repeat("s", 32), "redirect_uris": []string{"https://wiki.example.org/callback"}}
	for k, v := range more {
		all[k] = v
		if v == nil {
			delete(all, k)
		}
	}
	raw, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckSettings(raw); err != nil {
		t.Fatal(err)
	}
	s, err := parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// An answer goes to what is listed, letter by letter, and to nothing that merely looks like it:
// the shapes are those of published advisories.
func TestRedirectsAreExact(t *testing.T) {
	web := settings(t, nil)
	native := settings(t, map[string]any{"runs": "native", "authentication": "none", "client_secret": nil,
		"redirect_uris": []string{"http://127.0.0.1", "http://127.0.0.1/callback", "http://[::1]:7/callback", "org.example.app:/callback", "https://app.example.org/callback"}})
	for _, uri := range []string{"https://wiki.example.org/callback"} {
		if !web.redirects(uri) {
			t.Errorf("%s is refused", uri)
		}
	}
	bare := settings(t, map[string]any{"redirect_uris": []string{"https://pve.example.org:8006"}})
	for uri, taken := range map[string]bool{"https://pve.example.org:8006": true, "https://pve.example.org:8006/": false, "https://pve.example.org": false, "https://pve.example.org:8006?x": false, "https://pve.example.org:8006@evil.example": false} {
		if bare.redirects(uri) != taken {
			t.Errorf("without a path, %s: %v", uri, !taken)
		}
	}
	for _, uri := range []string{"http://127.0.0.1", "http://127.0.0.1:49152", "http://127.0.0.1/callback", "http://127.0.0.1:49152/callback", "http://[::1]/callback", "http://[::1]:50000/callback", "org.example.app:/callback"} {
		if !native.redirects(uri) {
			t.Errorf("%s is refused", uri)
		}
	}
	for name, uri := range map[string]string{
		"nothing": "", "another path": "https://wiki.example.org/callback/", "a path more": "https://wiki.example.org/callback/x", "dot segments": "https://wiki.example.org/x/../callback",
		"encoded dots": "https://wiki.example.org/callback/%2e%2e", "parameters": "https://wiki.example.org/callback/..;/x", "a query": "https://wiki.example.org/callback?x=1", "a fragment": "https://wiki.example.org/callback#x",
		"a user": "https://wiki.example.org@evil.example/callback", "a user and a password": "https://wiki.example.org:443@evil.example/callback", "a backslash": `https://wiki.example.org\@evil.example/callback`,
		"a backslash for a slash": `https:\\wiki.example.org\callback`, "another host": "https://evil.example/callback", "a longer host": "https://wiki.example.org.evil.example/callback", "a shorter one": "https://iki.example.org/callback",
		"another scheme": "http://wiki.example.org/callback", "a port": "https://wiki.example.org:443/callback", "capitals": "https://WIKI.example.org/callback", "a dot": "https://wiki.example.org./callback",
		"no scheme": "//wiki.example.org/callback", "a blank": " https://wiki.example.org/callback", "a tab within": "https://wiki.example.org/\tcallback", "a line": "https://wiki.example.org/callback\n",
		"another alphabet": "https://wіki.example.org/callback", "an escaped letter": "https://wiki.example.org/%63allback", "a script": "javascript:alert(1)//https://wiki.example.org/callback", "data": "data:text/html,x",
		"loopback of a web client": "http://127.0.0.1/callback", "very long": "https://wiki.example.org/callback" + strings.Repeat("a", 10000),
	} {
		if web.redirects(uri) {
			t.Errorf("%s: %q is taken", name, uri)
		}
	}
	for name, uri := range map[string]string{
		"another path": "http://127.0.0.1:49152/callback2", "a front page beside none": "http://127.0.0.1:49152/", "a query beside no path": "http://127.0.0.1:49152?x", "another loopback without a path": "http://127.0.0.2:49152", "a user": "http://127.0.0.1@evil.example/callback", "a user before the port": "http://x@127.0.0.1:80/callback", "localhost": "http://localhost:49152/callback",
		"another loopback": "http://127.0.0.2:49152/callback", "https": "https://127.0.0.1:49152/callback", "a query": "http://127.0.0.1:49152/callback?x", "a host that begins so": "http://127.0.0.1.evil.example/callback",
		"a port of a web address": "https://app.example.org:8443/callback", "no port number": "http://127.0.0.1:/callback", "a port of letters": "http://127.0.0.1:x/callback", "a number for a host": "http://2130706433/callback",
		"another spelling": "http://127.1/callback", "mapped": "http://[::ffff:127.0.0.1]/callback", "a zone": "http://[::1%25lo]/callback", "another scheme of its own": "org.example.app2:/callback",
	} {
		if native.redirects(uri) {
			t.Errorf("%s: %q is taken", name, uri)
		}
	}
}

// What would be read differently is not saved.
func TestRedirectsThatAreNotSaved(t *testing.T) {
	for _, uri := range []string{"", "wiki.example.org/callback", "/callback", "https://*.example.org/callback", "https://wiki.example.org/*", "https://user@wiki.example.org/", "https://wiki.example.org/#x",
		"http://wiki.example.org/callback", "https://wiki.example.org?x", "javascript:alert(1)", "myapp:/callback", `https://wiki.example.org\evil/`, "https://wiki.example.org/a b", "https://a;b/", "https://a'b/", "https://wiki.example.org/../x",
		"https://wiki.example.org./", "https://Wiki.example.org/", "https://wiki.example.org/<x>", "https://wiki.example.org:99x/", "data:text/html,x", "https:///callback", "https:callback"} {
		if redirectFault(uri, false) == "" {
			t.Errorf("%q is saved", uri)
		}
	}
	if says := redirectFault("https://pve.example.org:8006", false); says != "" {
		t.Errorf("an address without a path %s", says)
	}
	for _, uri := range []string{"http://wiki.example.org/callback", "http://localhost/callback", "myapp:/callback", "javascript:alert(1)"} {
		if redirectFault(uri, true) == "" {
			t.Errorf("%q is saved of a native client", uri)
		}
	}
}

// Whatever is asked for: what is taken is listed, but for the port of a loopback address.
func FuzzRedirect(f *testing.F) {
	for _, uri := range []string{"https://wiki.example.org/callback", "http://127.0.0.1:1/callback", `http://127.0.0.1\@evil/callback`, "http://127.0.0.1:1@evil/callback", "http://[::1]:1/callback"} {
		f.Add(uri)
	}
	s := Settings{Runs: RunsNative, Redirects: []string{"https://wiki.example.org/callback", "http://127.0.0.1/callback", "http://[::1]/callback"}}
	f.Fuzz(func(t *testing.T, uri string) {
		if !s.redirects(uri) {
			return
		}
		rest, v4 := strings.CutPrefix(uri, "http://127.0.0.1")
		if !v4 {
			rest, _ = strings.CutPrefix(uri, "http://[::1]")
		}
		port := strings.TrimSuffix(rest, "/callback")
		if uri != s.Redirects[0] && (port != "" && (port[0] != ':' || strings.Trim(port[1:], "0123456789") != "" || len(port) > 6) || !strings.HasSuffix(rest, "/callback")) {
			t.Errorf("%q is taken", uri)
		}
	})
}
