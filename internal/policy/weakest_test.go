package policy

import (
	"net/netip"
	"testing"
	"time"

	"countersign/internal/assurance"
)

// Everything is two factors, but for one request that a sample would miss.
func TestWeakestFindsTheNeedle(t *testing.T) {
	everything := FreeSource | FreeTime | FreeProtocol | FreeAction | FreeRequest
	tests := []struct {
		name, networks, hole string
		check                func(Facts) bool
	}{
		{"one address in the middle", "{hole: [10.1.2.3]}", `source in networks.hole`,
			func(f Facts) bool { return f.Source == addr("10.1.2.3") }},
		{"one address that is not in a network", "{most: [0.0.0.0/1, 128.0.0.0/2, 192.0.0.0/32, 192.0.0.2/31, 192.0.0.4/30, 192.0.0.8/29, 192.0.0.16/28, 192.0.0.32/27, 192.0.0.64/26, 192.0.0.128/25, 192.0.1.0/24, 192.0.2.0/23, 192.0.4.0/22, 192.0.8.0/21, 192.0.16.0/20, 192.0.32.0/19, 192.0.64.0/18, 192.0.128.0/17, 192.1.0.0/16, 192.2.0.0/15, 192.4.0.0/14, 192.8.0.0/13, 192.16.0.0/12, 192.32.0.0/11, 192.64.0.0/10, 192.128.0.0/9, 193.0.0.0/8, 194.0.0.0/7, 196.0.0.0/6, 200.0.0.0/5, 208.0.0.0/4, 224.0.0.0/3, '::/0']}",
			`!(source in networks.most) && source in networks.most4`,
			func(f Facts) bool { return f.Source == addr("192.0.0.1") }},
		{"an unknown address", "{all: [0.0.0.0/0, '::/0']}", `!(source in networks.all)`,
			func(f Facts) bool { return f.Source == netip.Addr{} }},
		{"between two networks of both families", "{a: ['2001:db8::/33'], b: ['2001:db8::/32']}", `source in networks.b && !(source in networks.a)`,
			func(f Facts) bool { return netip.MustParsePrefix("2001:db8:8000::/33").Contains(f.Source) }},
		{"an hour of one day", "", `now.weekday == "sunday" && now.hour == 2`,
			func(f Facts) bool { return f.Now.Weekday() == time.Sunday && f.Now.Hour() == 2 }},
		{"an instant", "", `now.time == timestamp("2031-01-01T00:00:00Z")`,
			func(f Facts) bool { return f.Now.Equal(at("2031-01-01T00:00:00Z")) }},
		{"after an instant", "", `now.time > timestamp("2031-01-01T00:00:00Z")`,
			func(f Facts) bool { return f.Now.After(at("2031-01-01T00:00:00Z")) }},
		{"an hour between two instants", "", `now.time > timestamp("2031-01-01T05:10:00Z") && now.time <= timestamp("2031-01-01T06:00:00Z") && now.hour == 6`,
			func(f Facts) bool { return f.Now.Equal(at("2031-01-01T06:00:00Z")) }},
		{"a protocol", "", `protocol == "tacacs"`, func(f Facts) bool { return f.Protocol == "tacacs" }},
		{"an action by its end", "", `action.endsWith(".command")`, func(f Facts) bool { return f.Action == "application.command" }},
		{"an action that only looks", "", `reads`, func(f Facts) bool { return f.Action == "audit.search" && f.Reads }},
		{"a path", "", `path == "/healthz" && method == "GET"`, func(f Facts) bool { return f.Path == "/healthz" && f.Method == "GET" }},
		{"a path's both ends", "", `path.startsWith("/a/") && path.endsWith(".js") && !path.startsWith("/a/b") && path != "/a/.js"`,
			func(f Facts) bool { return f.Path != "" }},
		{"another method", "", `!(method in ["GET", "HEAD", "POST", ""]) && method.startsWith("QU")`, func(f Facts) bool { return f.Method[:2] == "QU" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			document := "rules:\n  - {name: strict, when: " + quoted("!("+tt.hole+")") + ", require: two-factors}\n  - {name: weak, require: one-factor}\n"
			if tt.networks != "" {
				document = "networks: " + tt.networks + "\n" + document
			}
			if tt.name == "one address that is not in a network" {
				document = document[:len("networks: {")] + "most4: [0.0.0.0/0], " + document[len("networks: {"):]
			}
			p := compile(t, document)
			f := plainFacts()
			f.Now = at("2026-11-03T12:00:00Z")
			w := p.Weakest(Class{Facts: f, Free: everything})
			if !w.Exact || len(w.Ways) != 1 || !assurance.OneFactor().Implies(w.Ways[0].Decision.Requirement) {
				t.Fatalf("got %v (exact %v)", w, w.Exact)
			}
			if !tt.check(w.Ways[0].Witness) {
				t.Errorf("witness %+v", w.Ways[0].Witness)
			}
			if w.AtLeast(assurance.TwoFactors()) || !w.AtLeast(assurance.OneFactor()) {
				t.Error("AtLeast is wrong")
			}
		})
	}
}

