package policy

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Warnings are what a sound document may mean otherwise than it says: conditions
// about a path that another spelling of it gets around. Applications' own rules
// refuse other spellings; a condition cannot, because it does not know what the
// application makes of a path.
func (p *Policy) Warnings() []Problem {
	var out Problems
	if p == nil {
		return nil
	}
	for _, r := range p.rules {
		r.shape.demanding(true, func(a *atom) {
			if a.fact != requestPath {
				return
			}
			if said := around(a); said != "" {
				out = append(out, Problem{Line: r.line, Rule: r.name, Sentence: said})
			}
		})
	}
	return out.sorted()
}

// demanding calls fn for the atoms that must hold for the formula to: a path
// that is only excepted from a rule meets the rule in another spelling.
func (m *formula) demanding(straight bool, fn func(*atom)) {
	if m == nil {
		return
	}
	if m.op == leaf && straight {
		fn(m.atom)
	}
	for _, k := range m.kids {
		k.demanding(straight != (m.op == not), fn)
	}
}

// around says in one sentence by which spelling a condition about a path is got
// around, or nothing.
func around(a *atom) string {
	const mend = "; guard the path by a rule in the application's settings, which refuses other spellings, and demand more for its action"
	if a.op == match {
		return "a pattern tells spellings of a path apart that are the same to many applications, such as capitals and a slash at the end" + mend
	}
	for _, w := range a.words {
		for _, other := range spellings(w) {
			if !a.spells(other) {
				return fmt.Sprintf("to many applications %q is the same path as %q, and this condition does not hold for it%s", other, w, mend)
			}
		}
	}
	return ""
}

// spellings are others of a path, or of a piece of one, as they arrive here:
// decoded, without dot segments and empty ones.
func spellings(w string) []string {
	swapped := strings.Map(func(r rune) rune {
		if unicode.IsLower(r) {
			return unicode.ToUpper(r)
		}
		return unicode.ToLower(r)
	}, w)
	out := []string{swapped}
	if strings.HasPrefix(w, "/") && strings.Trim(w, "/") != "" {
		bare := strings.TrimSuffix(w, "/")
		out = append(out, bare, bare+"/", bare+".", bare+" ")
	}
	return slices.DeleteFunc(out, func(s string) bool { return s == w })
}
