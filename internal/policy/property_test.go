package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"countersign/internal/assurance"
)

const testNetworks = "networks:\n  office: [10.20.0.0/16, 2001:db8:20::/48]\n  lab: [10.20.7.0/24, 10.21.0.0/16, 192.0.2.7]\n  all: [0.0.0.0/0, '::/0']\n"

// listed are comparisons whose cases can be listed; blurry are the others.
var listed = []string{
	`account.privileged`, `reads`, `account.new`, `account.dormant`, `"staff" in account.groups`, `"admins" in account.groups`,
	`application.kind == "vpn"`, `application.tier != "standard"`, `account.name == "ada"`, `account.name.contains("d")`,
	`source in networks.office`, `source in networks.lab`, `source in networks.all`,
	`protocol == "radius"`, `protocol.startsWith("r")`, `protocol.contains("e")`, `action in ["sign-in", "policy.change"]`, `action.matches("^authenticator")`,
	`now.hour < 8`, `now.hour >= 18`, `now.hour <= 3`, `now.hour > 21`, `12 == now.hour`, `now.weekday in ["saturday", "sunday"]`, `now.weekday.startsWith("t")`,
	`now.time < timestamp("2026-11-04T10:30:00Z")`, `now.time == timestamp("2026-11-05T00:00:00Z")`, `now.time >= timestamp("2026-03-29T01:00:00Z")`, `now.time <= timestamp("2026-10-25T01:00:00Z")`, `now.time > timestamp("2026-11-04T10:30:00Z")`,
	`path == "/"`, `path == ""`, `path.startsWith("/admin/")`, `path.startsWith("/admin/x")`, `path.endsWith(".zip")`, `path.endsWith("/x.zip")`, `path in ["/admin/x.zip", "/q"]`,
	`method == "POST"`, `method in ["GET", "REPORT"]`, `method.startsWith("P")`, `true`, `false`,
}

var blurry = []string{`path.contains("x")`, `path.matches("^/v[0-9]+/")`, `method.contains("O")`}

func drawCondition(atoms []string) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string { return joined(t, atoms, 3) })
}

func joined(t *rapid.T, atoms []string, depth int) string {
	pick := 0
	if depth > 0 {
		pick = rapid.IntRange(0, 4).Draw(t, "form")
	}
	switch pick {
	case 1:
		return "(" + joined(t, atoms, depth-1) + " && " + joined(t, atoms, depth-1) + ")"
	case 2:
		return "(" + joined(t, atoms, depth-1) + " || " + joined(t, atoms, depth-1) + ")"
	case 3:
		return "!(" + joined(t, atoms, depth-1) + ")"
	}
	return rapid.SampledFrom(atoms).Draw(t, "atom")
}

// ruleOf draws one rule without its name.
func ruleOf(atoms []string) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		var b strings.Builder
		if rapid.IntRange(0, 5).Draw(t, "always") > 0 {
			fmt.Fprintf(&b, "when: %s, ", quoted(drawCondition(atoms).Draw(t, "when")))
		}
		switch rapid.IntRange(0, 7).Draw(t, "effect") {
		case 0:
			b.WriteString("deny: no")
		case 1:
			fmt.Fprintf(&b, "refuse: [%s]", rapid.SampledFrom([]string{"totp", "smscode", "totp, smscode"}).Draw(t, "kinds"))
		default:
			fmt.Fprintf(&b, "require: %s", rapid.SampledFrom(assurance.Names()).Draw(t, "requirement"))
			if rapid.Bool().Draw(t, "fresh") {
				fmt.Fprintf(&b, ", within: %s", rapid.SampledFrom([]string{"5m", "15m", "8h"}).Draw(t, "within"))
			}
		}
		return b.String()
	})
}

func documentOf(rules []string) string {
	var b strings.Builder
	b.WriteString("timezone: Europe/Berlin\n" + testNetworks + "rules:\n")
	for i, r := range rules {
		fmt.Fprintf(&b, "  - {name: r%d, %s}\n", i, r)
	}
	return b.String()
}

func compileRapid(t *rapid.T, rules []string) *Policy {
	p, err := Compile([]byte(documentOf(rules)), standard())
	if err != nil {
		t.Fatalf("%v\n%s", err, documentOf(rules))
	}
	return p
}