// The same without the hole's fact being free: nothing is found.
func TestWeakestKeepsToTheClass(t *testing.T) {
	p := compile(t, "rules:\n  - {name: strict, when: 'protocol != \"radius\" || account.privileged', require: two-factors}\n  - {name: weak, require: one-factor}\n")
	f := plainFacts()
	if w := p.Weakest(Class{Facts: f, Free: FreeSource | FreeTime}); !w.Exact || !w.AtLeast(assurance.TwoFactors()) {
		t.Errorf("browser only: %v", w)
	}
	f.Account.Privileged = true
	if w := p.Weakest(Class{Facts: f, Free: FreeProtocol}); !w.Exact || !w.AtLeast(assurance.TwoFactors()) {
		t.Errorf("privileged: %v", w)
	}
}

func TestWeakestOfDenied(t *testing.T) {
	f := plainFacts()
	f.Account.Dormant = true
	w := compile(t, string(Default())).Weakest(Class{Facts: f, Free: FreeSource | FreeTime | FreeProtocol | FreeAction | FreeRequest})
	if !w.Exact || len(w.Ways) != 1 || !denies(w.Ways[0].Decision) {
		t.Errorf("got %v", w)
	}
	var none *Policy
	if w := none.Weakest(Class{Facts: f}); len(w.Ways) != 1 || !denies(w.Ways[0].Decision) {
		t.Errorf("no policy: %v", w)
	}
}

// Two ways that cannot be compared are both told.
func TestWeakestTellsAllWays(t *testing.T) {
	p := compile(t, `
rules:
  - {name: radius, when: protocol == "radius", require: phishing-resistant}
  - {name: others, when: protocol != "radius", require: two-factors, within: 5m}
`)
	w := p.Weakest(Class{Facts: plainFacts(), Free: FreeProtocol})
	if !w.Exact || len(w.Ways) != 2 {
		t.Errorf("got %v", w)
	}
}

// A refusal is part of how strict a decision is.
func TestWeakestMindsRefusals(t *testing.T) {
	p := compile(t, `
networks: {office: [10.0.0.0/8]}
rules:
  - {name: all, require: two-factors}
  - {name: outside, when: "!(source in networks.office)", refuse: [smscode]}
`)
	w := p.Weakest(Class{Facts: plainFacts(), Free: FreeSource})
	if len(w.Ways) != 1 || len(w.Ways[0].Decision.Refuse) != 0 || !netip.MustParsePrefix("10.0.0.0/8").Contains(w.Ways[0].Witness.Source) {
		t.Errorf("got %v with %v", w, w.Ways[0].Witness.Source)
	}
}

func TestWeakestOfWhatCannotBeListed(t *testing.T) {
	f := plainFacts()
	// Uncertain, but the floor is had by the witness: exact all the same.
	p := compile(t, `rules: [{name: all, require: one-factor}, {name: api, when: 'path.matches("^/api/")', require: two-factors}]`)
	if w := p.Weakest(Class{Facts: f, Free: FreeRequest}); !w.Exact || w.AtLeast(assurance.TwoFactors()) {
		t.Errorf("a pattern that raises: %v, exact %v", w, w.Exact)
	}
	// Every path matches, which is more than the analysis can see: a floor.
	p = compile(t, `rules: [{name: all, require: one-factor}, {name: api, when: 'path.matches(".*")', require: two-factors}]`)
	if w := p.Weakest(Class{Facts: f, Free: FreeRequest}); w.Exact || w.AtLeast(assurance.TwoFactors()) || len(w.Blurred) != 1 || w.Blurred[0] != "api" {
		t.Errorf("a pattern that always matches: %v, exact %v, blurred %v", w, w.Exact, w.Blurred)
	}
	// The hole is behind a pattern: the floor must be below it.
	p = compile(t, `rules: [{name: all, when: '!path.contains("/yq/")', require: two-factors}, {name: hole, require: one-factor}]`)
	if w := p.Weakest(Class{Facts: f, Free: FreeRequest}); w.AtLeast(assurance.TwoFactors()) {
		t.Errorf("a hole behind a pattern: %v", w)
	}
	// Only rules that are uncertain demand anything: one of them does, or nobody gets in.
	p = compile(t, `rules: [{name: a, when: 'path.contains("/yq/")', require: phishing-resistant}, {name: b, when: 'path.matches("[0-9]")', require: two-factors}]`)
	if w := p.Weakest(Class{Facts: f, Free: FreeRequest}); !w.AtLeast(assurance.TwoFactors()) || w.AtLeast(assurance.Phishing()) {
		t.Errorf("only patterns: %v", w)
	}
}

