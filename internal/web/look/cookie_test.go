package look

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// jarred are the ways in which a Jar writes a cookie, and the name that it writes with each
// over https and without.
var jarred = []struct {
	what          string
	write         func(Jar, http.ResponseWriter)
	secure, plain string
	gone          bool
}{
	{"Set", func(j Jar, w http.ResponseWriter) { j.Set(w, "x", "v", time.Hour) }, "__Host-countersign-x", "countersign-x", false},
	{"SetNamed", func(j Jar, w http.ResponseWriter) { j.SetNamed(w, "__Host-y", "v", 0) }, "__Host-y", "__Host-y", false},
	{"Drop", func(j Jar, w http.ResponseWriter) { j.Drop(w, "x") }, "__Host-countersign-x", "countersign-x", true},
	{"DropNamed", func(j Jar, w http.ResponseWriter) { j.DropNamed(w, "__Host-y") }, "__Host-y", "__Host-y", true},
	{"the form's", func(j Jar, w http.ResponseWriter) { j.token(w, httptest.NewRequest("GET", "/", nil)) }, "__Host-countersign-form", "countersign-form", false},
}

// The promise: no script reads a cookie of ours, no form of another site sends it, and over
// https no other host can set it and no plain connection carries it. Whatever takes one away
// names the same cookie, or the browser would keep it.
func TestCookiesAreOurHostsAlone(t *testing.T) {
	for _, c := range jarred {
		for _, secure := range []bool{true, false} {
			w := httptest.NewRecorder()
			c.write(Jar{Secure: secure}, w)
			all := w.Result().Cookies()
			if len(all) != 1 {
				t.Fatalf("%s: %d cookies", c.what, len(all))
			}
			name, got := c.plain, all[0]
			if secure {
				name = c.secure
			}
			if got.Name != name || !got.HttpOnly || got.Secure != secure || got.SameSite != http.SameSiteLaxMode || got.Path != "/" || got.Domain != "" || (got.MaxAge < 0) != c.gone {
				t.Errorf("%s, https %v: %s", c.what, secure, got.Raw)
			}
		}
	}
}

// A name that comes twice is nobody's, and without the prefix it is another name.
func TestACookieOfAnother(t *testing.T) {
	for sent, want := range map[string]string{
		"__Host-countersign-x=v": "v", "countersign-x=v": "", "__Host-countersign-x=v; countersign-x=w": "v", "__Host-countersign-x=v; __Host-countersign-x=w": "", "": "",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Cookie", sent)
		if got := (Jar{Secure: true}).Get(r, "x"); got != want {
			t.Errorf("%q is read as %q", sent, got)
		}
	}
}
