package policy

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// shaper makes a [formula] of a parsed condition. It accepts exactly the part
// of CEL that the documentation of policies describes: facts compared with
// literals, joined by && || and !. There are no loops, no arithmetic and no
// comparison of fact with fact. That is what lets every name be checked when
// the document is saved, and every document be analysed.
type shaper struct {
	known    *vocabulary
	networks map[string]*network
	// complain reports a problem at an expression.
	complain func(at ast.Expr, format string, args ...any)
}

// formula returns the shape of a condition, or nil after a complaint.
func (s *shaper) formula(e ast.Expr) *formula {
	switch e.Kind() {
	case ast.LiteralKind:
		if b, ok := e.AsLiteral().(types.Bool); ok {
			return &formula{op: literal, value: bool(b)}
		}
		s.complain(e, "a condition is true or false; compare this with a fact")
		return nil
	case ast.CallKind:
		return s.call(e, e.AsCall())
	case ast.IdentKind, ast.SelectKind:
		f, ok := s.fact(e)
		if !ok {
			return nil
		}
		if factTable[f].sort != yesNo {
			s.complain(e, "%v is %s; compare it with something", f, sortWords[factTable[f].sort])
			return nil
		}
		return &formula{op: leaf, atom: &atom{fact: f, op: isTrue}}
	}
	s.complain(e, "a condition cannot hold this; join comparisons with &&, || and !")
	return nil
}

func (s *shaper) call(e ast.Expr, c ast.CallExpr) *formula {
	switch name, args := c.FunctionName(), c.Args(); name {
	case operators.LogicalAnd:
		return s.join(and, args)
	case operators.LogicalOr:
		return s.join(or, args)
	case operators.LogicalNot:
		return s.join(not, args)
	case operators.Equals:
		return s.leaf(s.compare(e, args[0], args[1], is))
	case operators.NotEquals:
		return s.negated(s.leaf(s.compare(e, args[0], args[1], is)))
	case operators.Less:
		return s.leaf(s.compare(e, args[0], args[1], less))
	case operators.LessEquals:
		return s.leaf(s.compare(e, args[0], args[1], lessOrIs))
	case operators.Greater:
		return s.leaf(s.compare(e, args[0], args[1], more))
	case operators.GreaterEquals:
		return s.leaf(s.compare(e, args[0], args[1], moreOrIs))
	case operators.In:
		return s.leaf(s.in(e, args[0], args[1]))
	case "startsWith", "endsWith", "contains", "matches":
		return s.leaf(s.text(e, c))
	default:
		s.complain(e, "%s is not part of the conditions' language; use == != < <= > >= in && || !, startsWith, endsWith, contains or matches", plainName(name))
		return nil
	}
}

// plainName turns CEL's inner names of operators into what was typed.
func plainName(name string) string {
	return strings.Trim(strconv.Quote(strings.Trim(name, "_@")), `"`)
}

func (s *shaper) join(op connective, args []ast.Expr) *formula {
	m := &formula{op: op}
	whole := true
	for _, a := range args {
		kid := s.formula(a)
		whole = whole && kid != nil
		m.kids = append(m.kids, kid)
	}
	if !whole {
		return nil
	}
	return m
}

func (s *shaper) leaf(a *atom) *formula {
	if a == nil {
		return nil
	}
	return &formula{op: leaf, atom: a}
}

func (s *shaper) negated(m *formula) *formula {
	if m == nil {
		return nil
	}
	return &formula{op: not, kids: []*formula{m}}
}

// compare reads "fact op literal" or "literal op fact".
func (s *shaper) compare(e, left, right ast.Expr, op comparison) *atom {
	if isName(right) && !isName(left) {
		left, right, op = right, left, mirrored(op)
	}
	if !isName(left) {
		s.complain(e, "one side of a comparison must be a fact, such as account.privileged or application.kind")
		return nil
	}
	f, ok := s.fact(left)
	if !ok {
		return nil
	}
	a := &atom{fact: f, op: op}
	switch factTable[f].sort {
	case address:
		s.complain(e, "an address is compared by network; write \"source in networks.NAME\"")
		return nil
	case groupSet:
		s.complain(e, "groups are asked one by one; write \"\\\"NAME\\\" in account.groups\"")
		return nil
	case yesNo:
		s.complain(e, "%v is true or false by itself; write %v or !%v", f, f, f)
		return nil
	case text:
		if op != is {
			s.complain(e, "texts have no order; use == != in, startsWith or endsWith")
			return nil
		}
	}
	if !s.literals(a, right) || !s.exists(right, a) {
		return nil
	}
	return a
}

