package look

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// Whatever can reach a browser is strict. What a proxy alone reads, a yes to its
// question, is not made longer by it.
func TestStrict(t *testing.T) {
	l := &Look{Options: Options{Secure: true}}
	answers := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("as") {
		case "no":
			http.Error(w, "no", http.StatusForbidden)
		case "go":
			http.Redirect(w, r, "/x", http.StatusFound)
		case "silent yes":
			w.Write([]byte("yes"))
		default:
			w.WriteHeader(http.StatusOK)
		}
	})
	for _, c := range []struct {
		target        string
		strict, https bool
	}{
		{"/verify/nginx?as=no", true, false}, {"/verify/nginx?as=go", true, false}, {"/verify/nginx?as=yes", false, false}, {"/verify/nginx?as=silent+yes", false, false},
		{"/.countersign/begin?as=go", true, false}, {"/.countersign/begin?as=yes", true, false}, {"/account?as=yes", true, true}, {"/account?as=no", true, true}, {"/verify?as=yes", true, true},
	} {
		w := httptest.NewRecorder()
		l.Strict(l.Strict(answers, nil, nil), []string{"/verify/"}, []string{"/verify/", "/.countersign/"}).ServeHTTP(w, httptest.NewRequest("GET", c.target, nil))
		h := w.Result().Header
		if strict := h.Get("X-Frame-Options") != "" && h.Get("Content-Security-Policy") != "" && h.Get("Cache-Control") == "no-store"; strict != c.strict || (h.Get("Strict-Transport-Security") != "") != c.https {
			t.Errorf("%s: strict %v, https %v", c.target, strict, h.Get("Strict-Transport-Security"))
		}
	}
}
