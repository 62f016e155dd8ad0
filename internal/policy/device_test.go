package policy

import (
	"os"
	"strings"
	"testing"

	"countersign/internal/assurance"
)

// The rule of docs/device-bound.md denies sessions that are not bound, and tells the two apart
// wherever decisions are remembered, analysed and compared.
func TestSessionBound(t *testing.T) {
	page, err := os.ReadFile("../../docs/device-bound.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\nrules:\n")
	document, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the page has no document")
	}
	p := compile(t, strings.ReplaceAll("rules:\n  - {name: everybody, require: two-factors}\n"+document, "payroll", "wiki"))
	for _, r := range p.Test() {
		if !r.OK {
			t.Errorf("%+v", r)
		}
	}
	unbound, bound := plainFacts(), plainFacts()
	bound.Bound = true
	if why, no := p.Decide(unbound).Requirement.Denied(); !no || !strings.Contains(why, "binds its sign-in") {
		t.Errorf("not bound: %q", why)
	}
	if got := p.Decide(bound).Requirement; !got.Implies(assurance.TwoFactors()) {
		t.Errorf("bound: %v", got)
	}
	one, _, _ := p.Key(unbound)
	if other, _, _ := p.Key(bound); one == other {
		t.Error("both have one key")
	}
	for _, facts := range []Facts{bound, unbound} { // what is free is free whatever the class says
		if w := p.Weakest(Class{Facts: facts, Free: FreeSource}); !w.Exact || len(w.Ways) != 1 || !w.Ways[0].Witness.Bound {
			t.Errorf("%+v", w)
		}
	}
	if why, denies := p.DeniesEverybody(unbound); denies {
		t.Errorf("what is open to everybody is denied: %q", why)
	}
}
