package web

import (
	"encoding/json"
	"testing"
)

// A host is attacked at the page that was named for it, or at its root; one that stands for
// many needs a page.
func TestSitesOf(t *testing.T) {
	settings := json.RawMessage(`{"hosts":["wiki.example.org","notes.example.org:8443","*.apps.example.org","*.other.example.org"]}`)
	pages := []string{"https://notes.example.org:8443/notes/", "https://one.apps.example.org/"}
	sites, left, err := SitesOf("site", settings, "https", pages)
	if err != nil || len(sites) != 3 || len(left) != 1 || left["*.other.example.org"] == "" {
		t.Fatalf("%+v %v %v", sites, left, err)
	}
	want := []Site{{Application: "site", Door: "wiki.example.org", URL: "https://wiki.example.org/"},
		{Application: "site", Door: "notes.example.org:8443", URL: pages[0]}, {Application: "site", Door: "*.apps.example.org", URL: pages[1]}}
	for i, s := range sites {
		if s.Door != want[i].Door || s.URL != want[i].URL || s.Application != want[i].Application {
			t.Errorf("%+v, not %+v", s, want[i])
		}
	}
	for _, c := range []struct {
		host, page string
		serves     bool
	}{
		{"wiki.example.org", "https://wiki.example.org:443/x", true}, {"wiki.example.org", "http://wiki.example.org:80", true},
		{"wiki.example.org", "https://wiki.example.org:80/", false}, {"WIKI.example.org", "https://wiki.Example.org/", true},
		{"*.example.org", "https://a.b.example.org/", false}, {"*.example.org", "https://example.org/", false},
		{"wiki.example.org", "wiki.example.org", false}, {"wiki.example.org", "https://evil.org/wiki.example.org", false},
	} {
		if Serves(c.host, c.page) != c.serves {
			t.Errorf("%s at %s: %t", c.host, c.page, !c.serves)
		}
	}
}