func TestWeakestOfTooManyCases(t *testing.T) {
	when := ""
	for _, h := range []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20", "21", "22", "23"} {
		when += "now.hour == " + h + " || "
	}
	for _, c := range "abcdefghijklmnopqrstuvwxyz" {
		when += "path.startsWith('/" + string(c) + "') || path.endsWith('" + string(c) + "') || "
	}
	for _, d := range weekdays {
		when += "now.weekday == '" + d + "' || "
	}
	when += "method == 'GET'"
	p := compile(t, "rules: [{name: all, require: one-factor}, {name: many, when: "+quoted(when)+", require: two-factors}]")
	w := p.Weakest(Class{Facts: plainFacts(), Free: FreeTime | FreeRequest})
	if w.Exact || w.AtLeast(assurance.TwoFactors()) || len(w.Blurred) != 1 {
		t.Errorf("got %v, exact %v, blurred %v", w, w.Exact, w.Blurred)
	}
}

func TestKeyLasts(t *testing.T) {
	hour := compile(t, "timezone: America/Caracas\nrules: [{name: r, when: now.hour < 8, require: two-factors}]")
	day := compile(t, "timezone: Asia/Kolkata\nrules: [{name: r, when: 'now.weekday == \"monday\"', require: two-factors}]")
	instant := compile(t, "rules: [{name: r, when: 'now.time < timestamp(\"2031-01-01T00:00:00Z\")', require: two-factors}]")
	never := compile(t, "rules: [{name: r, when: account.new, require: two-factors}]")
	tests := []struct {
		p          *Policy
		now, until string
	}{
		{hour, "2026-11-03T12:10:00Z", "2026-11-03T13:00:00Z"},
		{hour, "2026-11-03T13:00:00Z", "2026-11-03T14:00:00Z"},
		// On this night the clocks of Caracas went from 2:30 to 3:00.
		{hour, "2016-05-01T06:45:00Z", "2016-05-01T07:00:00Z"},
		{day, "2026-11-03T12:10:00Z", "2026-11-03T12:30:00Z"},
		{instant, "2026-11-03T12:10:00Z", "2031-01-01T00:00:00Z"},
		{instant, "2031-01-01T00:00:00Z", "2031-01-01T00:00:00Z"},
		{instant, "2031-01-01T00:00:01Z", ""},
		{never, "2026-11-03T12:10:00Z", ""},
	}
	for _, tt := range tests {
		f := plainFacts()
		f.Now = at(tt.now)
		_, until, ok := tt.p.Key(f)
		var want time.Time
		if tt.until != "" {
			want = at(tt.until)
		}
		if !ok || !until.Equal(want) {
			t.Errorf("%s: until %v (%v), want %v", tt.now, until, ok, want)
		}
	}
}

func TestReadsAndMentions(t *testing.T) {
	p := compile(t, example+`
tests:
  - {name: t, given: {action: sign-in, time: 2026-11-03T12:00:00Z, account: {groups: [oncall]}, application: {name: vpn}}, expect: two-factors}
`)
	want := "account.groups account.privileged account.dormant application.tier method path source now.hour now.weekday"
	got := ""
	for _, r := range p.Reads() {
		got += " " + r
	}
	if got[1:] != want {
		t.Errorf("reads%s", got)
	}
	if m := p.Mentions(); len(m.Groups) != 2 || m.Groups[0] != "contractors" || m.Groups[1] != "oncall" || len(m.Applications) != 1 {
		t.Errorf("mentions %+v", m)
	}
	f := plainFacts()
	f.Action = "nothing"
	if _, _, ok := p.Key(f); ok {
		t.Error("a denial for want of a known action may be remembered")
	}
}

// A rule that compares the name of an account tells some names apart and no others.
func TestTellsApart(t *testing.T) {
	p := compile(t, `rules:
  - {name: all, require: two-factors}
  - {name: robots, when: 'account.name.startsWith("svc-") || account.name in ["root", "ada"]', deny: no}
`)
	for names, apart := range map[[2]string]bool{{"svc-a", "svc-b"}: false, {"svc-a", "a"}: true, {"ada", "grace"}: true, {"bob", "grace"}: false, {"root", "ada"}: false} {
		if p.TellsApart(names[0], names[1]) != apart {
			t.Errorf("%q are told apart: %v", names, !apart)
		}
	}
}
