package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// condition is one that can be inverted.
type condition struct {
	number   int
	file     string // from the root
	at, line int
	function string
	text     string
	ordinal  int // among the conditions of the function that read the same; the first is 1
}

// key is what a survivor is known by. It has no line, so that it stays with its
// condition.
func (c condition) key() string { return c.file + ": " + c.name() }

// name tells apart what reads the same in one function, so that what excuses the one
// does not excuse the other.
func (c condition) name() string {
	if c.ordinal > 1 {
		return fmt.Sprintf("%s: %s #%d", c.function, c.text, c.ordinal)
	}
	return c.function + ": " + c.text
}

// program is a room whose conditions are wrapped.
type program struct {
	conditions []condition
	overlay    string
}

// instrument writes copies of a room's sources in which each condition is wrapped.
func instrument(root, room, folder string) (program, error) {
	var p program
	replace := map[string]string{}
	dir := filepath.Join(root, "internal", room)
	sources, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return p, err
	}
	pkg := ""
	for _, name := range sources {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return p, err
		}
		w := &wrapper{set: token.NewFileSet(), text: text, name: filepath.ToSlash(strings.TrimPrefix(name, root+"/")), next: len(p.conditions) + 1}
		wrapped, err := w.wrap()
		if err != nil {
			return p, err
		}
		p.conditions, pkg = append(p.conditions, w.found...), w.pkg
		copied := filepath.Join(folder, filepath.Base(name))
		if err := os.WriteFile(copied, wrapped, 0o600); err != nil {
			return p, err
		}
		if err := replaces(replace, name, copied); err != nil {
			return p, err
		}
	}
	if pkg == "" {
		return p, fmt.Errorf("there are no sources in %s", dir)
	}
	inverter := filepath.Join(folder, "zz_mutant.go")
	if err := os.WriteFile(inverter, []byte("package "+pkg+inverting), 0o600); err != nil {
		return p, err
	}
	if err := replaces(replace, filepath.Join(dir, "zz_mutant.go"), inverter); err != nil {
		return p, err
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return p, err
	}
	p.overlay = filepath.Join(folder, "overlay.json")
	return p, os.WriteFile(p.overlay, b, 0o600)
}

func replaces(m map[string]string, original, copied string) error {
	at, err := filepath.Abs(original)
	m[at] = copied
	return err
}

// inverting is what is added to a room: it inverts the condition that the environment
// names, and writes down which were reached where that is asked for.
const inverting = `

import (
	"os"
	"strconv"
	"sync"
)

var (
	mutantChosen, _ = strconv.Atoi(os.Getenv("MUTANT"))
	mutantTrace     = os.Getenv("MUTANT_TRACE")
	mutantSeen      sync.Map
)

func mutantOf[B ~bool](n int, b B) B {
	if mutantTrace != "" {
		if _, seen := mutantSeen.LoadOrStore(n, true); !seen {
			f, err := os.OpenFile(mutantTrace, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			if err == nil {
				f.WriteString(strconv.Itoa(n) + "\n")
				f.Close()
			}
		}
	}
	if n == mutantChosen {
		return !b
	}
	return b
}
`

// wrapper wraps the conditions of one file, on the lines on which they are.
type wrapper struct {
	set  *token.FileSet
	text []byte
	name string
	pkg  string
	next int

	function string
	found    []condition
	edits    []edit
	wrapped  map[ast.Expr]bool
}

// edit inserts text at an offset in place of drop bytes. Of two at one offset the
// one with the lower order is first.
type edit struct {
	at, drop, order int
	text            string
}

func (w *wrapper) wrap() ([]byte, error) {
	f, err := parser.ParseFile(w.set, w.name, w.text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	w.pkg, w.wrapped = f.Name.Name, map[ast.Expr]bool{}
	for _, d := range f.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
			continue
		}
		w.function = nameOf(d)
		ast.Inspect(d, w.visit)
	}
	w.count()
	return w.edited(), nil
}

// count gives the conditions of a function that read the same their ordinals, in the
// order in which they stand.
func (w *wrapper) count() {
	slices.SortFunc(w.found, func(a, b condition) int { return a.at - b.at })
	equal := map[string]int{}
	for i := range w.found {
		k := w.found[i].key()
		equal[k]++
		w.found[i].ordinal = equal[k]
	}
}

