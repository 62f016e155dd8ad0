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
	a := New(Parts{})
	for _, s := range Commands() {
		if _, ok := a.task(s.New()); !ok {
			t.Errorf("%s is done at no desk", s.Action)
		}
	}
	if _, ok := a.task(stranger{}); ok {
		t.Error("a command of another room is done")
	}
	desks := map[string]map[string]string{"do": {}, "sound": {}, "thing": {}}
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
			if ok && fn.Recv != nil && desks[fn.Name.Name] != nil && !strings.HasSuffix(file, "_test.go") {
				desks[fn.Name.Name][pointed(fn.Recv.List[0].Type)] = pointed(fn.Type.Params.List[1].Type)
			}
		}
	}
	if len(desks["do"]) != len(Commands()) || len(desks["sound"]) < 12 || len(desks["thing"]) < 5 {
		t.Errorf("%d of %d commands, %d and %d that say something beforehand: the test has lost its way", len(desks["do"]), len(Commands()), len(desks["sound"]), len(desks["thing"]))
	}
	for _, what := range []string{"sound", "thing"} {
		for command, desk := range desks[what] {
			if desks["do"][command] != desk {
				t.Errorf("%s is done at %s, and has its %s at %s", command, desks["do"][command], what, desk)
			}
		}
	}
}

func pointed(e ast.Expr) string {
	if p, ok := e.(*ast.StarExpr); ok {
		return pointed(p.X)
	}
	name, _ := e.(*ast.Ident)
	return name.Name
}

type stranger struct{}

func (stranger) Action() string { return "group.create" }
func (stranger) Object() string { return "" }
