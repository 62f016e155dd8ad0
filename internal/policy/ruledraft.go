package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"countersign/internal/assurance"
)

// The range of within: below a second nothing typed can be fresh, and what is
// older than a day is a session's matter, not a rule's.
const (
	minWithin = time.Second
	maxWithin = 24 * time.Hour
)

// ruleDraft is a rule as read; its condition is still a text.
type ruleDraft struct {
	rule
	node         *yaml.Node // of when, or nil
	within       time.Duration
	withinNode   *yaml.Node
	denied       string
	requireWords []string
}

// ruleReader reads the rules of a document, all but their conditions.
type ruleReader struct {
	doc   *reader
	known *vocabulary
}

func (r *ruleReader) rules(n *yaml.Node, d *draft) {
	lines := map[string]int{}
	if len(n.Content) > maxRules {
		r.doc.fail(n, "there are %d rules; %d is the most", len(n.Content), maxRules)
		return
	}
	r.doc.items(n, "rules", func(item *yaml.Node) {
		r.doc.rule = ""
		rd := r.oneRule(item)
		if line, dup := lines[rd.name]; dup && rd.name != "" {
			r.doc.fail(item, "there is another rule of this name on line %d; rename one", line)
		}
		lines[rd.name] = rd.line
		d.rules = append(d.rules, rd)
		r.doc.rule = ""
	})
}

func (r *ruleReader) oneRule(n *yaml.Node) *ruleDraft {
	rd := &ruleDraft{rule: rule{line: n.Line}}
	r.doc.rule = peekName(n)
	r.doc.mapping(n, "a rule",
		field{"name", func(n *yaml.Node) { rd.name = r.doc.name(n, "the rule's name") }},
		field{"when", func(n *yaml.Node) { r.when(n, rd) }},
		field{"require", func(n *yaml.Node) {
			r.doc.words(n, "require", func(n *yaml.Node, s string) { r.require(n, s, rd) })
		}},
		field{"within", func(n *yaml.Node) { rd.within, rd.withinNode = r.doc.within(n), n }},
		field{"deny", func(n *yaml.Node) { rd.denied = r.doc.name(n, "deny") }},
		field{"refuse", func(n *yaml.Node) {
			r.doc.words(n, "refuse", func(n *yaml.Node, s string) { r.refuse(n, s, rd) })
		}},
	)
	if n.Kind == yaml.MappingNode {
		r.whole(n, rd)
	}
	return rd
}

// whole checks what a rule's keys say together, and puts its demand together.
func (r *ruleReader) whole(n *yaml.Node, rd *ruleDraft) {
	has := func(key string) bool { return valueOf(n, key) != nil }
	switch {
	case !has("name"):
		r.doc.fail(n, "the rule has no name; give it one, so that the log can say which rule decided")
	case has("deny") && has("require"):
		r.doc.fail(n, "the rule both requires and denies; keep one, and put the other in a rule of its own")
	case has("within") && !has("require"):
		r.doc.fail(rd.withinNode, "within says how recent the proofs of a requirement must be; add require")
	case !has("deny") && !has("require") && !has("refuse"):
		r.doc.fail(n, "the rule does nothing; add require, deny or refuse")
	}
	switch {
	case has("deny"):
		rd.demand, rd.demands = assurance.Deny(rd.denied), true
	case has("require"):
		rd.demands = true
		if rd.within > 0 {
			rd.demand = rd.demand.Within(rd.within)
		}
	}
	rd.effect = rd.describe()
}

func (r *ruleReader) require(n *yaml.Node, s string, rd *ruleDraft) {
	need, err := assurance.Named(s)
	if err != nil {
		r.doc.fail(n, "unknown requirement %q; %s", s, mend(s, assurance.Names()))
		return
	}
	if len(rd.requireWords) > 0 {
		need = assurance.And(rd.demand, need)
	}
	rd.demand = need
	rd.requireWords = append(rd.requireWords, s)
}

func (r *ruleReader) refuse(n *yaml.Node, s string, rd *ruleDraft) {
	if r.known.lacks(r.known.kinds, "authenticator", s) {
		r.doc.fail(n, "unknown authenticator %q; %s", s, mend(s, sortedKeys(r.known.kinds)))
		return
	}
	rd.rule.refuse = append(rd.rule.refuse, s)
	slices.Sort(rd.rule.refuse)
}

func (r *reader) within(n *yaml.Node) time.Duration {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" {
		r.fail(n, "within needs a unit; write it as in 15m, 90s or 8h")
		return 0
	}
	s, ok := r.word(n, "within")
	if !ok {
		return 0
	}
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		r.fail(n, "within is not a duration; write it as in 15m, 90s or 8h")
		return 0
	case d < minWithin || d > maxWithin || d%time.Second != 0:
		r.fail(n, "within must be whole seconds from 1s to 24h, not %s", s)
		return 0
	}
	return d
}

func (r *ruleReader) when(n *yaml.Node, rd *ruleDraft) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool" {
		rd.when, rd.node = strings.ToLower(n.Value), n
		return
	}
	s, ok := r.doc.word(n, "when")
	if ok && len(s) > maxCondition {
		r.doc.fail(n, "the condition has %d bytes; %d is the most, so split the rule", len(s), maxCondition)
	} else if ok {
		rd.when, rd.node = s, n
	}
}

// describe writes what the rule does, for explanations and the audit log.
func (rd *ruleDraft) describe() string {
	var parts []string
	if rd.denied != "" {
		parts = append(parts, "deny: "+rd.denied)
	}
	if len(rd.requireWords) > 0 {
		s := "require " + strings.Join(rd.requireWords, " and ")
		if rd.within > 0 {
			s += fmt.Sprintf(" within %s", brief(rd.within))
		}
		parts = append(parts, s)
	}
	if len(rd.rule.refuse) > 0 {
		parts = append(parts, "refuse "+strings.Join(rd.rule.refuse, ", "))
	}
	return strings.Join(parts, "; ")
}
