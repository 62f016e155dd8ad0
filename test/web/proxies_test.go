package web

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// faultyLine lies between a proxy and Countersign, and can fail in many ways.
type faultyLine struct {
	addr  string
	fault atomic.Value // of http.HandlerFunc; nil is none
}

// newLine leads to a Countersign; set breaks it, set(nil) mends it.
func newLine(t testing.TB, base string) *faultyLine {
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	l := &faultyLine{}
	l.set(nil)
	through := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = u.Scheme, u.Host
		r.Out.Header = r.In.Header.Clone() // as it was sent, with what was forwarded
	}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := l.fault.Load().(http.HandlerFunc); f != nil {
			f(w, r)
			return
		}
		through.ServeHTTP(w, r)
	}))
	t.Cleanup(s.CloseClientConnections)
	t.Cleanup(s.Close)
	l.addr = strings.TrimPrefix(s.URL, "http://")
	return l
}

func (l *faultyLine) set(f http.HandlerFunc) { l.fault.Store(f) }

// faults are how a Countersign can fail. None of them lets anybody through.
var faults = map[string]http.HandlerFunc{
	"500":       func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "broken", http.StatusInternalServerError) },
	"502":       func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "broken", http.StatusBadGateway) },
	"503":       func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "broken", http.StatusServiceUnavailable) },
	"404":       http.NotFound,
	"429":       func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "slowly", http.StatusTooManyRequests) },
	"no answer": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	"half an answer": func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			io.WriteString(c, "HTTP/1.1 20")
			c.Close()
		}
	},
	"not http": func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			io.WriteString(c, "SSH-2.0-OpenSSH_9.2\r\n")
			c.Close()
		}
	},
	"never": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
}

// site is a page behind a proxy that asks a whole Countersign.
type site struct {
	*servertest.World
	page *testbed.Page
	line *faultyLine
	host string
	addr string
}

func newSite(t testing.TB, f servertest.Front) *site {
	w := servertest.NewWorld(t)
	s := &site{World: w, page: testbed.NewPage(t), line: newLine(t, w.Base), addr: testbed.Addr(t)}
	f.Start(t, s.addr, s.line.addr, s.page.Addr)
	s.host = s.addr
	if err := w.PlantApplications(context.Background(), s.host, "a-secret-of-the-equipment"); err != nil {
		t.Fatal(err)
	}
	return s
}

// visit asks for a target as a page, with these headers, names and values in
// turn.
func (s *site) visit(p *servertest.Person, target string, headers ...string) {
	s.T.Helper()
	r, err := http.NewRequest("GET", "http://"+s.host+target, nil)
	if err != nil {
		s.T.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	for i := 0; i < len(headers); i += 2 {
		r.Header[headers[i]] = append(r.Header[headers[i]], headers[i+1])
	}
	p.Take(p.Client.Do(r))
}

// signIn shows password and code on the page that the person is at.
func (s *site) signIn(p, ada *servertest.Person) {
	s.T.Helper()
	p.Sees("Sign in")
	p.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
	p.Post("/sign-in", "authenticator", "totp", "text", ada.Code())
}

// closed fails the test if anything has reached the page.
func (s *site) closed(why string) {
	s.T.Helper()
	for _, seen := range s.page.Seen() {
		s.T.Errorf("%s: the page was reached with %s %s", why, seen.Method, seen.Target)
	}
}

// forged is what an attacker sends to be taken for somebody.
var forged = []string{
	"Remote-User", "root", "Remote-Name", "root", "Remote-Email", "root@example.org", "Remote-Groups", "administrators",
	"Remote_User", "root", "REMOTE_USER", "root", "remote-email", "root@example.org", "Remote_Groups", "administrators",
	"X-Forwarded-Uri", "/.countersign/accept", "X-Forwarded-Host", "elsewhere", "X-Forwarded-Method", "OPTIONS", "X-Forwarded-Proto", "https",
	"X-Original-Url", "http://elsewhere/", "X-Original-Method", "OPTIONS", "X-Forwarded-For", "10.0.0.1",
}

// The promise: behind every proxy a person reaches the page with password and
// code, and comes back to where they were going; with less, or with forged
// headers, nobody does; and whatever happens to Countersign, nobody does.
func TestProxies(t *testing.T) {
	t.Parallel()
	for _, f := range servertest.Fronts {
		t.Run(f.Name, func(t *testing.T) {
			s := newSite(t, f)
			ada := s.EnrollCodes("ada")
			s.strangers()
			honest := s.honest(ada)
			s.failsClosed(honest)
		})
	}
}

func (s *site) strangers() {
	s.T.Helper()
	mallory := s.Person()
	s.visit(mallory, "/notes?page=1", forged...) // sent to sign in, or refused
	s.visit(mallory, "/notes?page=1")
	mallory.Sees("Sign in")
	mallory.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
	s.visit(mallory, "/notes?page=1")
	mallory.Sees("Sign in")
	for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "PROPFIND"} {
		r, _ := http.NewRequest(method, "http://"+s.host+"/api", nil)
		r.Header.Set("Accept", "application/json")
		r.Header.Set("Origin", "http://elsewhere")
		r.Header.Set("Access-Control-Request-Method", "GET")
		mallory.Take(mallory.Client.Do(r))
		if mallory.Status != http.StatusUnauthorized {
			s.T.Errorf("an API client without a session gets %d for %s", mallory.Status, method)
		}
	}
	s.closed("somebody without a code")
}

