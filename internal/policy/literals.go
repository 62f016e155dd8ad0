package policy

import (
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

// literals puts literals that fit the atom's fact into it.
func (s *shaper) literals(a *atom, from ...ast.Expr) bool {
	for _, e := range from {
		want := factTable[a.fact].sort
		ok := false
		switch want {
		case text:
			var w string
			if w, ok = textLiteral(e); ok {
				a.words = append(a.words, w)
			}
		case number:
			var i types.Int
			if e.Kind() == ast.LiteralKind {
				if i, ok = e.AsLiteral().(types.Int); ok {
					a.numbers = append(a.numbers, int64(i))
				}
			}
		case moment:
			var t time.Time
			if t, ok = timeLiteral(e); ok {
				a.times = append(a.times, t)
			}
		}
		if !ok {
			s.complain(e, "%v is compared with %s", a.fact, literalWords[want])
			return false
		}
	}
	return true
}

var literalWords = map[sort]string{
	text:   "a text in quotes",
	number: "a whole number",
	moment: `a time such as timestamp("2026-12-01T00:00:00Z")`,
}

func isName(e ast.Expr) bool { return dotted(e) != "" }

// dotted returns a name such as account.kind, or "" for anything else.
func dotted(e ast.Expr) string {
	switch e.Kind() {
	case ast.IdentKind:
		return strings.TrimPrefix(e.AsIdent(), ".")
	case ast.SelectKind:
		if sel := e.AsSelect(); !sel.IsTestOnly() {
			if left := dotted(sel.Operand()); left != "" {
				return left + "." + sel.FieldName()
			}
		}
	}
	return ""
}

// fact resolves a name.
func (s *shaper) fact(e ast.Expr) (fact, bool) {
	name := dotted(e)
	f, ok := factByName[name]
	switch {
	case ok:
		return f, true
	case name == "":
		s.complain(e, "only facts can be used here, such as account.kind or source")
	case strings.HasPrefix(name, "networks."):
		s.complain(e, "write a network as in: source in %s", name)
	default:
		s.complain(e, "unknown fact %s; %s", name, mend(name, s.names()))
	}
	return 0, false
}

// names are all names that a condition may use.
func (s *shaper) names() []string {
	var names []string
	for f := range factCount {
		names = append(names, f.String())
	}
	for _, n := range networkNames(s.networks) {
		names = append(names, "networks."+n)
	}
	return names
}

// leftmost returns where a dotted name begins: its own position is the dot's.
func leftmost(e ast.Expr) ast.Expr {
	for e.Kind() == ast.SelectKind {
		e = e.AsSelect().Operand()
	}
	return e
}

func networkNames(networks map[string]*network) []string {
	names := make([]string, 0, len(networks))
	for n := range networks {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func mirrored(op comparison) comparison {
	switch op {
	case less:
		return more
	case lessOrIs:
		return moreOrIs
	case more:
		return less
	case moreOrIs:
		return lessOrIs
	}
	return op
}

func textLiteral(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok
}

// timeLiteral reads timestamp("...") with a constant of RFC 3339.
func timeLiteral(e ast.Expr) (time.Time, bool) {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != "timestamp" || e.AsCall().IsMemberFunction() || len(e.AsCall().Args()) != 1 {
		return time.Time{}, false
	}
	s, ok := textLiteral(e.AsCall().Args()[0])
	if !ok {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, s)
	return t, err == nil
}
