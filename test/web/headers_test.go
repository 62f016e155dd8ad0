package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"countersign/internal/servertest"
)

// strictHeaders are on every response, whoever of the server makes it.
var strictHeaders = []string{"Content-Security-Policy", "X-Frame-Options", "X-Content-Type-Options", "Referrer-Policy", "Permissions-Policy", "Cross-Origin-Opener-Policy",
	"Cross-Origin-Resource-Policy", "Cross-Origin-Embedder-Policy", "X-Robots-Tag", "Cache-Control"}

// The promise: every response bears the strict headers, also a redirect to a tidier
// path, a refusal of a method, and what was not found, in whichever part of the server.
func TestEveryResponseIsStrict(t *testing.T) {
	w := servertest.NewWorldAt(t, "", "https://localhost", nil)
	paths := []string{"/", "//", "//account", "/account/", "/account//history", "/account/../account", "/./console", "/console/../../etc/passwd", "/nothing", "/%2e%2e/x", "/sign-in?errand=x",
		"/api/", "/api//v1/session", "/api/v1/", "/api/v1/nothing", "/api/v1/openapi.json", "/healthz", "/healthz/", "//healthz", "/readyz", "/favicon.ico", "/app", "/app/", "/app/app.js", "/app/key.js", "/assets/nothing",
		"/verify/nginx", "/verify/", "//verify/nginx", "/forward/start", "/forward//start", "/.countersign/begin", "/.countersign/../account", "/wsapi/2.0/verify", "/wsapi//2.0/verify", "*"}
	for _, r := range w.Routes {
		_, path, _ := strings.Cut(r.Pattern, " ")
		paths = append(paths, strings.NewReplacer("{$}", "", "{name}", "x", "{number}", "1").Replace(path))
	}
	for _, r := range w.API.Requests() {
		_, path, _ := strings.Cut(r.Pattern, " ")
		paths = append(paths, path)
	}
	statuses := map[int]int{}
	for _, path := range paths {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "BREW"} {
			r := httptest.NewRequest(method, "https://localhost/", nil)
			r.RequestURI, r.URL.RawPath = path, ""
			r.URL.Path, r.URL.RawQuery, _ = strings.Cut(path, "?")
			answer := httptest.NewRecorder()
			w.Handler.ServeHTTP(answer, r)
			statuses[answer.Code]++
			for _, name := range strictHeaders {
				if answer.Header().Get(name) == "" {
					t.Errorf("%s %s: %d without %s", method, path, answer.Code, name)
				}
			}
			abroad := strings.HasPrefix(r.URL.Path, "/verify/") || strings.HasPrefix(r.URL.Path, "/.countersign/")
			if promised := answer.Header().Get("Strict-Transport-Security") != ""; promised == abroad {
				t.Errorf("%s %s: %d promises https: %v", method, path, answer.Code, promised)
			}
		}
	}
	for _, code := range []int{http.StatusOK, http.StatusTemporaryRedirect, http.StatusSeeOther, http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed} {
		if statuses[code] == 0 {
			t.Errorf("no response was %d: %v", code, statuses)
		}
	}
}
