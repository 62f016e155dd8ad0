package policy

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Whatever one request shows of two documents, Compare has said of its class;
// and what it says is really had.
func TestCompareMissesNothing(t *testing.T) {
	zones := []string{"Europe/Berlin", "UTC", "Asia/Kolkata"}
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) *Policy {
			document := documentOf(rapid.SliceOfN(ruleOf(listed), 1, 3).Draw(t, label))
			zone := rapid.SampledFrom(zones).Draw(t, label+"'s zone")
			p, err := Compile([]byte(strings.Replace(document, "Europe/Berlin", zone, 1)), standard())
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		before, after := draw("before"), draw("after")
		c := Class{Facts: drawFacts.Draw(t, "class"), Free: Free(rapid.IntRange(0, 31).Draw(t, "free"))}
		got := Compare(before, after, c)
		if len(got.Blurred) > 0 {
			t.Fatalf("blurred by %v", got.Blurred)
		}
		if !got.Exact {
			return // too many cases, and it says so
		}
		said := map[string]bool{}
		for _, ch := range got.Changes {
			said[ch.Before.String()+" to "+ch.After.String()] = true
			if len(Diff(before, after, []Facts{ch.Facts})) != 1 || chosen(c, ch.Facts).Account.Name != ch.Facts.Account.Name {
				t.Fatalf("the witness %+v shows nothing", ch.Facts)
			}
		}
		f := chosen(c, drawFacts.Draw(t, "a request"))
		for _, d := range Diff(before, after, []Facts{f}) {
			if !said[d.Before.String()+" to "+d.After.String()] {
				t.Fatalf("%+v goes from %v to %v, and nothing said so: %v", f, d.Before, d.After, said)
			}
		}
	})
}

// One address in the whole space is let in, and no sample would find it.
func TestCompareFindsTheNeedle(t *testing.T) {
	const head = "networks: {hole: [10.1.2.3]}\nrules:\n  - {name: all, require: two-factors}\n"
	before := compile(t, head+"  - {name: out, when: 'path.startsWith(\"/a/\") && source in networks.hole', deny: no}\n")
	after := compile(t, head)
	f := plainFacts()
	got := Compare(before, after, Class{Facts: f, Free: FreeSource | FreeRequest})
	if !got.Exact || len(got.Changes) != 1 || !got.Changes[0].Opens() {
		t.Fatalf("%+v", got)
	}
	if w := got.Changes[0].Facts; w.Source != addr("10.1.2.3") || !strings.HasPrefix(w.Path, "/a/") {
		t.Errorf("witness %+v", w)
	}
	if got := Compare(before, before, Class{Facts: f, Free: FreeSource | FreeTime | FreeProtocol | FreeAction | FreeRequest}); len(got.Changes) != 0 || !got.Exact {
		t.Errorf("a document differs from itself: %+v", got)
	}
	if got := Compare(nil, after, Class{Facts: f}); len(got.Changes) != 1 || !got.Changes[0].Opens() {
		t.Errorf("the first policy opens nothing: %+v", got)
	}
	blurred := compile(t, head+"  - {name: blur, when: 'path.contains(\"x\")', deny: no}\n")
	if got := Compare(blurred, after, Class{Facts: f, Free: FreeRequest}); got.Exact || len(got.Blurred) != 1 {
		t.Errorf("a rule that cannot be analysed is passed over: %+v", got)
	}
}

// Two documents with clocks half an hour apart: each denies an hour, and between
// them are half hours that no full hour of either alone would show.
func TestCompareWithTwoClocks(t *testing.T) {
	document := func(zone, hour string) *Policy {
		return compile(t, "timezone: "+zone+"\nrules:\n  - {name: all, require: two-factors}\n  - {name: closed, when: now.hour == "+hour+", deny: closed}\n")
	}
	utc, kolkata := document("UTC", "3"), document("Asia/Kolkata", "8") // 03:00 to 04:00 and 02:30 to 03:30 in UTC
	f := plainFacts()
	f.Now = at("2026-11-03T12:00:00Z")
	for _, pair := range [][2]*Policy{{utc, kolkata}, {kolkata, utc}} {
		opens, closes := false, false
		for _, c := range Compare(pair[0], pair[1], Class{Facts: f, Free: FreeTime}).Changes {
			opens, closes = opens || c.Opens(), closes || c.Closes()
		}
		if !opens || !closes {
			t.Errorf("opens %v, closes %v", opens, closes)
		}
	}
}

// Two accounts, or applications, that are alike are never told apart.
func TestAlike(t *testing.T) {
	all := append(append([]string{}, listed...), blurry...)
	rapid.Check(t, func(t *rapid.T) {
		p := compileRapid(t, rapid.SliceOfN(ruleOf(all), 1, 4).Draw(t, "rules"))
		a := drawFacts.Draw(t, "a")
		b := drawFacts.Draw(t, "b")
		c := a
		c.Account, c.Application = b.Account, b.Application
		if p.Alike(a) == p.Alike(c) {
			same(t, p, a, c)
		}
	})
	p := compile(t, "rules:\n  - {name: all, require: two-factors}\n")
	a, b := plainFacts(), plainFacts()
	b.Account.Name, b.Account.Groups = "bob", []string{"admins"}
	if p.Alike(a) != p.Alike(b) {
		t.Error("accounts that no rule tells apart are different classes")
	}
	if b.Account.Kind = "ghost"; p.Alike(a) == p.Alike(b) {
		t.Error("a kind that is denied is like one that is not")
	}
}
