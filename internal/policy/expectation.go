package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"countersign/internal/assurance"
)

// expectation is one test beside the policy: what certain facts must show.
type expectation struct {
	name  string
	line  int
	facts Facts
	want  assurance.Requirement
	// words is want as written. least accepts anything at least as strict,
	// denial is a reason that must be given.
	words  string
	least  bool
	denial string
}

// TestResult is how one expectation came out.
type TestResult struct {
	Name string `json:"name"`
	Line int    `json:"line"`
	OK   bool   `json:"ok"`
	// Want and Got are what was expected and what was decided, in words.
	Want string `json:"want"`
	Got  string `json:"got"`
	// Reasons are the rules that decided.
	Reasons []Reason `json:"reasons"`
}

// Test runs the expectations that the document holds.
func (p *Policy) Test() []TestResult {
	if p == nil {
		return nil
	}
	out := make([]TestResult, len(p.tests))
	for i, t := range p.tests {
		d := p.Decide(t.facts)
		out[i] = TestResult{Name: t.name, Line: t.line, OK: t.met(d), Want: t.words, Got: d.Requirement.String(), Reasons: d.Reasons}
	}
	return out
}

func (t *expectation) met(d Decision) bool {
	if t.denial != "" {
		_, denied := d.Requirement.Denied()
		for _, r := range d.Reasons {
			if r.Effect == "deny: "+t.denial || strings.HasPrefix(r.Effect, "deny: "+t.denial+"; ") {
				return denied
			}
		}
		return false
	}
	return d.Requirement.Implies(t.want) && (t.least || t.want.Implies(d.Requirement))
}

// testReader reads the tests of a document.
type testReader struct {
	doc   *reader
	known *vocabulary
}

func (r *testReader) tests(n *yaml.Node, d *draft) {
	lines := map[string]int{}
	if len(n.Content) > maxTests {
		r.doc.fail(n, "there are %d tests; %d is the most", len(n.Content), maxTests)
		return
	}
	r.doc.items(n, "tests", func(item *yaml.Node) {
		t := r.test(item)
		if line, dup := lines[t.name]; dup && t.name != "" {
			r.doc.fail(item, "there is another test named %q on line %d; rename one", t.name, line)
		}
		lines[t.name] = t.line
		d.tests = append(d.tests, t)
	})
}

func (r *testReader) test(n *yaml.Node) expectation {
	t := expectation{line: n.Line}
	var limit time.Duration
	var names []string
	wants := func(least bool) func(*yaml.Node) {
		return func(n *yaml.Node) {
			t.least = least
			r.doc.words(n, "expect", func(n *yaml.Node, s string) { names = r.expected(n, s, names, &t) })
		}
	}
	r.doc.mapping(n, "a test",
		field{"name", func(n *yaml.Node) { t.name = r.doc.name(n, "the test's name") }},
		field{"given", func(n *yaml.Node) { r.given(n, &t.facts) }},
		field{"expect", wants(false)},
		field{"at-least", wants(true)},
		field{"within", func(n *yaml.Node) { limit = r.doc.within(n) }},
		field{"deny", func(n *yaml.Node) { t.denial = r.doc.name(n, "deny") }},
	)
	if n.Kind != yaml.MappingNode {
		return t
	}
	r.complete(n, &t)
	t.words = strings.Join(names, " and ")
	switch {
	case t.denial != "":
		t.words = "deny: " + t.denial
	case limit > 0:
		t.want = t.want.Within(limit)
		t.words += " within " + brief(limit)
	}
	if t.least {
		t.words = "at least " + t.words
	}
	return t
}

// expected reads one requirement's name, or "deny" for a denial of any reason.
func (r *testReader) expected(n *yaml.Node, s string, names []string, t *expectation) []string {
	need, err := assurance.Named(s)
	if s == "deny" {
		need, err = assurance.Deny("as expected"), nil
	}
	if err != nil {
		r.doc.fail(n, "unknown requirement %q; %s", s, mend(s, append(assurance.Names(), "deny")))
		return names
	}
	if len(names) > 0 {
		need = assurance.And(t.want, need)
	}
	t.want = need
	return append(names, s)
}

