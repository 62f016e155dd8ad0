package cli

import (
	"strings"
	"testing"

	"countersign/internal/drill/web"
)

// What the flags say is about a site that there is, and refused with a sentence otherwise.
func TestDrillFlagsAreAboutSites(t *testing.T) {
	sites := func() []web.Site {
		return []web.Site{{Application: "wiki", URL: "https://wiki.example.org/"}, {Application: "notes", URL: "https://notes.example.org:8443/notes/"}}
	}
	d := &drillRun{Resolve: []string{"wiki.example.org=192.0.2.20:443", "notes.example.org:8443=192.0.2.21:8443", "cards.example.org=192.0.2.22:8444"}, Backend: []string{"notes.example.org=http://192.0.2.30:3000"}}
	got, err := d.reached(sites(), "https://cards.example.org:8444", nil)
	if err != nil || got[0].Connect != "192.0.2.20:443" || got[1].Connect != "192.0.2.21:8443" || got[1].Backend != "http://192.0.2.30:3000" || got[0].Backend != "" {
		t.Errorf("%+v %v", got, err)
	}
	if r := d.cards("https://cards.example.org:8444"); r.Connect != "192.0.2.22:8444" {
		t.Errorf("%+v", r)
	}
	for _, c := range []struct {
		run  drillRun
		says string
	}{
		{drillRun{Resolve: []string{"wiki.example.org"}}, "write the host of a site, =, and the address"},
		{drillRun{Resolve: []string{"elsewhere.example.org=192.0.2.20:443"}}, "no application has the host elsewhere.example.org"},
		{drillRun{Backend: []string{"wiki.example.org=http://127.0.0.1:3000"}}, "leave it out"},
		{drillRun{Backend: []string{"wiki.example.org=http://localhost:3000"}}, "leave it out"},
		{drillRun{Backend: []string{"wiki.example.org=http://[::1]:3000"}}, "leave it out"},
		{drillRun{Backend: []string{"wiki.example.org=3000"}}, "an address such as"},
	} {
		if _, err := c.run.reached(sites(), "", nil); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v %v: %v", c.run.Resolve, c.run.Backend, err)
		}
	}
}
