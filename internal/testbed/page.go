package testbed

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Page is a small site to protect. It shows who it was told the person is, and
// remembers every request that got through to it.
type Page struct {
	// Addr is host and port.
	Addr string

	mu   sync.Mutex
	seen []Seen
}

// Seen is a request as it reached the page, its target byte for byte.
type Seen struct {
	Method, Target, Host string
	Header               http.Header
}

// NewPage starts a page that ends with the test.
func NewPage(t testing.TB) *Page {
	p := &Page{}
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
	fmt.Fprintf(w, `<!doctype html><title>Wiki</title><h1>Wiki</h1><p id=user>%s</p><p id=path>%s</p>`,
		html.EscapeString(r.Header.Get("Remote-User")), html.EscapeString(r.RequestURI))
}

// Seen returns the requests so far and forgets them.
func (p *Page) Seen() []Seen {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.seen
	p.seen = nil
	return seen
}
