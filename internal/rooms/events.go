package rooms

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var eventWord = regexp.MustCompile(`^[a-z]+(\.([a-z]+(-[a-z]+)*-?)?)+$`)

// Events lists the words of events that the sources under root record or look for,
// sorted: every one that is written into a field or a variable called Event or event,
// is handed to a parameter of that name or comes of a function called eventOf, and
// every constant whose name ends in Event. A word whose end is put together when it is
// written stands with what is written of it: "approval.". An error is one of reading or
// parsing.
func Events(root string) ([]string, error) {
	files, err := parseAll(root)
	if err != nil {
		return nil, err
	}
	return search(files, eventWord, "event", "Event"), nil
}

// search finds the words that are written into what is called by the small name, or by a name
// that ends with the great one, or are handed to a parameter of the small name.
func search(files []*ast.File, word *regexp.Regexp, small, great string) []string {
	s := &wordSearch{word: word, small: small, great: great, constants: map[string]string{}, takes: map[string]int{}, found: map[string]bool{}}
	for _, f := range files {
		s.declare(f)
	}
	for _, f := range files {
		ast.Inspect(f, s.visit)
	}
	return slices.Sorted(maps.Keys(s.found))
}

var (
	reasonWord = regexp.MustCompile(`^[a-z]+(-[a-z]+)*-?$`)
	detailWord = regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
)

// Reasons lists the words by which the sources under root say why something was refused, in
// the way that [Events] lists events: what is called Reason, reason or refusal.
func Reasons(root string) ([]string, error) {
	files, err := parseAll(root)
	if err != nil {
		return nil, err
	}
	all := append(search(files, reasonWord, "reason", "Reason"), search(files, reasonWord, "refusal", "Refusal")...)
	slices.Sort(all)
	return slices.Compact(all), nil
}

// Details lists the names of details that the sources under root write into entries: the
// keys of a map that is a Detail, is called detail or is handed to a parameter of that name,
// and what is set in one.
func Details(root string) ([]string, error) {
	files, err := parseAll(root)
	if err != nil {
		return nil, err
	}
	s := &wordSearch{word: detailWord, small: "detail", great: "Detail", constants: map[string]string{}, takes: map[string]int{}, found: map[string]bool{}, maps: true}
	for _, f := range files {
		s.declare(f)
	}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			if x, ok := n.(*ast.IndexExpr); ok && s.is(nameOf(x.X)) {
				if text, ok := literal(x.Index); ok && detailWord.MatchString(text) {
					s.found[text] = true
				}
			}
			return s.visit(n)
		})
	}
	return slices.Sorted(maps.Keys(s.found)), nil
}

// keys notes those of a map that is written down.
func keys(m *ast.CompositeLit, found map[string]bool) {
	for _, e := range m.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if text, ok := literal(kv.Key); ok && detailWord.MatchString(text) {
				found[text] = true
			}
		}
	}
}

// parseAll parses the Go files of the rooms that are part of the server.
func parseAll(root string) ([]*ast.File, error) {
	var out []*ast.File
	set := token.NewFileSet()
	page, err := os.ReadFile(path.Join(root, "ARCHITECTURE.md"))
	if err != nil {
		return nil, err
	}
	drawn := Read(string(page))
	for _, top := range []string{"internal", "cmd"} {
		err := fs.WalkDir(os.DirFS(root), top, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.Contains(name, "/testdata/") || drawn.Tests(strings.TrimPrefix(path.Dir(name), "internal/")) {
				return err
			}
			f, err := parser.ParseFile(set, path.Join(root, name), nil, parser.SkipObjectResolution)
			out = append(out, f)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

type wordSearch struct {
	word         *regexp.Regexp
	small, great string
	maps         bool // the keys of maps are looked for, and not texts

	constants map[string]string // texts by the name of their constant
	takes     map[string]int    // which argument of a function is an event
	found     map[string]bool
}

// declare notes a file's constants, and the functions that take an event.
func (s *wordSearch) declare(f *ast.File) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok && d.Tok == token.CONST {
					s.constant(v)
				}
			}
		case *ast.FuncDecl:
			n := 0
			for _, p := range d.Type.Params.List {
				for _, name := range p.Names {
					if name.Name == s.small {
						s.takes[d.Name.Name] = n
					}
					n++
				}
			}
		}
	}
}

func (s *wordSearch) constant(v *ast.ValueSpec) {
	for i, name := range v.Names {
		if i >= len(v.Values) {
			return
		}
		if text, ok := literal(v.Values[i]); ok && s.word.MatchString(text) {
			s.constants[name.Name] = text
			if s.is(name.Name) {
				s.found[text] = true
			}
		}
	}
}

func (s *wordSearch) is(name string) bool { return name == s.small || strings.HasSuffix(name, s.great) }

func (s *wordSearch) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && s.is(key.Name) {
			s.take(n.Value)
		}
	case *ast.AssignStmt:
		for i, left := range n.Lhs {
			if i < len(n.Rhs) && s.is(nameOf(left)) {
				s.take(n.Rhs[i])
			}
		}
	case *ast.ValueSpec:
		for i, name := range n.Names {
			if i < len(n.Values) && s.is(name.Name) {
				s.take(n.Values[i])
			}
		}
	case *ast.FuncDecl:
		if n.Name.Name == s.small+"Of" {
			ast.Inspect(n, func(n ast.Node) bool {
				if r, ok := n.(*ast.ReturnStmt); ok && len(r.Results) == 1 {
					s.take(r.Results[0])
				}
				return true
			})
		}
	case *ast.CallExpr:
		if at, ok := s.takes[nameOf(n.Fun)]; ok && at < len(n.Args) {
			s.take(n.Args[at])
		}
	}
	return true
}

// nameOf is the last name of an expression: "Event" of e.Event.
func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// take notes the event that an expression is.
func (s *wordSearch) take(e ast.Expr) {
	if s.maps {
		if m, ok := e.(*ast.CompositeLit); ok {
			keys(m, s.found)
		}
		return
	}
	if b, ok := e.(*ast.BinaryExpr); ok {
		e = b.X
	}
	text, ok := literal(e)
	if !ok {
		text = s.constants[nameOf(e)]
	}
	if s.word.MatchString(text) {
		s.found[text] = true
	}
}

func literal(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(l.Value)
	return text, err == nil
}
