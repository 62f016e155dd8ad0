package web

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// named are the examples for a site with a name, at a port of its own.
var named = []servertest.Front{
	{Name: "nginx", Start: func(t testing.TB, addr, own, page string) {
		testbed.Nginx(t, addr, testbed.Example(t, "nginx.conf", "127.0.0.1:8081", addr, "server_name wiki.example.org", "server_name localhost", "countersign_site wiki.example.org", "countersign_site "+local(addr), "127.0.0.1:8080", own, "127.0.0.1:3000", page))
	}},
	{Name: "caddy", Start: func(t testing.TB, addr, own, page string) {
		testbed.Caddy(t, addr, testbed.Example(t, "Caddyfile", "http://127.0.0.1:8081, http://localhost:8081", "http://"+local(addr)+", http://"+strings.Replace(local(addr), ":", ".:", 1), "127.0.0.1:8080", own, "127.0.0.1:3000", page))
	}},
	{Name: "haproxy", Start: func(t testing.TB, addr, own, page string) {
		script := filepath.Join(t.TempDir(), "haproxy.lua")
		if err := os.WriteFile(script, []byte(testbed.Example(t, "haproxy.lua")), 0o644); err != nil {
			t.Fatal(err)
		}
		testbed.HAProxy(t, addr, testbed.Example(t, "haproxy.cfg", "127.0.0.1:8081", addr, "wiki.example.org wiki.example.org.", local(addr)+" "+strings.Replace(local(addr), ":", ".:", 1), "127.0.0.1:8080", own, "127.0.0.1:3000", page, "/etc/haproxy/haproxy.lua", script))
	}},
	{Name: "traefik", Start: func(t testing.TB, addr, own, page string) {
		testbed.Traefik(t, local(addr), testbed.Example(t, "traefik.yml", "127.0.0.1:8081", addr, "/etc/traefik/", ""),
			testbed.Example(t, "traefik-sites.yml", "wiki.example.org", "localhost", "127.0.0.1:8080", own, "127.0.0.1:3000", page))
	}},
}

// local is an address of this machine by its name.
func local(addr string) string { return strings.Replace(addr, "127.0.0.1", "localhost", 1) }

// The promise: a final dot and capitals make no other site of a name. Whoever comes by such a
// spelling is sent to sign in at the plain one, and is let in with a session of it.
func TestNameWithFinalDot(t *testing.T) {
	t.Parallel()
	for _, f := range named {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			w := servertest.NewWorld(t)
			own := strings.Replace(strings.TrimPrefix(w.Base, "http://"), "localhost", "127.0.0.1", 1)
			page, addr := testbed.NewPage(t), testbed.Addr(t)
			f.Start(t, addr, own, page.Addr)
			site := local(addr)
			w.Protect("wiki", map[string]any{"hosts": []string{site}})
			cookie := servertest.Handed(w, w.SignedIn(w.EnrollCodes("ada")), site)
			for _, host := range []string{site, strings.Replace(site, ":", ".:", 1), strings.ToUpper(site), strings.ToUpper(strings.Replace(site, ":", ".:", 1))} {
				r, err := http.NewRequest("GET", "http://"+addr+"/notes", nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Host = host
				r.Header.Set("Accept", "text/html")
				answer, err := http.DefaultTransport.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				answer.Body.Close()
				if want := "http://" + site + "/.countersign/begin?to=" + url.QueryEscape("/notes"); answer.StatusCode != http.StatusFound || answer.Header.Get("Location") != want {
					t.Errorf("at %s without a session: %d %s", host, answer.StatusCode, answer.Header.Get("Location"))
				}
				if status, body := servertest.RawTo(t, addr, host, "GET", "/notes", cookie); status != http.StatusOK || len(page.Seen()) != 1 {
					t.Errorf("at %s with a session: %d %.80s", host, status, body)
				}
			}
		})
	}
}
