package policy

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// The promise: a document in force whose names vanished is in force by its own rules: a
// rule about what is gone applies to nobody, one about everybody else to all, and
// everything beside them as before. Saved as it is, it is refused.
func TestADocumentWhoseNamesAreGone(t *testing.T) {
	document := []byte(`rules:
  - {name: all, require: two-factors}
  - {name: freelancers, when: '"freelancers" in account.groups', deny: freelancers}
  - {name: others, when: '!("employees" in account.groups)', within: 1h, require: two-factors}
  - {name: shop, when: 'application.name == "shop"', deny: closed}
  - {name: buying, when: 'action == "shop.buy"', deny: closed}
  - {name: alike, when: 'action.startsWith("shop.")', deny: closed}
  - {name: exchange, refuse: [pager]}
tests:
  - {name: a freelancer, given: {action: sign-in, account: {groups: [freelancers]}, application: {name: shop}}, deny: freelancers}
`)
	known := standard()
	if _, err := Compile(document, known); err == nil {
		t.Fatal("a document that mentions what is not there is saved")
	}
	p, err := Load(document, known)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`group "freelancers"`, `group "employees"`, `application "shop"`, `action "shop.buy"`, `authenticator "pager"`} {
		if !strings.Contains(strings.Join(p.Gone(), ", "), want) {
			t.Errorf("%s is not told as gone: %v", want, p.Gone())
		}
	}
	d := p.Decide(plainFacts())
	if why, no := d.Requirement.Denied(); no {
		t.Errorf("everybody is denied: %s", why)
	}
	var rules []string
	for _, r := range d.Reasons {
		rules = append(rules, r.Rule)
	}
	if got := strings.Join(rules, " "); got != "all others exchange" {
		t.Errorf("rules in force for everybody: %s", got)
	}
	// A group of that name that comes back is that group.
	f := plainFacts()
	f.Account.Groups = []string{"freelancers"}
	if _, no := p.Decide(f).Requirement.Denied(); !no {
		t.Error("the rule about the group does not hold for its members")
	}
	if _, err := Load([]byte("rules: [{name: a, when: 'account.groups', require: two-factors}]"), known); err == nil {
		t.Error("what is no condition is loaded")
	}
}

// The promise: two clocks that stand to each other otherwise in summer are compared in
// summer too, whenever it is now.
func TestCompareOverTheYear(t *testing.T) {
	document := func(zone string) *Policy {
		return compile(t, "timezone: "+zone+"\nrules:\n  - {name: all, require: two-factors}\n  - {name: closed, when: now.hour == 3, deny: closed}\n")
	}
	for _, pair := range [][2]string{{"Europe/London", "UTC"}, {"Africa/Lagos", "Europe/Berlin"}, {"America/New_York", "America/Jamaica"}} {
		for _, now := range []string{"2026-01-15T12:00:00Z", "2026-07-15T12:00:00Z"} {
			f := plainFacts()
			f.Now = at(now)
			got := Compare(document(pair[0]), document(pair[1]), Class{Facts: f, Free: FreeTime})
			if len(got.Changes) == 0 {
				t.Errorf("%v at %s: no change, exact %t", pair, now, got.Exact)
			}
		}
	}
	f := plainFacts()
	f.Now = at("2026-01-15T12:00:00Z")
	if got := Compare(document("Europe/Berlin"), document("Europe/Paris"), Class{Facts: f, Free: FreeTime}); len(got.Changes) != 0 || !got.Exact {
		t.Errorf("two clocks that never differ: %+v", got)
	}
}

// large is a document of about 25 kB that tells as many requests apart as it can.
func large(t *testing.T, kind string) *Policy {
	t.Helper()
	var b strings.Builder
	b.WriteString("timezone: Europe/Berlin\nrules:\n  - {name: all, require: two-factors}\n")
	for i := 0; b.Len() < 25_000; i++ {
		when := map[string]string{
			"paths":     fmt.Sprintf(`path.startsWith("/%da") && path.endsWith("%db")`, i, i),
			"times":     fmt.Sprintf(`now.time > timestamp("20%02d-%02d-%02dT00:00:00Z") && now.hour == %d`, 27+i/300, 1+i/28%12, 1+i%28, i%24),
			"addresses": fmt.Sprintf(`source in networks.n%d`, i),
		}[kind]
		fmt.Fprintf(&b, "  - {name: r%d, when: '%s', deny: x}\n", i, when)
	}
	if kind == "addresses" {
		nets := "networks:\n"
		for i := range strings.Count(b.String(), "networks.n") {
			nets += fmt.Sprintf("  n%d: [10.%d.%d.0/25, 172.16.%d.0/30]\n", i, i/200, i%200, i%200)
		}
		return compile(t, nets+b.String())
	}
	return compile(t, b.String())
}

// The promise: a comparison of large documents is bounded before it is begun, in work and
// in memory, and ends with its request.
func TestCompareIsBounded(t *testing.T) {
	for _, kind := range []string{"paths", "times", "addresses"} {
		before, after := large(t, kind), compile(t, "rules:\n  - {name: all, require: two-factors}\n")
		f := plainFacts()
		f.Now = at("2026-11-29T12:00:00Z")
		class := Class{Facts: f, Free: FreeSource | FreeTime | FreeRequest}
		runtime.GC()
		var was, is runtime.MemStats
		runtime.ReadMemStats(&was)
		b := Budget{Left: 40_000_000}
		got, err := CompareWithin(context.Background(), before, after, class, &b)
		runtime.ReadMemStats(&is)
		if mb := (is.TotalAlloc - was.TotalAlloc) >> 20; mb > 64 {
			t.Errorf("%s: %d MiB", kind, mb)
		}
		t.Logf("%s: %d MiB, %d units, %d changes, %v", kind, (is.TotalAlloc-was.TotalAlloc)>>20, 40_000_000-b.Left, len(got.Changes), err)
		if err != nil && !errors.Is(err, ErrTooMuch) {
			t.Error(err)
		}
		ended, stop := context.WithCancel(context.Background())
		stop()
		if _, err := CompareWithin(ended, before, after, class, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: it goes on when nobody waits: %v", kind, err)
		}
	}
	if _, err := CompareWithin(context.Background(), large(t, "times"), large(t, "paths"), Class{Facts: plainFacts(), Free: FreeTime}, &Budget{Left: 1000}); !errors.Is(err, ErrTooMuch) {
		t.Errorf("a budget that does not reach: %v", err)
	}
}
