package look

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// formed is a server with one form, behind a proxy that has its own name for it.
func formed(t *testing.T) (l *Look, h http.Handler, sent *int) {
	t.Helper()
	l, err := New(Options{Secure: true, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	sent = new(int)
	public, err := url.Parse("https://login.example.org")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Look: l, PublicURL: public, Routes: []Route{{Pattern: "POST /form", Demand: Public(), Handler: func(http.ResponseWriter, *http.Request) error { *sent++; return nil }}}}
	if h, err = s.Handler(); err != nil {
		t.Fatal(err)
	}
	return l, h, sent
}

// The promise: a form acts only where the browser says that it is from a page of ours, also
// one that has the token; and only with the token of that very browser, wherever it is from.
// Either check holds without the other.
func TestWhereAFormIsFrom(t *testing.T) {
	l, h, sent := formed(t)
	w := httptest.NewRecorder()
	token := l.FormToken(w, httptest.NewRequest("GET", "/", nil))
	cookie := w.Result().Cookies()[0]
	for _, c := range []struct {
		what, token string
		headers     map[string]string
		status      int
	}{
		{"our page", token, map[string]string{"Sec-Fetch-Site": "same-origin"}, http.StatusOK},
		{"typed by hand", token, map[string]string{"Sec-Fetch-Site": "none"}, http.StatusOK},
		{"no browser", token, nil, http.StatusOK},
		{"our page in a browser that tells the origin only", token, map[string]string{"Origin": "https://login.example.org"}, http.StatusOK},
		{"another site", token, map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, http.StatusForbidden},
		{"another site that tells no origin", token, map[string]string{"Sec-Fetch-Site": "cross-site"}, http.StatusForbidden},
		{"a neighbour", token, map[string]string{"Sec-Fetch-Site": "same-site"}, http.StatusForbidden},
		{"another origin", token, map[string]string{"Origin": "https://evil.example"}, http.StatusForbidden},
		{"our name without https", token, map[string]string{"Origin": "http://login.example.org"}, http.StatusForbidden},
		{"no origin that exists", token, map[string]string{"Origin": "null"}, http.StatusForbidden},
		{"our page without the token", "", map[string]string{"Sec-Fetch-Site": "same-origin"}, http.StatusForbidden},
		{"our page with another's", tokenOf("another"), map[string]string{"Sec-Fetch-Site": "same-origin"}, http.StatusForbidden},
	} {
		before := *sent
		r := httptest.NewRequest("POST", "http://inside.example/form", strings.NewReader(url.Values{TokenField: {c.token}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.AddCookie(cookie)
		for name, value := range c.headers {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if acted := *sent > before; w.Code != c.status || acted != (c.status == http.StatusOK) {
			t.Errorf("%s: %d, acted %v", c.what, w.Code, acted)
		}
	}
}
