package forwardauth

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// The random cookie of the way to sign in is the host's alone: no script reads it, no form of
// another site sends it, and over https no other host can set it and no plain connection
// carries it. Whoever could set or read it could have somebody else signed in as themselves.
func TestTheWayIsTheHostsAlone(t *testing.T) {
	_, h := without(t)
	r := httptest.NewRequest("GET", "https://wiki.example.org"+beginPath+"?to=/notes", nil)
	r.RemoteAddr = "192.0.2.1:4711"
	for name, value := range map[string]string{"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "wiki.example.org"} {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	all := w.Result().Cookies()
	if w.Code != http.StatusSeeOther || len(all) != 1 {
		t.Fatalf("%d, %d cookies", w.Code, len(all))
	}
	if c := all[0]; c.Name != "__Host-countersign-app-way" || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != wayLife || !whole(c.Value) {
		t.Errorf("%s=..., script %v, plain %v, site %v, path %q, domain %q, %d s", c.Name, !c.HttpOnly, !c.Secure, c.SameSite, c.Path, c.Domain, c.MaxAge)
	}
	if cookie("http") != "countersign-app" {
		t.Errorf("without https it is %s", cookie("http"))
	}
}
