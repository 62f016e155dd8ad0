package rooms_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"testing"
)

// mostMethods is how many methods a type may have, exported and unexported together. A type
// with more is several: each gets the fields that it uses, and callers the one they need.
const mostMethods = 30

func TestNoTypeHasManyMethods(t *testing.T) {
	all := sources(t)
	counted := methods(all)
	if len(counted) < 300 {
		t.Fatalf("only %d types with methods: the walk has lost its way", len(counted))
	}
	for _, name := range slices.Sorted(maps.Keys(counted)) {
		if n := counted[name]; n > mostMethods {
			t.Errorf("%s has %d methods, and %d is the most: it is more than one type", name, n, mostMethods)
		}
	}
}

// methods counts the methods that are declared on each type, by room and name. Under an
// alias they count for the type that it stands for.
func methods(all []source) map[string]int {
	alias := map[string]string{}
	for _, s := range all {
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok && spec.Assign.IsValid() {
				alias[s.folder+"."+spec.Name.Name] = s.folder + "." + receiver(spec.Type)
			}
			return true
		})
	}
	out := map[string]int{}
	for _, s := range all {
		for _, d := range s.syntax.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil {
				continue
			}
			name := s.folder + "." + receiver(f.Recv.List[0].Type)
			for alias[name] != "" {
				name = alias[name]
			}
			out[name]++
		}
	}
	return out
}

// receiver names the type of a receiver: a pointer and its type parameters are nothing to it.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.ParenExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// TestMethods shows how methods are counted: all of a type's, wherever in its package.
func TestMethods(t *testing.T) {
	var all []source
	for folder, texts := range map[string][]string{
		"a": {"package a\ntype T struct{}\nfunc (t T) One() {}\nfunc (*T) two() {}\nfunc T3() {}\n", "package a\nfunc (t *T) three() {}\nfunc (t (*Same)) four() {}\ntype Same = T\n"},
		"b": {"package b\ntype T[K, V any] struct{}\nfunc (T[K, V]) one() {}\ntype L[K any] []K\nfunc (l *L[K]) one() {}\n"},
	} {
		for _, text := range texts {
			f, err := parser.ParseFile(token.NewFileSet(), "a.go", text, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, source{folder: folder, syntax: f})
		}
	}
	if got, want := methods(all), map[string]int{"a.T": 4, "b.T": 1, "b.L": 1}; !maps.Equal(got, want) {
		t.Errorf("%v, and not %v", got, want)
	}
}