func (r *testReader) complete(n *yaml.Node, t *expectation) {
	count := 0
	for _, key := range []string{"expect", "at-least", "deny"} {
		if valueOf(n, key) != nil {
			count++
		}
	}
	switch {
	case valueOf(n, "name") == nil:
		r.doc.fail(n, "the test has no name; give it one")
	case valueOf(n, "given") == nil:
		r.doc.fail(n, "the test has no facts; add given")
	case count != 1:
		r.doc.fail(n, "the test must say one of expect, at-least and deny")
	case valueOf(n, "within") != nil && t.denial != "":
		r.doc.fail(n, "within goes with expect or at-least, not with deny")
	}
}

// given reads facts. What is not said is empty, false or unknown, except the
// action, which a request always has.
func (r *testReader) given(n *yaml.Node, f *Facts) {
	word := func(into *string, which fact) field {
		name := which.String()
		return field{name[strings.LastIndexByte(name, '.')+1:], func(n *yaml.Node) { r.value(n, into, which) }}
	}
	flag := func(into *bool, key string) field {
		return field{key, func(n *yaml.Node) { *into = r.doc.flag(n, key) }}
	}
	r.doc.mapping(n, "given",
		field{"account", func(n *yaml.Node) {
			a := &f.Account
			r.doc.mapping(n, "account", word(&a.Name, accountName), word(&a.Kind, accountKind),
				field{"groups", func(n *yaml.Node) { r.groups(n, a) }},
				flag(&a.Privileged, "privileged"), flag(&a.Dormant, "dormant"), flag(&a.AtRisk, "at_risk"), flag(&a.New, "new"), flag(&a.Suspended, "suspended"))
		}},
		field{"application", func(n *yaml.Node) {
			a := &f.Application
			r.doc.mapping(n, "application", word(&a.Name, applicationName), word(&a.Kind, applicationKind),
				word(&a.Tier, applicationTier), word(&a.Protocol, applicationProtocol))
		}},
		word(&f.Protocol, requestProtocol), word(&f.Action, requestAction), flag(&f.Reads, "reads"),
		word(&f.Method, requestMethod), word(&f.Path, requestPath),
		field{"session", func(n *yaml.Node) { r.doc.mapping(n, "session", flag(&f.Bound, "bound")) }},
		field{"source", func(n *yaml.Node) { f.Source = r.source(n) }},
		field{"time", func(n *yaml.Node) { f.Now = r.time(n) }},
	)
	if n.Kind == yaml.MappingNode && valueOf(n, "action") == nil {
		r.doc.fail(n, "given has no action; add one, as in action: sign-in")
	}
}

func (r *testReader) value(n *yaml.Node, into *string, which fact) {
	s, ok := r.doc.word(n, which.String())
	if !ok {
		return
	}
	if names := r.known.byFact[which]; names != nil && r.known.lacks(names, nounOf[which], s) {
		r.doc.fail(n, "unknown %s %q; %s", nounOf[which], s, mend(s, r.known.list(which)))
		return
	}
	*into = s
}

func (r *testReader) groups(n *yaml.Node, a *Account) {
	r.doc.words(n, "groups", func(item *yaml.Node, s string) {
		if r.known.lacks(r.known.byFact[accountGroups], nounOf[accountGroups], s) {
			r.doc.fail(item, "unknown group %q; %s", s, mend(s, r.known.list(accountGroups)))
			return
		}
		a.Groups = append(a.Groups, s)
	})
}

func (r *testReader) source(n *yaml.Node) netip.Addr {
	s, _ := r.doc.word(n, "source")
	a, err := netip.ParseAddr(s)
	if err != nil && s != "" {
		r.doc.fail(n, "%q is not an address; write one as in 203.0.113.9", s)
	}
	return a
}

func (r *testReader) time(n *yaml.Node) time.Time {
	t, err := time.Parse(time.RFC3339, n.Value)
	if err != nil || n.Kind != yaml.ScalarNode {
		r.doc.fail(n, "time must be written as in 2026-11-02T09:00:00Z")
	}
	return t
}

// timeless finds tests that say no time although a rule reads it: they would
// only ever see a denial.
func (r *reader) timeless(p *Policy) {
	if !p.reads.time() {
		return
	}
	for _, t := range p.tests {
		if t.facts.Now.IsZero() {
			r.problems = append(r.problems, Problem{Line: t.line, Sentence: fmt.Sprintf("test %q has no time, and a rule uses it; add time: 2026-11-02T09:00:00Z to given", t.name)})
		}
	}
}
