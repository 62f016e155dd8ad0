package web

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"countersign/internal/servertest"
)

// setting notes the cookies that a browser is given.
type setting struct {
	http.RoundTripper
	mu    sync.Mutex
	given []*http.Cookie
}

func (s *setting) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.RoundTripper.RoundTrip(r)
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.given = append(s.given, resp.Cookies()...)
	}
	return resp, err
}

// The promise: over https every cookie that a browser is given while it signs in, goes on its
// own pages and signs out is our host's alone, and no script's.
func TestEveryCookieIsOurHostsAlone(t *testing.T) {
	t.Parallel()
	cert, _, _ := certificate(t)
	w := servertest.NewWorldAt(t, "", "https://login.example.test", &cert)
	ada := w.EnrollCodes("ada")
	p := w.Person()
	notes := &setting{RoundTripper: p.Client.Transport}
	p.Client.Transport = notes
	p.Get("/sign-in")
	p.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
	p.Post("/sign-in", "authenticator", "totp", "text", ada.Code())
	p.Sees("Where you are signed in")
	p.Post("/sign-out")
	names := map[string]bool{}
	for _, c := range notes.given {
		names[c.Name] = true
		if !strings.HasPrefix(c.Name, "__Host-countersign") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
			t.Errorf("%s: secure %v, no script's %v, site %v, path %q, domain %q", c.Name, c.Secure, c.HttpOnly, c.SameSite, c.Path, c.Domain)
		}
	}
	for _, name := range []string{"", "-form", "-countersign-attempt", "-countersign-browser"} {
		if !names["__Host-countersign"+name] {
			t.Errorf("no cookie is named __Host-countersign%s: %v", name, names)
		}
	}
}