var drawFacts = rapid.Custom(func(t *rapid.T) Facts {
	word := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	flag := func(label string) bool { return rapid.Bool().Draw(t, label) }
	known := standard()
	action := word("action", known.Actions...)
	return Facts{
		Account: Account{Name: word("name", "ada", "bob", "eve"), Kind: word("kind", known.AccountKinds...), Privileged: flag("privileged"),
			Dormant: flag("dormant"), New: flag("new"), Groups: rapid.SliceOfDistinct(rapid.SampledFrom(known.Groups), rapid.ID[string]).Draw(t, "groups")},
		Application: Application{Name: word("app", known.Applications...), Kind: word("app kind", known.ApplicationKinds...), Tier: word("tier", known.Tiers...)},
		Protocol:    word("protocol", known.Protocols...),
		Action:      action, Reads: slices.Contains(known.Reading, action),
		Method: word("method", "", "GET", "POST", "PUT", "REPORT", "PXO"),
		Path:   word("path", "", "/", "/q", "/admin/", "/admin/x", "/admin/x.zip", "/admin/xx.zip", "/x.zip", "/v1/x", "/admin", "/v2/a.zip"),
		Source: rapid.SampledFrom([]netip.Addr{{}, addr("10.19.255.255"), addr("10.20.0.0"), addr("10.20.7.1"), addr("10.20.255.255"), addr("10.21.0.0"),
			addr("10.22.0.0"), addr("192.0.2.7"), addr("::ffff:192.0.2.7"), addr("255.255.255.255"), addr("::"), addr("2001:db8:20::1"), addr("2001:db8:21::"), addr("ffff::")}).Draw(t, "source"),
		Now: drawTime(t),
	}
})

// drawTime favours the edges of hours and of what the atoms name.
func drawTime(t *rapid.T) time.Time {
	edge := rapid.SampledFrom([]string{"", "2026-11-04T10:30:00Z", "2026-11-05T00:00:00Z", "2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"}).Draw(t, "edge")
	shift := rapid.SampledFrom([]time.Duration{0, 0, -1, 1, 29 * time.Minute}).Draw(t, "shift")
	if edge != "" {
		return at(edge).Add(shift)
	}
	// SampledFrom is uniform, where a range of numbers favours the small ones.
	hour := rapid.SampledFrom(hoursOfTwoWeeks).Draw(t, "hour")
	return at("2026-10-20T00:00:00Z").Add(hour + shift)
}

var hoursOfTwoWeeks = func() []time.Duration {
	all := make([]time.Duration, 14*24)
	for i := range all {
		all[i] = time.Duration(i) * time.Hour
	}
	return all
}()

func TestAddingARuleNeverWeakens(t *testing.T) {
	all := append(append([]string{}, listed...), blurry...)
	rapid.Check(t, func(t *rapid.T) {
		rules := rapid.SliceOfN(ruleOf(all), 1, 6).Draw(t, "rules")
		added := ruleOf(all).Draw(t, "added")
		place := rapid.IntRange(0, len(rules)).Draw(t, "place")
		before := compileRapid(t, rules)
		after := compileRapid(t, append(append(append([]string{}, rules[:place]...), added), rules[place:]...))
		f := drawFacts.Draw(t, "facts")
		d := before.Decide(f)
		if d.Reasons[0].Rule == "" {
			return // denied for want of a rule: the first rule that demands something opens
		}
		if got := after.Decide(f); !got.AtLeast(d) {
			t.Fatalf("with %q added, %v became %v", added, d.Requirement, got.Requirement)
		}
	})
}

func TestOrderOfRulesIsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := rapid.SliceOfN(ruleOf(listed), 1, 6).Draw(t, "rules")
		f := drawFacts.Draw(t, "facts")
		a, b := compileRapid(t, rules).Decide(f), compileRapid(t, rapid.Permutation(rules).Draw(t, "order")).Decide(f)
		if !a.AtLeast(b) || !b.AtLeast(a) {
			t.Fatalf("%v and %v", a, b)
		}
	})
}

// What is said of all requests at once rests on formula agreeing with CEL.
func TestFormulaAgreesWithCEL(t *testing.T) {
	all := append(append([]string{}, listed...), blurry...)
	rapid.Check(t, func(t *rapid.T) {
		p := compileRapid(t, []string{"require: aal2, when: " + quoted(drawCondition(all).Draw(t, "when"))})
		f := drawFacts.Draw(t, "facts")
		hit, err := p.rules[0].matches(&view{facts: &f, policy: p})
		if err != nil {
			t.Fatal(err)
		}
		if got := p.rules[0].shape.settle(&f, p.zone, func(*atom) bool { return false }); got != truthOf(hit) {
			t.Fatalf("%s: CEL %v, formula %v", p.rules[0].when, hit, got)
		}
	})
}

