package cli

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// The promise: what monitoring reads is well formed, counts what happened, and
// holds nothing that anybody typed.
func TestMetrics(t *testing.T) {
	w, ada := withVPN(t)
	server := httptest.NewServer(w.Metrics())
	defer server.Close()
	scrape := func() string {
		t.Helper()
		p := w.person()
		p.take(http.Get(server.URL + "/metrics"))
		return p.page
	}
	scrape()
	w.begin(line("ada", passphrase, ada.code()))
	w.begin(line("a-name-that-was-typed", "a-password-that-was-typed", ""))
	hostile := line("ada", passphrase, "000000")
	hostile.Protocol = "made\nup\"{}"
	w.begin(hostile)
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
