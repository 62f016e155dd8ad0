package policy

import "countersign/internal/assurance"

// Explanation is a Decision with what every rule had to say about it.
type Explanation struct {
	Decision Decision
	// Rules are all rules, in the document's order; none when the facts were
	// denied before any rule was asked.
	Rules []Line
}

// Line is one rule's part in an [Explanation].
type Line struct {
	Rule string `json:"rule"`
	// Number is the rule's line in the document.
	Number  int     `json:"line"`
	Outcome Outcome `json:"outcome"`
	// When is the condition as written; empty for a rule without one.
	When string `json:"when,omitempty"`
	// Effect is what the rule does where it matches.
	Effect string `json:"effect"`
	// Requirement is what the rule demands where it matches. It means nothing
	// for a rule that only refuses authenticators: Demands is false then.
	Requirement assurance.Requirement `json:"requirement"`
	Demands     bool                  `json:"demands"`
	// Error is why a condition gave no answer, or empty.
	Error string `json:"error,omitempty"`
}

// Outcome is how a rule answered.
type Outcome string

// The outcomes.
const (
	Matched Outcome = "matched"
	Not     Outcome = "not"
	Failed  Outcome = "error"
)

// Explain decides and tells why.
func (p *Policy) Explain(f Facts) Explanation {
	e := Explanation{Decision: p.Decide(f)}
	if _, ok := p.vet(&f); !ok {
		return e
	}
	v := &view{facts: &f, policy: p}
	for _, r := range p.rules {
		l := Line{Rule: r.name, Number: r.line, When: r.when, Effect: r.effect, Requirement: r.demand, Demands: r.demands}
		hit, err := r.matches(v)
		switch {
		case err != nil:
			l.Outcome, l.Error = Failed, err.Error()
		case hit:
			l.Outcome = Matched
		default:
			l.Outcome = Not
		}
		e.Rules = append(e.Rules, l)
	}
	return e
}