func (s *site) honest(ada *servertest.Person) *servertest.Person {
	s.T.Helper()
	p := s.Person()
	s.visit(p, "/notes?page=1&q=a%26b")
	s.signIn(p, ada)
	s.visit(p, "/notes?page=1&q=a%26b")
	seen := s.page.Seen()
	s.visit(p, "/notes?page=1&q=a%26b", forged...) // refused, or let through as who it is
	seen = append(seen, s.page.Seen()...)
	if len(seen) == 0 {
		s.T.Fatalf("status %d; the page was not reached:\n%s", p.Status, p.Page)
	}
	for _, got := range seen {
		if got.Target != "/notes?page=1&q=a%26b" {
			s.T.Errorf("the page was asked for %s", got.Target)
		}
		for name, values := range got.Header {
			lower := strings.ReplaceAll(strings.ToLower(name), "_", "-")
			if strings.HasPrefix(lower, "remote-") && (strings.Contains(name, "_") || lower == "remote-user" && strings.Join(values, "|") != "ada" || strings.Contains(strings.Join(values, "|"), "root") || strings.Contains(strings.Join(values, "|"), "administrators")) {
				s.T.Errorf("the page was told %s: %q", name, values)
			}
		}
		if got.Header.Get("Remote-User") != "ada" {
			s.T.Errorf("the page was not told who it is: %v", got.Header)
		}
	}
	return p
}

func (s *site) failsClosed(honest *servertest.Person) {
	s.T.Helper()
	everybody := []*servertest.Person{honest, s.Person()}
	honest.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	try := func(why string) {
		var all sync.WaitGroup
		for _, p := range everybody {
			all.Go(func() { s.notThrough(p, why) })
		}
		all.Wait()
		s.closed(why)
	}
	for why, fault := range faults {
		s.line.set(fault)
		try(why)
	}
	s.line.set(nil)
	s.visit(honest, "/notes")
	if len(s.page.Seen()) != 1 {
		s.T.Error("Countersign is well again, and the page is still not reached")
	}
	s.World.Stop()
	try("stopped")
}

// notThrough asks for a page, which must not come.
func (s *site) notThrough(p *servertest.Person, why string) {
	r, err := http.NewRequest("GET", "http://"+s.host+"/notes", nil)
	if err != nil {
		s.T.Error(err)
		return
	}
	r.Header.Set("Accept", "text/html")
	resp, err := p.Client.Do(r)
	if errors.Is(err, io.EOF) || errors.As(err, new(*net.OpError)) {
		return // cut off is not let through
	}
	if err != nil {
		s.T.Errorf("%s: %v", why, err)
		return
	}
	resp.Body.Close()
	if resp.StatusCode/100 == 2 {
		s.T.Errorf("%s: answered %d", why, resp.StatusCode)
	}
}

// The promise: HAProxy's script can only say yes. One that breaks off before it
// does says no.
func TestHAProxyScriptBreaks(t *testing.T) {
	t.Parallel()
	broken := servertest.Front{Name: "haproxy", Start: func(t testing.TB, addr, own, page string) {
		servertest.Haproxy(t, addr, own, page, "local answer = ", `error("broken") local answer = `)
	}}
	s := newSite(t, broken)
	s.notThrough(s.Person(), "a broken script")
	s.closed("a broken script")
}
