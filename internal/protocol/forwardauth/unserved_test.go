package forwardauth

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"countersign/internal/clientaddr"
	"countersign/internal/protocol"
)

// An address that can be read in two ways is told to administrators with what to do, once a
// minute in the log and without the address; a person reads a page, and a program a line.
func TestAmbiguousIsTold(t *testing.T) {
	var log bytes.Buffer
	u, err := url.Parse("https://login.example.org")
	if err != nil {
		t.Fatal(err)
	}
	ears := protocol.NewEars()
	d := New(protocol.Parts{Applications: &list{settings: `{"hosts":["wiki.example.org"]}`}, PublicURL: u, Clients: clientaddr.NewReader(proxies, time.Now, nil), Now: time.Now,
		Log: slog.New(slog.NewTextHandler(&log, nil)), Ears: ears})
	mux := http.NewServeMux()
	d.Handle(mux)
	ask := func(mode string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "https://login.example.org/verify/nginx", nil)
		r.RemoteAddr = "192.0.2.1:4711"
		for k, v := range map[string]string{"X-Original-Url": "https://wiki.example.org/hunter2%2f..", "X-Original-Method": "GET", "X-Forwarded-For": "198.51.100.7", "Sec-Fetch-Mode": mode} {
			r.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w
	}
	page, line := ask("navigate"), ask("cors")
	if page.Code != 403 || !strings.HasPrefix(page.Header().Get("Content-Type"), "text/html") || !strings.Contains(page.Body.String(), "<p>This address can be read in two ways") {
		t.Errorf("a person gets %d %s %s", page.Code, page.Header(), page.Body)
	}
	if line.Code != 403 || strings.Contains(line.Body.String(), "<") {
		t.Errorf("a program gets %d %s", line.Code, line.Body)
	}
	if _, u := ears.Of("wiki"); len(u) != 1 || u[0].Cause != "ambiguous" || u[0].Count != 2 {
		t.Errorf("of the wiki is told %+v", u)
	}
	if s := log.String(); strings.Count(s, "level=WARN") != 1 || !strings.Contains(s, "application=wiki") || strings.Contains(s, "hunter2") {
		t.Errorf("the log says %s", s)
	}
	w := httptest.NewRecorder()
	refuse(w, httptest.NewRequest("GET", "/", nil), "GET", "<script>")
	if strings.Contains(w.Body.String(), "<html") {
		t.Error("a program is answered with a page")
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Accept", "text/html")
	w = httptest.NewRecorder()
	refuse(w, r, "GET", "<script>")
	if !strings.Contains(w.Body.String(), "&lt;script&gt;") {
		t.Errorf("the words of a rule are not escaped: %s", w.Body)
	}
}
