package rooms_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

// handles open a whole room: whoever holds one reads and writes all that it keeps. A value
// that is passed from room to room, such as an engine, must not hand them on: its holder
// would reach rooms that the table keeps from it. Give what a type uses to its constructor,
// in a struct called Parts, and keep it in unexported fields.
var handles = []string{"store.DB", "keyring.Keyring", "directory.Accounts", "directory.Groups", "directory.Credentials", "directory.Milestones", "token.Stock", "token.Files", "token.Hands",
	"directory.Survey", "directory.Inspection", "directory.Binding", "ticket.Tickets", "session.Sessions", "session.Endings", "session.Handovers"}

// whole is the room in which everything is put together, so that it has every handle; and who
// may be handed it.
const whole = "server"

var holders = []string{"cli", "servertest"}

// TestTheWholeIsForFew looks at who imports the room that has every handle.
func TestTheWholeIsForFew(t *testing.T) {
	for _, s := range sources(t) {
		if s.folder == whole || slices.Contains(holders, s.folder) || strings.HasPrefix(s.folder, "test/") {
			continue
		}
		if slices.Contains(s.imports(), "countersign/internal/"+whole) {
			t.Errorf("%s imports the room %s, which has every handle: that is for %s and the stories", s.name, whole, strings.Join(holders, ", "))
		}
	}
}

// TestNoTypeHandsOnItsParts looks at every exported struct of every room, but for those that
// are the argument of a constructor.
func TestNoTypeHandsOnItsParts(t *testing.T) {
	drawn := table(t)
	structs := map[string]shape{}
	for _, s := range sources(t) {
		if !drawn.Tests(s.folder) && s.folder != whole {
			maps.Copy(structs, shapes(s))
		}
	}
	if len(structs) < 200 {
		t.Fatalf("only %d structs: the walk has lost its way", len(structs))
	}
	for _, name := range slices.Sorted(maps.Keys(structs)) {
		bare := name[strings.LastIndex(name, ".")+1:]
		what := handedOn(structs, name)
		if bare != "Parts" && ast.IsExported(bare) && what != "" {
			t.Errorf("%s hands on %s: keep it in an unexported field", name, what)
		}
	}
}

// shape is what a struct shows: the types of its exported fields, and those that it embeds.
type shape struct{ fields, embedded []string }

// shapes are the structs of a source, by room and name.
func shapes(s source) map[string]shape {
	out := map[string]shape{}
	ast.Inspect(s.syntax, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if of, ok := spec.Type.(*ast.StructType); ok {
			out[s.folder+"."+spec.Name.Name] = shapeOf(s, of)
		}
		return true
	})
	return out
}

func shapeOf(s source, of *ast.StructType) (out shape) {
	for _, f := range of.Fields.List {
		switch kind := s.typeName(f.Type); {
		case len(f.Names) == 0:
			out.embedded = append(out.embedded, kind)
		case slices.ContainsFunc(f.Names, func(n *ast.Ident) bool { return n.IsExported() }):
			out.fields = append(out.fields, kind)
		}
	}
	return out
}

// typeName names a type by its room, whatever the room is called where it is imported;
// empty for a type that has no name, or is not ours.
func (s source) typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return s.typeName(e.X)
	case *ast.ParenExpr:
		return s.typeName(e.X)
	case *ast.Ident:
		return s.folder + "." + e.Name
	case *ast.SelectorExpr:
		from, _ := e.X.(*ast.Ident)
		for _, i := range s.syntax.Imports {
			room, ours := strings.CutPrefix(strings.Trim(i.Path.Value, `"`), "countersign/internal/")
			if ours && from != nil && (i.Name == nil && path.Base(room) == from.Name || i.Name != nil && i.Name.Name == from.Name) {
				return room + "." + e.Sel.Name
			}
		}
	}
	return ""
}

// handedOn says what handle a struct shows, in a field of its own or by what it embeds;
// empty for none.
func handedOn(structs map[string]shape, name string) string {
	for _, of := range append(slices.Clone(structs[name].fields), structs[name].embedded...) {
		if slices.Contains(handles, of) || strings.HasSuffix(of, ".Parts") {
			return of
		}
	}
	for _, of := range structs[name].embedded {
		if what := handedOn(structs, of); what != "" {
			return what + " by way of " + of
		}
	}
	return ""
}

const handing = `package a

import (
	"countersign/internal/a/b"
	kept "countersign/internal/store"
	other "example.org/store"
)

type Parts struct { DB *kept.DB }
type Plain struct { db *kept.DB; Name string }
type Shows struct { DB *kept.DB }
type ByValue struct { DB kept.DB }
type Two struct { a, B *kept.DB }
type Holds struct { Parts Parts }
type Embeds struct { Parts }
type EmbedsTheirs struct { *b.Parts }
type inner struct { DB *kept.DB }
type ByInner struct { inner }
type Deep struct { *ByInner }
type Hides struct { inner inner }
type Others struct { DB *other.DB }
type Reads struct { View kept.View }
`

// TestWhatIsHandedOn shows what the test above finds, by whatever name and however deep.
func TestWhatIsHandedOn(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "a.go", handing, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	structs := shapes(source{folder: "a", syntax: f})
	for name, want := range map[string]string{
		"Plain": "", "Hides": "", "Others": "", "Reads": "", "Shows": "store.DB", "ByValue": "store.DB", "Two": "store.DB",
		"Holds": "a.Parts", "Embeds": "a.Parts", "EmbedsTheirs": "a/b.Parts", "ByInner": "store.DB by way of a.inner", "Deep": "store.DB by way of a.inner by way of a.ByInner",
	} {
		if got := handedOn(structs, "a."+name); got != want {
			t.Errorf("%s hands on %q, and not %q", name, got, want)
		}
	}
}
