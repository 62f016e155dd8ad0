// Package policy turns a document of rules into a Requirement for each request.
//
// It owns the document (YAML, with conditions in CEL), the facts that a
// condition may read, and what can be said about a document without a request:
// its tests, what a change would do, and the weakest Requirement that anybody
// can get. It knows no accounts, no clock and no store: facts are handed in by
// signin, documents by admin. Its one neighbour below is assurance.
//
// Its one invariant: rules only add. A Decision is at least as strict as each
// rule that matched, no rule weakens another, and where nothing matched, a
// condition failed or a name is unknown, the Decision denies.
package policy

import (
	"slices"
	"time"

	"countersign/internal/assurance"
)

// Policy is a compiled document. It never changes and is safe for concurrent
// use. A nil Policy denies everything.
type Policy struct {
	rules    []*rule
	tests    []expectation
	networks map[string]*network
	zone     *time.Location
	known    vocabulary
	reads    readSet
	decided  decided
}

// rule is one compiled rule.
type rule struct {
	name string
	line int
	// when is the condition as written; empty matches always, and condition
	// and shape are nil then.
	when      string
	condition *condition
	shape     *formula
	// demand is what the rule requires, or its denial. demands is false for a
	// rule that only refuses authenticators: it opens nothing by itself.
	demand  assurance.Requirement
	demands bool
	refuse  []string
	effect  string
}

// Gone lists what the document mentions that is not there any more, as "group
// \"staff\"". Only a document that was loaded has any.
func (p *Policy) Gone() []string {
	if p == nil {
		return nil
	}
	return slices.Clone(p.known.gone)
}

// Rules returns the names of the rules, in the document's order.
func (p *Policy) Rules() []string {
	if p == nil {
		return nil
	}
	names := make([]string, len(p.rules))
	for i, r := range p.rules {
		names[i] = r.name
	}
	return names
}
