package web

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"countersign/internal/policy"
	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// legalAddresses are those of a wiki (C#, 100%), RabbitMQ's API, npm's registry, and a search
// as browsers send it.
var legalAddresses = []string{"/wiki/C%23", "/wiki/100%25", "/api/queues/%2F/orders", "/@scope%2fname", "/a;v=1/b", "/search?q=a\\b"}

// The promise: legal addresses reach an application as they were sent if neither its rules nor
// the policy look at the path. Otherwise they are refused, unless its settings say so, and
// what a rule covers in some reading is refused even then.
func TestLegalAddressesPass(t *testing.T) {
	t.Parallel()
	for _, f := range servertest.Fronts {
		t.Run(f.Name, func(t *testing.T) {
			w := servertest.NewWorld(t)
			ada := w.EnrollCodes("ada")
			own := strings.Replace(strings.TrimPrefix(w.Base, "http://"), "localhost", "127.0.0.1", 1)
			page := testbed.NewPage(t)
			w.SetPolicy(strings.Replace(string(policy.DefaultForCodes()), "rules:\n", `rules:
  - name: secrets of one site
    when: application.name == "policed" && path.startsWith("/secret")
    require: phishing-resistant
`, 1))
			rules := []any{map[string]any{"path": "/admin", "action": "wiki.admin"}}
			secret := w.SignedIn(ada)
			for name, settings := range map[string]map[string]any{"open": {}, "policed": {}, "ruled": {"rules": rules}, "passing": {"rules": rules, "ambiguous": "pass"}} {
				addr := testbed.Addr(t)
				f.Start(t, addr, own, page.Addr)
				settings["hosts"] = []string{addr}
				w.Protect(name, settings)
				var cookie string
				w.Until("the application is heard of", func() bool {
					cookie = servertest.Handed(w, secret, addr)
					status, _ := servertest.Raw(t, addr, "GET", "/notes", cookie)
					return status == http.StatusOK
				})
				page.Seen()
				legalAt(t, legalSite{page, name, addr, cookie, name == "open" || name == "passing", f.Name})
			}
		})
	}
}

// legalSite is one application, and whether legal addresses pass there.
type legalSite struct {
	page               *testbed.Page
	name, addr, cookie string
	passes             bool
	front              string
}

// arrives is the form in which target reaches the application. Traefik, since 3.4, writes the
// digits of a percent-encoding as capitals, which RFC 3986, section 6.2.2.1, calls the same
// address; the others pass what was sent.
func (s legalSite) arrives(target string) string {
	if s.front != "traefik" {
		return target
	}
	return percentEncoded.ReplaceAllStringFunc(target, strings.ToUpper)
}

var percentEncoded = regexp.MustCompile("%[0-9a-fA-F]{2}")

func legalAt(t *testing.T, s legalSite) {
	t.Helper()
	for _, target := range legalAddresses {
		status, body := servertest.Raw(t, s.addr, "GET", target, s.cookie)
		seen := s.page.Seen()
		switch {
		case s.passes && (status != http.StatusOK || len(seen) != 1 || seen[0].Target != s.arrives(target)):
			t.Errorf("%s at %s is answered %d %.80q, and reached the page as %+v", target, s.name, status, body, seen)
		case !s.passes && (status != http.StatusForbidden || len(seen) > 0):
			t.Errorf("%s at %s is answered %d, and reached the page %d times", target, s.name, status, len(seen))
		}
		if status, _ := servertest.Raw(t, s.addr, "GET", target); status != http.StatusUnauthorized && (s.passes || status != http.StatusForbidden) {
			t.Errorf("without a session %s at %s is answered %d", target, s.name, status)
		}
		s.page.Seen()
	}
	for _, target := range []string{"/x%2f..%2fadmin", "/x/..;/admin", "/x/%252e%252e/admin", "/admin%00"} {
		if status, _ := servertest.Raw(t, s.addr, "GET", target, s.cookie); status == http.StatusOK || len(s.page.Seen()) > 0 {
			t.Errorf("%s at %s is answered %d", target, s.name, status)
		}
	}
	if s.name != "passing" {
		return
	}
	for _, target := range []string{"/admin%2fx", "/admin;v=1", "/%2fadmin", "/%2561dmin", "/admin%23x"} {
		if status, _ := servertest.Raw(t, s.addr, "GET", target, s.cookie); status == http.StatusOK || len(s.page.Seen()) > 0 {
			t.Errorf("%s at %s is answered %d", target, s.name, status)
		}
	}
}
