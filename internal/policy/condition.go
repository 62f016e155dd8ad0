package policy

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"go.yaml.in/yaml/v3"
)

// condition is a compiled expression.
type condition struct{ program cel.Program }

// holds evaluates. An error is any reason why there is no answer.
func (c *condition) holds(v *view) (bool, error) {
	out, _, err := c.program.Eval(v)
	if err != nil {
		return false, err
	}
	b, ok := out.(types.Bool)
	if !ok {
		return false, fmt.Errorf("a condition gave %v", out.Type())
	}
	return bool(b), nil
}

// conditions compiles the conditions of one document.
type conditions struct {
	env    *cel.Env
	reader *reader
	known  *vocabulary
	nets   map[string]*network
}

// compile fills in the rule's condition and shape, or reports problems.
func (c *conditions) compile(rd *ruleDraft) {
	c.reader.rule = rd.name
	defer func() { c.reader.rule = "" }()
	parsed, issues := c.env.Parse(rd.when)
	if issues.Err() != nil {
		c.issues(rd, issues)
		return
	}
	tree, before := parsed.NativeRep(), len(c.reader.problems)
	s := &shaper{known: c.known, networks: c.nets, complain: func(at ast.Expr, format string, args ...any) {
		where := tree.SourceInfo().GetStartLocation(leftmost(at).ID())
		c.reader.inside(rd, where.Line(), where.Column(), fmt.Sprintf(format, args...))
	}}
	shape := s.formula(tree.Expr())
	if len(c.reader.problems) > before {
		return
	}
	checked, issues := c.env.Check(parsed)
	if issues.Err() != nil {
		c.issues(rd, issues)
		return
	}
	program, err := c.env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(costLimit))
	if err != nil {
		c.reader.inside(rd, 1, 0, "the condition cannot be compiled: "+err.Error())
		return
	}
	rd.condition, rd.shape = &condition{program}, shape
}

// issues reports what CEL's parser or checker found, the first of each line.
func (c *conditions) issues(rd *ruleDraft, issues *cel.Issues) {
	for i, e := range issues.Errors() {
		if i == 3 {
			return // what follows a syntax error is mostly its echo
		}
		c.reader.inside(rd, e.Location.Line(), e.Location.Column(), spoken(e.Message))
	}
}

// spoken shortens the parser's messages to what a person can use.
func spoken(message string) string {
	message, _, _ = strings.Cut(message, " expecting {")
	if rest, ok := strings.CutPrefix(message, "Syntax error: "); ok {
		return "the condition cannot be read: " + strings.ReplaceAll(rest, "<EOF>", "its end")
	}
	return message
}

// inside reports a problem at a line (from 1) and column (from 0) of a
// condition.
func (r *reader) inside(rd *ruleDraft, line, column int, sentence string) {
	p := Problem{Line: rd.line, Rule: rd.name, Sentence: sentence}
	lines := strings.Split(rd.when, "\n")
	if line >= 1 && line <= len(lines) {
		p.Excerpt = excerpt(lines[line-1], column)
	}
	if rd.node != nil {
		p.Line, p.Column = place(rd.node, line, column)
	}
	r.problems = append(r.problems, p)
}

// place maps a position in a condition to one in the document. YAML folds some
// styles; for these only the first line is known, and the excerpt says the rest.
func place(n *yaml.Node, line, column int) (int, int) {
	switch n.Style {
	case yaml.LiteralStyle:
		return n.Line + max(line, 1), 0
	case yaml.FoldedStyle:
		return n.Line + 1, 0
	case yaml.DoubleQuotedStyle, yaml.SingleQuotedStyle:
		return n.Line, n.Column + column + 1
	}
	return n.Line, n.Column + column
}
