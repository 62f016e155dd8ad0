package policy

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

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
		return leafOf(s.compare(e, args[0], args[1], is))
	case operators.NotEquals:
		return negated(leafOf(s.compare(e, args[0], args[1], is)))
	case operators.Less:
		return leafOf(s.compare(e, args[0], args[1], less))
	case operators.LessEquals:
		return leafOf(s.compare(e, args[0], args[1], lessOrIs))
	case operators.Greater:
		return leafOf(s.compare(e, args[0], args[1], more))
	case operators.GreaterEquals:
		return leafOf(s.compare(e, args[0], args[1], moreOrIs))
	case operators.In:
		return leafOf(s.in(e, args[0], args[1]))
	case "startsWith", "endsWith", "contains", "matches":
		return leafOf(s.text(e, c))
	default:
		s.foreign(e, name)
		return nil
	}
}

func (s *shaper) foreign(at ast.Expr, function string) {
	s.complain(at, "%s is not part of the condition language; use == != < <= > >= in && || !, startsWith, endsWith, contains or matches", plainName(function))
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

func leafOf(a *atom) *formula {
	if a == nil {
		return nil
	}
	return &formula{op: leaf, atom: a}
}

func negated(m *formula) *formula {
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
		if left.Kind() == ast.CallKind && !slices.Contains(callable, left.AsCall().FunctionName()) {
			s.foreign(left, left.AsCall().FunctionName())
			return nil
		}
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
		s.complain(e, "an address is compared with a network; write \"source in networks.NAME\"")
		return nil
	case groupSet:
		s.complain(e, "groups are compared one by one; write \"\\\"NAME\\\" in account.groups\"")
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