// in reads "fact in [literals]", "literal in account.groups" and "source in
// networks.name".
func (s *shaper) in(e, left, right ast.Expr) *atom {
	if isName(right) {
		name := dotted(right)
		if after, ok := strings.CutPrefix(name, "networks."); ok {
			return s.inNetwork(e, left, right, after)
		}
		f, ok := s.fact(right)
		if !ok {
			return nil
		}
		if f != accountGroups {
			s.complain(e, "in needs a list, account.groups or a network on its right, and %v is %s", f, sortWords[factTable[f].sort])
			return nil
		}
		word, ok := textLiteral(left)
		if !ok {
			s.complain(left, "write the group's name in quotes: \"admins\" in account.groups")
			return nil
		}
		a := &atom{fact: f, op: member, words: []string{word}}
		if !s.exists(left, a) {
			return nil
		}
		return a
	}
	if right.Kind() != ast.ListKind || right.AsList().Size() == 0 {
		s.complain(right, "in needs a list such as [\"a\", \"b\"], account.groups or a network on its right")
		return nil
	}
	if !isName(left) {
		s.complain(left, "write a fact on the left of a list, as in action in [\"sign-in\"]")
		return nil
	}
	f, ok := s.fact(left)
	if !ok {
		return nil
	}
	if k := factTable[f].sort; k != text && k != number {
		s.complain(e, "%v is %s, which is not looked up in a list", f, sortWords[k])
		return nil
	}
	a := &atom{fact: f, op: is}
	if !s.literals(a, right.AsList().Elements()...) || !s.exists(right, a) {
		return nil
	}
	return a
}

func (s *shaper) inNetwork(e, left, right ast.Expr, name string) *atom {
	n, ok := s.networks[name]
	if !ok {
		s.complain(right, "unknown network %q; %s", name, mend(name, networkNames(s.networks)))
		return nil
	}
	if f, ok := s.fact(left); !ok || f != requestSource {
		if ok {
			s.complain(e, "only source is in a network, and %v is %s", f, sortWords[factTable[f].sort])
		}
		return nil
	}
	return &atom{fact: requestSource, op: within, network: n}
}

// text reads fact.startsWith(literal) and its like.
func (s *shaper) text(e ast.Expr, c ast.CallExpr) *atom {
	name := c.FunctionName()
	if !c.IsMemberFunction() || len(c.Args()) != 1 || !isName(c.Target()) {
		s.complain(e, "write it as in path.%s(\"/admin/\")", name)
		return nil
	}
	f, ok := s.fact(c.Target())
	if !ok {
		return nil
	}
	word, isText := textLiteral(c.Args()[0])
	if factTable[f].sort != text || !isText {
		s.complain(e, "%s compares a fact of text with a text in quotes", name)
		return nil
	}
	a := &atom{fact: f, words: []string{word}}
	switch name {
	case "startsWith":
		a.op = prefix
	case "endsWith":
		a.op = suffix
	case "contains":
		a.op = part
	case "matches":
		a.op = match
		re, err := regexp.Compile(word)
		if err != nil {
			s.complain(c.Args()[0], "this is not a regular expression: %v", err)
			return nil
		}
		a.pattern = re
	}
	if !s.exists(c.Args()[0], a) {
		return nil
	}
	return a
}

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
		s.complain(e, "a network is used as in source in %s", name)
	default:
		s.complain(e, "unknown fact %s; %s", name, mend(name, factNames()))
	}
	return 0, false
}

func factNames() []string {
	names := make([]string, factCount)
	for f := range factCount {
		names[f] = f.String()
	}
	return names
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
