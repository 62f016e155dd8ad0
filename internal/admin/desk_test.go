package admin

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// Every command has a desk, and each that says something beforehand, or tells what it is
// about, does so there: what is written for another desk would never be asked.
func TestEveryCommandHasADesk(t *testing.T) {
	a := New(Parts{List: Here()})
	for _, s := range Here() {
		if _, ok := a.task(s.New()); !ok {
			t.Errorf("%s is done at no desk", s.Action)
		}
	}
	if _, ok := a.task(stranger{}); ok {
		t.Error("a command of another room is done")
	}
	desks := map[string]map[string]string{"Do": {}, "Sound": {}, "Thing": {}}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if ok && fn.Recv != nil && pointed(fn.Recv.List[0].Type) != "Admin" && desks[fn.Name.Name] != nil && !strings.HasSuffix(file, "_test.go") {
				desks[fn.Name.Name][pointed(fn.Recv.List[0].Type)] = pointed(fn.Type.Params.List[1].Type)
			}
		}
	}
	if len(desks["Do"]) != len(Here()) || len(desks["Sound"]) < 6 || len(desks["Thing"]) < 5 {
		t.Errorf("%d of %d commands, %d and %d that say something beforehand: the test has lost its way", len(desks["Do"]), len(Here()), len(desks["Sound"]), len(desks["Thing"]))
	}
	for _, what := range []string{"Sound", "Thing"} {
		for command, desk := range desks[what] {
			if desks["Do"][command] != desk {
				t.Errorf("%s is done at %s, and has its %s at %s", command, desks["Do"][command], what, desk)
			}
		}
	}
}

func pointed(e ast.Expr) string {
	if p, ok := e.(*ast.StarExpr); ok {
		return pointed(p.X)
	}
	name, _ := e.(*ast.Ident)
	if name == nil {
		return ""
	}
	return name.Name
}

type stranger struct{}

func (stranger) Action() string { return "group.gone" }
func (stranger) Object() string { return "" }
