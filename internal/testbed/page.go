package testbed

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Page is a small site to protect. It shows who it was told the person is, and
// remembers every request that got through to it.
type Page struct {
	// Addr is host and port.
	Addr string
	// only is the one address that it answers; the zero one is everybody's.
	only netip.Addr
	// kept is the path under which it keeps what is for members.
	kept string

	mu   sync.Mutex
	seen []Seen
}

// Seen is a request as it reached the page, its target byte for byte.
type Seen struct {
	Method, Target, Host string
	Header               http.Header
}

// Members is what a page shows under the path that it keeps for members, and nowhere else.
const Members = "For members only"

// NewPage starts a page that ends with the test. All of it is for members.
func NewPage(t testing.TB) *Page { return NewPageFor(t, netip.Addr{}, "/") }

// NewPageFor starts a page that answers one address only, which is its proxy's, or
// everybody for the zero one. It keeps what is for members under a path.
func NewPageFor(t testing.TB, only netip.Addr, kept string) *Page {
	p := &Page{only: only, kept: kept}
	s := httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(s.Close)
	p.Addr = strings.TrimPrefix(s.URL, "http://")
	return p
}

func (p *Page) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.seen = append(p.seen, Seen{Method: r.Method, Target: r.RequestURI, Host: r.Host, Header: r.Header.Clone()})
	p.mu.Unlock()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if from, err := netip.ParseAddrPort(r.RemoteAddr); p.only.IsValid() && (err != nil || from.Addr().Unmap() != p.only) {
		http.Error(w, "This application is reached through its proxy only.", http.StatusForbidden)
		return
	}
	members := ""
	if strings.HasPrefix(path.Clean(r.URL.Path)+"/", strings.TrimSuffix(p.kept, "/")+"/") {
		members = "<p>" + Members + "</p>"
	}
	var cookies []string
	for _, c := range r.Cookies() {
		cookies = append(cookies, c.Name)
	}
	fmt.Fprintf(w, `<!doctype html><title>Wiki</title><h1>Wiki</h1><p id=user>%s</p><p id=told>%s</p><p id=cookies>%s</p><p id=path>%s</p>%s`, html.EscapeString(r.Header.Get("Remote-User")),
		html.EscapeString(strings.Join(identities(r.Header), ", ")), html.EscapeString(strings.Join(cookies, ", ")), html.EscapeString(r.RequestURI), members)
}

// identities are the values of all headers that a CGI program or PHP could take for those
// of forward-auth, whatever stands between the words of their names (RFC 3875 section 4.1.18).
func identities(h http.Header) (told []string) {
	for name, values := range h {
		folded := strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
				return r
			}
			return '_'
		}, name)
		if strings.HasPrefix(strings.ToLower(folded), "remote_") {
			told = append(told, values...)
		}
	}
	slices.Sort(told)
	return told
}

// Seen returns the requests so far and forgets them.
func (p *Page) Seen() []Seen {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.seen
	p.seen = nil
	return seen
}
