package web

import (
	"html"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

var shownFile = regexp.MustCompile(`<label for="(file-\d)"><bdi>([^<]*)</bdi></label>\s*<textarea[^>]*>([^<]*)</textarea>`)

// shownFor is what an application's page shows for a product: its files by their names.
func shownFor(t *testing.T, root *servertest.Person, application, product string, more url.Values) map[string]string {
	t.Helper()
	if more == nil {
		more = url.Values{}
	}
	more.Set("for", product)
	root.Get("/console/applications/" + application + "?" + more.Encode())
	out := map[string]string{}
	for _, m := range shownFile.FindAllStringSubmatch(root.Page, -1) {
		out[filepath.Base(html.UnescapeString(m[2]))] = html.UnescapeString(strings.TrimPrefix(m[3], "\n"))
	}
	if len(out) == 0 {
		t.Fatalf("the page shows no file for %s:\n%s", product, root.Page)
	}
	return out
}

// The promise: the configuration that an application's page shows for a proxy is started as
// it is, and lets a person in and nobody else. Where files lie is all that the test changes.
func TestWhatAnApplicationsPageShowsWorks(t *testing.T) {
	for product, start := range map[string]func(t *testing.T, addr string, files map[string]string){
		"nginx": func(t *testing.T, addr string, files map[string]string) { testbed.Nginx(t, addr, files["wiki.conf"]) },
		"caddy": func(t *testing.T, addr string, files map[string]string) { testbed.Caddy(t, addr, files["Caddyfile"]) },
		"haproxy": func(t *testing.T, addr string, files map[string]string) {
			script := filepath.Join(t.TempDir(), "haproxy.lua")
			if err := os.WriteFile(script, []byte(files["haproxy.lua"]), 0o644); err != nil {
				t.Fatal(err)
			}
			testbed.HAProxy(t, addr, strings.Replace(files["haproxy.cfg"], "/etc/haproxy/haproxy.lua", script, 1))
		},
		"traefik": func(t *testing.T, addr string, files map[string]string) {
			testbed.Traefik(t, addr, strings.Replace(files["traefik.yml"], "/etc/traefik/", "", 1), files["traefik-sites.yml"])
		},
	} {
		t.Run(product, func(t *testing.T) {
			w := servertest.NewWorld(t)
			page, addr := testbed.NewPage(t), testbed.Addr(t)
			w.Protect("wiki", map[string]any{"hosts": []string{addr}, "backend": "http://" + page.Addr})
			root := w.Person()
			root.Comes("root", w.Administrator("root").Secret)
			own, err := url.Parse(w.Base)
			if err != nil {
				t.Fatal(err)
			}
			start(t, addr, shownFor(t, root, "wiki", product, url.Values{"countersign": {"127.0.0.1:" + own.Port()}}))

			grace := w.EnrollCodes("grace")
			stranger := w.Person()
			stranger.Take(stranger.Client.Do(servertest.PageRequest("http://" + addr + "/notes")))
			if stranger.Status != http.StatusOK || len(page.Seen()) != 0 {
				t.Fatalf("a stranger got %d, and the page was reached %d times", stranger.Status, len(page.Seen()))
			}
			stranger.Sees("Sign in")
			stranger.Post("/sign-in", "name", "grace", "authenticator", "password", "text", servertest.Passphrase)
			stranger.Post("/sign-in", "authenticator", "totp", "text", grace.Code())
			stranger.Take(stranger.Client.Do(servertest.PageRequest("http://" + addr + "/notes")))
			seen := page.Seen()
			if len(seen) == 0 || seen[len(seen)-1].Header.Get("Remote-User") != "grace" || seen[len(seen)-1].Target != "/notes" {
				t.Errorf("grace did not come through: %d %v", stranger.Status, seen)
			}
		})
	}
}
