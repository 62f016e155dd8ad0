package demo

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
)

// guard is the demonstration's reverse proxy, so that it needs nothing else installed: it
// asks as Caddy does before it passes a request on to the pages behind.
type guard struct {
	host  string
	ask   http.Handler
	pages http.Handler
}

// identity are the headers that say who somebody is. None comes from a browser.
var identity = []string{"Remote-User", "Remote-Name", "Remote-Email", "Remote-Groups"}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.Clone(r.Context())
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	q.Header.Set("X-Forwarded-For", host)
	if strings.HasPrefix(r.URL.Path, "/.countersign/") {
		q.Header.Set("X-Forwarded-Proto", "http")
		q.Header.Set("X-Forwarded-Host", g.host)
		g.ask.ServeHTTP(w, q)
		return
	}
	q.Method, q.URL.Path, q.URL.RawPath, q.URL.RawQuery, q.Body = http.MethodGet, "/verify/caddy", "", "", http.NoBody
	for name, value := range map[string]string{"Proto": "http", "Host": g.host, "Uri": r.URL.RequestURI(), "Method": r.Method} {
		q.Header.Set("X-Forwarded-"+name, value)
	}
	answer := httptest.NewRecorder()
	g.ask.ServeHTTP(answer, q)
	if answer.Code != http.StatusOK {
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()) // the browser may be gone
		return
	}
	for _, name := range identity {
		r.Header.Del(name)
		if value := answer.Header().Get(name); value != "" {
			r.Header.Set(name, value)
		}
	}
	g.pages.ServeHTTP(w, r)
}
