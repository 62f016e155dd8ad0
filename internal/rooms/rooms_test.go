package rooms_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"

	"countersign/internal/rooms"
)

const root = "../.."

// source is one Go file that is not a test.
type source struct {
	name, folder string
	syntax       *ast.File
}

func (s source) imports() []string {
	var out []string
	for _, i := range s.syntax.Imports {
		out = append(out, strings.Trim(i.Path.Value, `"`))
	}
	return out
}

// sources parses every Go file under internal/ and cmd/, whatever its build
// tags, except tests.
func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	set := token.NewFileSet()
	for _, top := range []string{"internal", "cmd"} {
		err := fs.WalkDir(os.DirFS(root), top, func(name string, d fs.DirEntry, err error) error {
			if os.IsNotExist(err) {
				return nil // no commands yet, or a file that was just replaced
			}
			if err != nil {
				return err
			}
			if d.IsDir() && d.Name() == "testdata" {
				return fs.SkipDir
			}
			if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return nil
			}
			f, err := parser.ParseFile(set, path.Join(root, name), nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			out = append(out, source{name: name, folder: strings.TrimPrefix(path.Dir(name), "internal/"), syntax: f})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(out) < 50 {
		t.Fatalf("only %d sources: the walk has lost its way", len(out))
	}
	return out
}

func table(t *testing.T) rooms.Table {
	t.Helper()
	page, err := os.ReadFile(path.Join(root, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	return rooms.Read(string(page))
}

func TestImports(t *testing.T) {
	drawn := table(t)
	for _, s := range sources(t) {
		if drawn.Room(s.folder) == "" {
			t.Errorf("%s: nobody drew the room %q; add it to the table in ARCHITECTURE.md", s.name, s.folder)
			continue
		}
		for _, i := range s.imports() {
			to, ours := strings.CutPrefix(i, "countersign/")
			if !ours {
				continue
			}
			to = strings.TrimPrefix(to, "internal/")
			if !drawn.Allows(s.folder, to) {
				t.Errorf("%s: %s may not import %s; see the table in ARCHITECTURE.md", s.name, s.folder, to)
			}
		}
	}
}

// pure rooms are functions of their arguments.
var pure = []string{"assurance", "prompt", "policy", "audit", "attack", "authenticator"}

// outside is what a pure room never imports, by the path or its beginning.
var outside = []string{"net/http", "os", "os/exec", "syscall", "database/sql", "golang.org/x/net/http"}

func TestPure(t *testing.T) {
	drawn := table(t)
	for _, s := range sources(t) {
		if drawn.Tests(s.folder) || !isPure(s.folder) {
			continue
		}
		for _, i := range s.imports() {
			for _, o := range outside {
				if i == o || strings.HasPrefix(i, o+"/") {
					t.Errorf("%s: %s is pure and may not import %s", s.name, s.folder, i)
				}
			}
		}
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && (sel.Sel.Name == "Now" || sel.Sel.Name == "Since" || sel.Sel.Name == "Until") {
				t.Errorf("%s: %s is pure and may not call time.%s: the moment is an argument", s.name, s.folder, sel.Sel.Name)
			}
			return true
		})
	}
}

func isPure(folder string) bool {
	for _, p := range pure {
		if folder == p || strings.HasPrefix(folder, p+"/") {
			return true
		}
	}
	return false
}

func TestOnlyTheStoreSpeaksSQL(t *testing.T) {
	drawn := table(t)
	for _, s := range sources(t) {
		for _, i := range s.imports() {
			if strings.HasPrefix(i, "database/sql") && drawn.Room(s.folder) != "store" && !drawn.Tests(s.folder) {
				t.Errorf("%s imports %s: only store does", s.name, i)
			}
		}
	}
}

const small = "| room | may import, of ours |\n| --- | --- |\n" +
	"| `a`, `b` | nothing |\n| `a/*` | `a` |\n| `c` | `b` (for its `x/*`) d |\n| `cmd/*` | everything |\n| `x/*` | `b` |\n| `x/y` | `c` |\n" +
	"\n| `no` | `a` |\n\n| room for tests | what it is |\n| --- | --- |\n| `try` | nothing |\n"

// TestTable shows that the table allows what it says and no more.
func TestTable(t *testing.T) {
	drawn := rooms.Read(small)
	tests := []struct {
		from, to string
		want     bool
	}{
		{"c", "b", true}, {"c", "a", false}, {"c", "x/z", true}, {"c", "d", false},
		{"a", "b", false}, {"a/k", "a", true}, {"a/k", "a/l", false}, {"a/k", "a/k/deep", true}, {"a/k/deep", "a", true},
		{"x/y", "c", true}, {"x/y", "b", false}, {"x/z", "b", true}, {"x/z", "x/y", false},
		{"cmd/k", "c", true}, {"cmd/k", "try", false}, {"c", "try", false}, {"try", "cmd/k", true},
		{"no", "a", false}, {"a", "failure", false}, {"nobody", "nobody", false},
	}
	for _, test := range tests {
		if got := drawn.Allows(test.from, test.to); got != test.want {
			t.Errorf("%s imports %s: %v", test.from, test.to, got)
		}
	}
}
