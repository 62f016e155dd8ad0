package policy

import (
	"strings"

	"cel.dev/cel-go/common/ast"
)

// exists refuses an atom whose literals can never be true of its fact: a name
// that nobody has, an hour that no day has. A rule with such a typo would
// silently not apply.
func (s *shaper) exists(at ast.Expr, a *atom) bool {
	switch a.fact {
	case nowHour:
		return s.hours(at, a)
	case requestMethod:
		return s.method(at, a)
	case requestPath:
		return s.path(at, a)
	}
	known := s.known.byFact[a.fact]
	if known == nil {
		return true // an account's name, a time
	}
	if a.op == is || a.op == member {
		for _, w := range a.words {
			if s.known.lacks(known, nounOf[a.fact], w) {
				s.complain(at, "unknown %s %q; %s", nounOf[a.fact], w, mend(w, s.known.list(a.fact)))
				return false
			}
		}
		return true
	}
	if a.fact == applicationName {
		return true // a pattern may be meant for applications to come
	}
	for w := range known {
		if a.spells(w) {
			return true
		}
	}
	if !s.known.lacks(nil, nounOf[a.fact]+" like", a.words[0]) {
		return true
	}
	s.complain(at, "no %s is like %q; %s", nounOf[a.fact], a.words[0], oneOf(s.known.list(a.fact)))
	return false
}

var nounOf = map[fact]string{
	accountGroups:       "group",
	accountKind:         "kind of account",
	applicationName:     "application",
	applicationKind:     "kind of application",
	applicationTier:     "tier",
	applicationProtocol: "protocol",
	requestProtocol:     "protocol",
	requestAction:       "action",
	nowWeekday:          "day",
}

func (s *shaper) hours(at ast.Expr, a *atom) bool {
	for _, n := range a.numbers {
		if n < 0 || n > 24 || n == 24 && a.op == is {
			s.complain(at, "now.hour goes from 0 to 23, so %d is never reached", n)
			return false
		}
	}
	return true
}

func (s *shaper) method(at ast.Expr, a *atom) bool {
	for _, w := range a.words {
		if a.op != match && w != strings.ToUpper(w) {
			s.complain(at, "methods are in capitals; write %q", strings.ToUpper(w))
			return false
		}
	}
	return true
}

func (s *shaper) path(at ast.Expr, a *atom) bool {
	for _, w := range a.words {
		if (a.op == is || a.op == prefix) && w != "" && !strings.HasPrefix(w, "/") {
			s.complain(at, "a path begins with /; write %q", "/"+w)
			return false
		}
	}
	return true
}
