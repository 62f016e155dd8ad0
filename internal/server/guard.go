package server

import (
	"fmt"
	"html"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
)

// guard is the demonstration's reverse proxy: it asks before it shows.
type guard struct {
	host string
	ask  http.Handler
}

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
	q.Method, q.URL.Path, q.URL.RawQuery, q.Body = http.MethodGet, "/verify/caddy", "", http.NoBody
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
		fmt.Fprint(w, answer.Body.String())
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!doctype html><title>The wiki</title><h1>The wiki</h1><p>You are <b>%s</b>, and you showed two factors.</p>", html.EscapeString(answer.Header().Get("Remote-User")))
}