func nameOf(d ast.Decl) string {
	f, ok := d.(*ast.FuncDecl)
	if !ok {
		return "declaration"
	}
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return f.Name.Name
	}
	t := f.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name + "." + f.Name.Name
	}
	return f.Name.Name
}

func (w *wrapper) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IfStmt:
		w.condition(n.Cond)
	case *ast.BinaryExpr:
		if n.Op == token.LAND || n.Op == token.LOR {
			w.condition(n.X)
			w.condition(n.Y)
		}
	case *ast.ReturnStmt:
		for _, r := range n.Results {
			if compares(r) {
				w.condition(r)
			}
		}
	case *ast.SwitchStmt:
		w.cases(n)
	}
	return true
}

// compares reports whether an expression is a comparison or a negation, and so a
// condition wherever it stands.
func compares(e ast.Expr) bool {
	switch e := ast.Unparen(e).(type) {
	case *ast.BinaryExpr:
		switch e.Op {
		case token.EQL, token.NEQ, token.LSS, token.GTR, token.LEQ, token.GEQ:
			return true
		}
	case *ast.UnaryExpr:
		return e.Op == token.NOT
	}
	return false
}

// condition wraps an expression, unless it is made of others that are.
func (w *wrapper) condition(e ast.Expr) {
	e = ast.Unparen(e)
	inner := e
	for {
		not, ok := inner.(*ast.UnaryExpr)
		if !ok || not.Op != token.NOT {
			break
		}
		inner = ast.Unparen(not.X)
	}
	if b, ok := inner.(*ast.BinaryExpr); ok && (b.Op == token.LAND || b.Op == token.LOR) {
		return
	}
	if w.wrapped[e] {
		return
	}
	w.wrapped[e] = true
	n := w.note(e)
	from, to := w.offset(e.Pos()), w.offset(e.End())
	w.edits = append(w.edits, edit{at: from, order: 1<<30 - to, text: fmt.Sprintf("mutantOf(%d, ", n)}, edit{at: to, order: -from - 1, text: ")"})
}

func (w *wrapper) note(e ast.Expr) int {
	n := w.next
	w.next++
	text := strings.Join(strings.Fields(string(w.text[w.offset(e.Pos()):w.offset(e.End())])), " ")
	w.found = append(w.found, condition{number: n, file: w.name, at: w.offset(e.Pos()), line: w.set.Position(e.Pos()).Line, function: w.function, text: text})
	return n
}

func (w *wrapper) offset(p token.Pos) int { return w.set.Position(p).Offset }

// cases wraps what a switch compares: of one without a tag each case, of one with a
// tag each comparison with it.
func (w *wrapper) cases(s *ast.SwitchStmt) {
	tagged := s.Tag != nil
	if tagged && (s.Init != nil || !hasCases(s)) {
		return // rare
	}
	if tagged {
		from, to := w.offset(s.Tag.Pos()), w.offset(s.Tag.End())
		w.edits = append(w.edits, edit{at: from, order: 1 << 30, text: "mutantTag := "}, edit{at: to, order: -from - 1, text: "; true"})
	}
	for _, c := range s.Body.List {
		for _, e := range c.(*ast.CaseClause).List {
			if !tagged {
				w.condition(e)
				continue
			}
			n := w.note(e)
			from, to := w.offset(e.Pos()), w.offset(e.End())
			w.edits = append(w.edits, edit{at: from, order: 1<<30 - to, text: fmt.Sprintf("mutantOf(%d, mutantTag == (", n)}, edit{at: to, order: -from - 1, text: "))"})
		}
	}
}

func hasCases(s *ast.SwitchStmt) bool {
	return slices.ContainsFunc(s.Body.List, func(c ast.Stmt) bool { return len(c.(*ast.CaseClause).List) > 0 })
}

func (w *wrapper) edited() []byte {
	slices.SortStableFunc(w.edits, func(a, b edit) int {
		if a.at != b.at {
			return a.at - b.at
		}
		return a.order - b.order
	})
	var out bytes.Buffer
	last := 0
	for _, e := range w.edits {
		out.Write(w.text[last:e.at])
		out.WriteString(e.text)
		last = e.at + e.drop
	}
	out.Write(w.text[last:])
	return out.Bytes()
}
