package policy

import (
	"slices"

	"countersign/internal/assurance"
)

// Decision is what a request must show. The zero Decision is never met.
type Decision struct {
	// Requirement is at least as strict as each rule that matched.
	Requirement assurance.Requirement
	// Reasons are the rules that matched, in the document's order, and before
	// them why everything is denied, where no rule did it.
	Reasons []Reason
	// Refuse are the authenticator kinds whose evidence does not count, sorted.
	Refuse []string
}

// Reason is one rule and what it did.
type Reason struct {
	// Rule is its name, or empty for what no rule decided.
	Rule string `json:"rule,omitempty"`
	// Effect is what it demands: "require two-factors within 15m", "deny:
	// dormant", "refuse smscode", or "error" when its condition failed.
	Effect string `json:"effect"`
}

// AtLeast reports whether whatever meets d also meets o.
func (d Decision) AtLeast(o Decision) bool {
	if _, no := d.Requirement.Denied(); no {
		return true
	}
	return d.Requirement.Implies(o.Requirement) && containsAll(d.Refuse, o.Refuse)
}

// Decide says what these facts must show. It is pure: the same facts give the
// same Decision. What it decided is remembered by what the rules read, so that a
// document of many rules costs no more than one of few; a Decision is not to be
// changed by who gets it.
func (p *Policy) Decide(f Facts) Decision {
	key, _, ok := p.Key(f)
	if !ok {
		return p.decide(f)
	}
	if d, ok := p.decided.get(key); ok {
		return d
	}
	d := p.decide(f)
	p.decided.keep(key, d)
	return d
}

func (p *Policy) decide(f Facts) Decision {
	if why, ok := p.vet(&f); !ok {
		return deny(why)
	}
	if f.Path == AnyPath && p.looksAtPath(&f) {
		return deny("the address can be read in several ways, and a rule looks at its path")
	}
	if f.Method == AnyMethod && p.reads.facts[requestMethod] {
		return p.strictest(f)
	}
	return p.evaluate(f)
}

// AnyMethod is the method of a request that an application may take for one of
// any method, because it names a second one. No request has it: the name is
// reserved (RFC 9110 section 18.2).
const AnyMethod = "*"

// AnyPath is the path of a request that programs may read in several ways. No path is it:
// each begins with a slash.
const AnyPath = "*"

// looksAtPath reports whether a rule applies to these facts for some paths and not for others.
func (p *Policy) looksAtPath(f *Facts) bool {
	return slices.ContainsFunc(p.rules, func(r *rule) bool {
		return r.shape != nil && r.shape.settle(f, p.zone, func(a *atom) bool {
			return a.fact == requestPath || a.fact == requestMethod && f.Method == AnyMethod
		}) == unknown && r.shape.looksAt(requestPath)
	})
}

// looksAt reports whether a fact occurs in a formula.
func (m *formula) looksAt(f fact) (found bool) {
	m.atoms(func(a *atom) { found = found || a.fact == f })
	return found
}

// strictest is at least as strict as the Decision for each method that these
// facts may be taken for.
func (p *Policy) strictest(f Facts) Decision {
	var all Decision
	for i, m := range p.spoken() {
		f.Method = m
		d := p.evaluate(f)
		if i == 0 {
			all = d
			continue
		}
		for _, r := range d.Reasons {
			if !slices.Contains(all.Reasons, r) {
				all.Reasons = append(all.Reasons, r)
			}
		}
		all.Requirement, all.Refuse = assurance.And(all.Requirement, d.Requirement), union(all.Refuse, d.Refuse)
	}
	return all
}

// spoken are the methods that a document may tell apart: those of the standards
// and those that it names.
func (p *Policy) spoken() []string {
	out := slices.Clone(methods)
	for _, r := range p.rules {
		r.shape.atoms(func(a *atom) {
			if a.fact == requestMethod {
				out = append(out, a.words...)
			}
		})
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (p *Policy) evaluate(f Facts) Decision {
	v := &view{facts: &f, policy: p}
	var b builder
	for _, r := range p.rules {
		hit, err := r.matches(v)
		switch {
		case err != nil:
			b.fail(r)
		case hit:
			b.add(r)
		}
	}
	return b.decision()
}

// vet refuses facts that this document was not made for.
func (p *Policy) vet(f *Facts) (string, bool) {
	if p == nil {
		return "no policy", false
	}
	if which, odd := p.known.strange(f); odd {
		return "unknown " + nounOf[which], false
	}
	if f.Now.IsZero() && p.reads.time() {
		return "no time", false
	}
	return "", true
}

func (r *rule) matches(v *view) (bool, error) {
	if r.condition == nil {
		return true, nil
	}
	return r.condition.holds(v)
}

// builder adds up rules into a Decision.
type builder struct {
	d       Decision
	demands bool
}

func (b *builder) add(r *rule) {
	b.d.Reasons = append(b.d.Reasons, Reason{Rule: r.name, Effect: r.effect})
	if len(r.refuse) > 0 {
		b.d.Refuse = union(b.d.Refuse, r.refuse)
	}
	if r.demands {
		b.demand(r.demand)
	}
}

// fail denies: a condition that gave no answer may have been meant to deny.
func (b *builder) fail(r *rule) {
	b.d.Reasons = append(b.d.Reasons, Reason{Rule: r.name, Effect: "error"})
	b.demand(assurance.Deny("error in rule " + r.name))
}

func (b *builder) demand(r assurance.Requirement) {
	if b.demands {
		r = assurance.And(b.d.Requirement, r)
	}
	b.d.Requirement, b.demands = r, true
}

func (b *builder) decision() Decision {
	if !b.demands {
		b.d.Requirement = assurance.Deny("no rule")
		b.d.Reasons = append([]Reason{{Effect: "deny: no rule"}}, b.d.Reasons...)
	}
	return b.d
}

func deny(why string) Decision {
	return Decision{Requirement: assurance.Deny(why), Reasons: []Reason{{Effect: "deny: " + why}}}
}

// union merges two sorted sets without touching either.
func union(a, b []string) []string {
	out := append(slices.Clone(a), b...)
	slices.Sort(out)
	return slices.Compact(out)
}

func containsAll(in, want []string) bool {
	for _, w := range want {
		if !slices.Contains(in, w) {
			return false
		}
	}
	return true
}