func TestKeysKeepDecisionsApart(t *testing.T) {
	all := append(append([]string{}, listed...), blurry...)
	rapid.Check(t, func(t *rapid.T) {
		p := compileRapid(t, rapid.SliceOfN(ruleOf(all), 1, 4).Draw(t, "rules"))
		f := drawFacts.Draw(t, "facts")
		key, until, ok := p.Key(f)
		if !ok {
			t.Fatal("no key")
		}
		other := drawFacts.Draw(t, "other")
		if k, _, _ := p.Key(other); k == key {
			same(t, p, f, other)
		}
		// The same request at any other moment before the key runs out.
		later := f
		if until.IsZero() {
			until = f.Now.Add(1000 * time.Hour)
		}
		if span := until.Sub(f.Now); span > 0 {
			later.Now = f.Now.Add(time.Duration(rapid.Int64Range(0, int64(span)-1).Draw(t, "later")))
			same(t, p, f, later)
		}
	})
}

// What is remembered is what would be decided anew, whoever asked before.
func TestRememberedIsDecidedAnew(t *testing.T) {
	all := append(append([]string{}, listed...), blurry...)
	rapid.Check(t, func(t *rapid.T) {
		p := compileRapid(t, rapid.SliceOfN(ruleOf(all), 1, 4).Draw(t, "rules"))
		for _, f := range rapid.SliceOfN(drawFacts, 2, 20).Draw(t, "facts") {
			x, y := p.Decide(f), p.decide(f)
			if !x.AtLeast(y) || !y.AtLeast(x) {
				t.Fatalf("remembered %v, decided %v", x.Requirement, y.Requirement)
			}
		}
	})
}

func same(t *rapid.T, p *Policy, a, b Facts) {
	x, y := p.decide(a), p.decide(b)
	if !x.AtLeast(y) || !y.AtLeast(x) {
		t.Fatalf("one key, two decisions: %v for %+v, %v for %+v", x.Requirement, a, y.Requirement, b)
	}
}

func TestNothingIsWeakerThanWeakest(t *testing.T) {
	all := append(append([]string{}, listed...), blurry...)
	rapid.Check(t, func(t *rapid.T) {
		atoms := listed
		blur := rapid.IntRange(0, 3).Draw(t, "blur") == 0
		if blur {
			atoms = all
		}
		p := compileRapid(t, rapid.SliceOfN(ruleOf(atoms), 1, 4).Draw(t, "rules"))
		c := Class{Facts: drawFacts.Draw(t, "class"), Free: Free(rapid.IntRange(0, 31).Draw(t, "free"))}
		w := p.Weakest(c)
		if !blur && !w.Exact {
			t.Fatalf("not exact, because of %v:\n%+v", w.Blurred, w.Ways)
		}
		f := chosen(c, drawFacts.Draw(t, "attacker's choice"))
		d := p.Decide(f)
		for _, way := range w.Ways {
			if d.AtLeast(way.Decision) {
				return
			}
		}
		t.Fatalf("%+v gets %v (refusing %v), weaker than %v", f, d.Requirement, d.Refuse, w)
	})
}

// chosen is the class with an attacker's choice of what is free.
func chosen(c Class, by Facts) Facts {
	f := c.Facts
	if c.Free&FreeSource != 0 {
		f.Source = by.Source
	}
	if c.Free&FreeTime != 0 && by.Now.After(f.Now) {
		f.Now = by.Now
	}
	if c.Free&FreeProtocol != 0 {
		f.Protocol = by.Protocol
	}
	if c.Free&FreeAction != 0 {
		f.Action, f.Reads = by.Action, by.Reads
	}
	if c.Free&FreeRequest != 0 {
		f.Method, f.Path = by.Method, by.Path
	}
	return f
}

func TestNetworkIsItsPrefixes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prefixes := rapid.SliceOfN(rapid.Custom(drawPrefix), 1, 8).Draw(t, "prefixes")
		n := newNetwork("n", prefixes)
		probe := rapid.Custom(drawPrefix).Draw(t, "probe")
		for _, a := range []netip.Addr{probe.Addr(), probe.Addr().Next(), lastOf(probe), lastOf(probe).Next()} {
			want := false
			for _, p := range prefixes {
				want = want || p.Contains(a)
			}
			if got := n.contains(a); got != want {
				t.Fatalf("%v in %v: %v", a, prefixes, got)
			}
		}
	})
}

func drawPrefix(t *rapid.T) netip.Prefix {
	if rapid.Bool().Draw(t, "six") {
		b := [16]byte{0x20, 0x01, 0, byte(rapid.IntRange(0, 3).Draw(t, "b"))}
		return netip.PrefixFrom(netip.AddrFrom16(b), rapid.IntRange(0, 128).Draw(t, "bits")).Masked()
	}
	b := [4]byte{byte(rapid.IntRange(0, 255).Draw(t, "a")), byte(rapid.IntRange(0, 3).Draw(t, "b"))}
	return netip.PrefixFrom(netip.AddrFrom4(b), rapid.IntRange(0, 32).Draw(t, "bits")).Masked()
}
