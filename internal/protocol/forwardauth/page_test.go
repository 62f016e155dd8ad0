package forwardauth

import (
	"net/http/httptest"
	"testing"
)

// Only what a person looks at is sent to sign in; a script's request is not, also of a browser
// without Fetch Metadata.
func TestPageOfAScript(t *testing.T) {
	for _, c := range []struct {
		method, mode, with, accept string
		want                       bool
	}{
		{"GET", "navigate", "", "", true},
		{"GET", "cors", "", "text/html", false},
		{"GET", "", "", "text/html,*/*;q=0.8", true},
		{"GET", "", "XMLHttpRequest", "text/html, */*; q=0.01", false},
		{"GET", "", "", "application/json", false},
		{"POST", "navigate", "", "text/html", false},
		{"OPTIONS", "cors", "", "*/*", false},
	} {
		r := httptest.NewRequest("GET", "/verify/nginx", nil)
		for name, value := range map[string]string{"Sec-Fetch-Mode": c.mode, "X-Requested-With": c.with, "Accept": c.accept} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		if got := page(r, c.method); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
