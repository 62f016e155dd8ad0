package admin

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"countersign/internal/servertest"
)

// The promise: what monitoring reads is well formed, counts what happened, and
// holds nothing that anybody typed.
func TestMetrics(t *testing.T) {
	w, ada := servertest.WithVPN(t)
	server := httptest.NewServer(w.Metrics())
	defer server.Close()
	scrape := func() string {
		t.Helper()
		p := w.Person()
		p.Take(http.Get(server.URL + "/metrics"))
		return p.Page
	}
	scrape()
	w.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code()))
	w.Begin(servertest.Line("a-name-that-was-typed", "a-password-that-was-typed", ""))
	hostile := servertest.Line("ada", servertest.Passphrase, "000000")
	hostile.Protocol = "made\nup\"{}"
	w.Begin(hostile)
	page := scrape()
	for _, want := range []string{
		`countersign_audit_entries_total{event="signin.granted",outcome="ok",protocol="radius"} 1`,
		`event="signin.refused",outcome="refused",protocol="other"`,
		"countersign_store_healthy 1", "countersign_feed_fresh 1", "countersign_scrape_errors 0", `countersign_radius_datagrams_total{fate="accepted"} 0`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("it does not say %s:\n%s", want, page)
		}
	}
	for _, typed := range []string{"ada", "that-was-typed", "made"} {
		if strings.Contains(page, typed) {
			t.Errorf("it holds %q", typed)
		}
	}
	form := regexp.MustCompile(`^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z]+="([^"\\]|\\.)*"(,[a-z]+="([^"\\]|\\.)*")*\})? [0-9.e+-]+)$`)
	for line := range strings.Lines(page) {
		if !form.MatchString(strings.TrimRight(line, "\n")) {
			t.Errorf("malformed: %q", line)
		}
	}
}
