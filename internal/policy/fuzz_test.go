package policy

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// Whatever the bytes, Compile gives a policy or problems on lines that exist,
// and a policy that it gives decides.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{string(Default()), example, conditionIn(`source in networks.office`), "rules: [*a]", "a: &a [*a]", "%YAML 1.1\n---\n", "? [a]\n: b\n", "rules: [{name: \xff, deny: x}]", "\xef\xbb\xbfrules: []", "{{{{", "rules:\n- <<: *x"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		p, err := Compile(document, standard())
		if err != nil {
			problems, ok := err.(Problems)
			if !ok || len(problems) == 0 || p != nil {
				t.Fatalf("%T %v, policy %v", err, err, p != nil)
			}
			lines := strings.Count(string(document), "\n") + strings.Count(string(document), "\r") + 2
			for _, one := range problems {
				if one.Line < 1 || one.Line > lines || one.Sentence == "" || strings.ContainsAny(one.Sentence, "\x00\x1b") {
					t.Fatalf("problem %+v of %d lines", one, lines)
				}
			}
			return
		}
		d := p.Decide(plainFacts())
		if _, no := d.Requirement.Denied(); !no && len(d.Reasons) == 0 {
			t.Fatal("granted without a rule")
		}
		p.Test()
		p.Weakest(Class{Facts: plainFacts(), Free: FreeSource | FreeTime | FreeProtocol | FreeAction})
	})
}

// Whatever a condition says, it compiles to what formula says, or is refused.
func FuzzCondition(f *testing.F) {
	for _, seed := range append(append([]string{}, listed...), blurry...) {
		f.Add(seed, "/admin/x.zip", uint32(7))
	}
	f.Fuzz(func(t *testing.T, when, path string, bits uint32) {
		p, err := Compile([]byte(testNetworks+"rules:\n  - {name: r, when: "+quoted(when)+", require: aal1}\n"), standard())
		if err != nil {
			return
		}
		facts := plainFacts()
		facts.Path, facts.Account.New, facts.Account.Privileged = path, bits&1 > 0, bits&2 > 0
		facts.Source = netip.AddrFrom4([4]byte{byte(bits), byte(bits >> 8), byte(bits >> 16), byte(bits >> 24)})
		facts.Now = facts.Now.Add(time.Duration(bits) * time.Second)
		if p.rules[0].shape == nil {
			return
		}
		hit, err := p.rules[0].matches(&view{facts: &facts, policy: p})
		if got := p.rules[0].shape.settle(&facts, p.zone, func(*atom) bool { return false }); err == nil && got != truthOf(hit) {
			t.Fatalf("%s: CEL %v, formula %v", when, hit, got)
		}
	})
}

// Whatever the facts, Decide decides as Explain does, and the strictest rules
// of the default hold.
func FuzzDecide(f *testing.F) {
	f.Add("ada", "person", "staff", "wiki", "control-plane", "browser", "sign-in", "GET", "/", []byte{10, 20, 1, 1}, int64(1762164000), byte(0))
	f.Add("", "", "", "", "", "", "", "", "", []byte(nil), int64(0), byte(255))
	f.Add("a\x00", "person", "\xff", "wiki", "standard", "radius", "authenticator.enroll", "get", "/%2e", []byte("0123456789abcdef"), int64(-1), byte(4))
	p, err := Compile(Default(), standard())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name, kind, group, app, tier, protocol, action, method, path string, source []byte, now int64, flags byte) {
		a, _ := netip.AddrFromSlice(source)
		facts := Facts{
			Account: Account{Name: name, Kind: kind, Groups: []string{group, name}, Privileged: flags&1 > 0, Dormant: flags&2 > 0,
				New: flags&4 > 0, Suspended: flags&8 > 0},
			Application: Application{Name: app, Kind: kind, Tier: tier, Protocol: protocol},
			Protocol:    protocol, Action: action, Method: method, Path: path, Source: a, Now: time.Unix(now, 0),
		}
		d := p.Decide(facts)
		if e := p.Explain(facts).Decision; !e.AtLeast(d) || !d.AtLeast(e) {
			t.Fatalf("explained %v, decided %v", e.Requirement, d.Requirement)
		}
		if (facts.Account.Dormant || facts.Account.Suspended) && !denies(d) {
			t.Fatalf("let in: %+v", facts)
		}
		p.Key(facts)
	})
}
