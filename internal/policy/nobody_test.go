package policy

import (
	"net/netip"
	"testing"
	"time"
)

// The promise: of a request that nobody signs in for, rules about the address, the time and the
// path are heeded, and those about accounts are not.
func TestDeniesEverybody(t *testing.T) {
	p := compile(t, `
networks: {office: [10.0.0.0/8]}
rules:
  - {name: all, when: 'account.kind != "service"', require: two-factors}
  - {name: out, when: '!(source in networks.office) && path.startsWith("/inner")', deny: from the office}
  - {name: night, when: 'now.hour < 6', deny: at night}
  - {name: staff, when: '!("staff" in account.groups)', deny: staff only}
  - {name: names, when: 'account.privileged || !(source in networks.office) && method == "POST"', deny: not by post}
`)
	noon := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for _, k := range []struct {
		facts Facts
		want  string
	}{
		{Facts{Path: "/assets", Method: "GET"}, ""},
		{Facts{Path: "/inner/x", Method: "GET"}, "from the office"},
		{Facts{Path: "/inner/x", Method: "GET", Source: netip.MustParseAddr("10.1.2.3")}, ""},
		{Facts{Path: "/assets", Method: "GET", Now: noon.Add(-8 * time.Hour)}, "at night"},
		{Facts{Path: "/assets", Method: "POST"}, "not by post"},
		{Facts{Path: "/assets", Method: "POST", Source: netip.MustParseAddr("10.1.2.3")}, ""},
		{Facts{Path: AnyPath, Method: "GET"}, "the request can be read in several ways"},
		{Facts{Path: "/assets", Method: AnyMethod}, "the request can be read in several ways"},
		{Facts{Path: "/assets", Method: "GET", Action: "no-such-action"}, "unknown action"},
	} {
		if k.facts.Action == "" {
			k.facts.Action = "sign-in"
		}
		if k.facts.Now.IsZero() {
			k.facts.Now = noon
		}
		if why, denies := p.DeniesEverybody(k.facts); why != k.want || denies != (k.want != "") {
			t.Errorf("%+v: %q, %v", k.facts, why, denies)
		}
	}
	if _, denies := (*Policy)(nil).DeniesEverybody(Facts{Action: "sign-in"}); !denies {
		t.Error("no policy opens something")
	}
	if why, denies := compile(t, "rules: [{name: never, deny: closed}]").DeniesEverybody(Facts{Action: "sign-in", Now: noon}); !denies || why != "closed" {
		t.Errorf("a rule without a condition: %q, %v", why, denies)
	}
}
