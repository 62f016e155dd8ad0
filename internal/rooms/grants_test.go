package rooms_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
)

// TestOnlyTheEngineGrants finds types that could pass for the engine's yes where a room reads
// it through an interface ([approval.Grant]): each needs a method called Covers.
func TestOnlyTheEngineGrants(t *testing.T) {
	found := 0
	for _, s := range sources(t) {
		for _, of := range covering(s.syntax) {
			if found++; s.folder != "signin" || of != "Grant" {
				t.Errorf("%s: %s has a method Covers: only signin.Grant is a yes", s.name, of)
			}
		}
	}
	if found != 1 {
		t.Errorf("%d types have a method Covers", found)
	}
}

// covering are the types of a source that have a method Covers, whatever it takes, and those
// that embed an interface which has one.
func covering(f *ast.File) (out []string) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv != nil && d.Name.Name == "Covers" {
				out = append(out, nameOf(d.Recv.List[0].Type))
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if spec, ok := spec.(*ast.TypeSpec); ok && embedsGrant(spec.Type) {
					out = append(out, spec.Name.Name)
				}
			}
		}
	}
	return out
}

// embedsGrant reports whether a struct embeds something called Grant, and so has its methods.
func embedsGrant(e ast.Expr) bool {
	of, ok := e.(*ast.StructType)
	if !ok {
		return false
	}
	for _, f := range of.Fields.List {
		if len(f.Names) == 0 && nameOf(f.Type) == "Grant" {
			return true
		}
	}
	return false
}

func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return nameOf(e.X)
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// TestCovering shows what the test above finds.
func TestCovering(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "a.go", `package a
type Forged struct{ approval.Grant }
type Held struct{ grant approval.Grant }
func (m made) Covers(a, b, c string) bool { return true }
func (m *madeToo) Covers() bool { return true }
func Covers() {}
type Other struct{ Parts }
`, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	got := covering(f)
	if len(got) != 3 || got[0] != "Forged" || got[1] != "made" || got[2] != "madeToo" {
		t.Errorf("%v", got)
	}
}
