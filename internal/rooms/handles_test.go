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
//
// These are where it begins. Every type that keeps one of them, or keeps what keeps one, is
// a handle as well ([reaching]).
var handles = []string{"store.DB", "keyring.Keyring"}

// known are some of them: the walk must find at least these.
var known = []string{"directory.Accounts", "directory.Groups", "directory.Credentials", "directory.Milestones", "directory.Survey", "directory.Inspection", "directory.Binding",
	"token.Stock", "token.Files", "token.Hands", "ticket.Tickets", "session.Sessions", "session.Endings", "session.Handovers", "session.Continuations", "signin.Engine",
	"recovery.Cases", "recovery.Stops", "recovery.Openings", "recovery.Requests", "recovery.Passes", "enrollment.Enrollments", "enrollment.Changes", "enrollment.PINs",
	"approval.Approvals", "approval.Pushes", "approval.Apps", "approval.Upkeep", "throttle.Throttle", "outbox.Messages", "incident.Incidents", "hostcodes.Lists", "notify.Outbox",
	"application.Catalogue", "pushkey.Kept", "admin/coverage.Kept"}

// harmless are the types of which the walk finds that they keep a handle, and which open
// nothing: they read.
var harmless = []string{"store.View", "store.AuditLog", "store.Feed", "store.Alarms", "store.Condition"}

// whole is the room in which everything is put together, so that it has every handle; and who
// may be handed it.
const whole = "server"

var holders = []string{"demo", "cli", "servertest"}

// pieces is what a constructor of several types returns. Whoever puts them together takes it
// apart: another room is handed the one piece that it needs.
const pieces = "Pieces"

var apart = []string{whole, "admin/nouns"} // the list of commands, and what each is handed

// TestPiecesAreTakenApart looks at who names what a constructor returns in one.
func TestPiecesAreTakenApart(t *testing.T) {
	drawn := table(t)
	found := 0
	for _, s := range sources(t) {
		if drawn.Tests(s.folder) || strings.HasPrefix(s.folder, "test/") {
			continue
		}
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			if e, ok := n.(*ast.SelectorExpr); ok && e.Sel.Name == pieces && s.typeName(e) != "" {
				if found++; !slices.Contains(apart, s.folder) {
					t.Errorf("%s has the whole %s: hand it the piece that it needs", s.name, s.typeName(e))
				}
			}
			return true
		})
	}
	if found == 0 {
		t.Fatal("nobody takes any: the walk has lost its way")
	}
}

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

// TestNoTypeHandsOnItsParts looks at every exported type of every room, but for those that
// are the argument of a constructor.
func TestNoTypeHandsOnItsParts(t *testing.T) {
	drawn := table(t)
	types := map[string]shape{}
	all := slices.DeleteFunc(sources(t), func(s source) bool { return drawn.Tests(s.folder) || s.folder == whole })
	for _, s := range all {
		maps.Copy(types, shapes(s))
	}
	opening := reaching(types)
	for _, s := range all {
		for _, what := range s.givenAway(opening) {
			t.Errorf("%s: %s: whoever has it reaches another room", s.name, what)
		}
	}
	if len(types) < 200 || len(opening) < 50 {
		t.Fatalf("only %d types and %d handles: the walk has lost its way", len(types), len(opening))
	}
	for _, name := range known {
		if !opening[name] {
			t.Errorf("%s is not found to be a handle: the walk has lost its way, or the list is old", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(types)) {
		bare := name[strings.LastIndex(name, ".")+1:]
		what := handedOn(types, opening, name)
		if bare != "Parts" && bare != pieces && ast.IsExported(bare) && what != "" {
			t.Errorf("%s hands on %s: keep it in an unexported field", name, what)
		}
	}
}

// shape is what a type keeps, in whatever field; and what it shows: what its exported fields
// lead to, and the types that it embeds. What a slice, a map or a function leads to is what
// whoever has it gets out of it.
type shape struct{ kept, fields, embedded []string }

// shapes are the types of a source, by room and name.
func shapes(s source) map[string]shape {
	out := map[string]shape{}
	ast.Inspect(s.syntax, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if of, ok := spec.Type.(*ast.StructType); ok {
			out[s.folder+"."+spec.Name.Name] = shapeOf(s, of)
		} else {
			all := s.leadsTo(spec.Type, true)
			out[s.folder+"."+spec.Name.Name] = shape{kept: all, fields: all}
		}
		return true
	})
	return out
}

func shapeOf(s source, of *ast.StructType) (out shape) {
	for _, f := range of.Fields.List {
		all := s.leadsTo(f.Type, true)
		out.kept = append(out.kept, all...)
		switch {
		case len(f.Names) == 0:
			out.embedded = append(out.embedded, all...)
		case slices.ContainsFunc(f.Names, func(n *ast.Ident) bool { return n.IsExported() }):
			out.fields = append(out.fields, all...)
		}
	}
	return out
}

// leadsTo are the types of ours that come out of a value of a type: it points to them, it is
// a list, a map, a channel or a struct of them, or a function or method returns them. What
// a function takes comes from whoever calls it, unless it takes a function in its turn.
func (s source) leadsTo(e ast.Expr, out bool) (all []string) {
	switch e := e.(type) {
	case *ast.StarExpr:
		return s.leadsTo(e.X, out)
	case *ast.ParenExpr:
		return s.leadsTo(e.X, out)
	case *ast.Ellipsis:
		return s.leadsTo(e.Elt, out)
	case *ast.ArrayType:
		return s.leadsTo(e.Elt, out)
	case *ast.ChanType:
		return s.leadsTo(e.Value, out)
	case *ast.MapType:
		return append(s.leadsTo(e.Key, out), s.leadsTo(e.Value, out)...)
	case *ast.IndexExpr:
		return append(s.leadsTo(e.X, out), s.leadsTo(e.Index, out)...)
	case *ast.IndexListExpr:
		all = s.leadsTo(e.X, out)
		for _, of := range e.Indices {
			all = append(all, s.leadsTo(of, out)...)
		}
		return all
	case *ast.FuncType:
		return append(s.lead(e.Params, !out), s.lead(e.Results, out)...)
	case *ast.StructType:
		return s.lead(e.Fields, out)
	case *ast.InterfaceType:
		return s.lead(e.Methods, out)
	}
	if name := s.typeName(e); name != "" && out {
		return []string{name}
	}
	return nil
}

func (s source) lead(list *ast.FieldList, out bool) (all []string) {
	if list == nil {
		return nil
	}
	for _, f := range list.List {
		all = append(all, s.leadsTo(f.Type, out)...)
	}
	return all
}

// typeName names a type by its room, whatever the room is called where it is imported;
// empty for a type that has no name, or is not ours.
func (s source) typeName(e ast.Expr) string {
	switch e := e.(type) {
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

// reaching are the handles, and every type that keeps one of them, or keeps what keeps one.
func reaching(types map[string]shape) map[string]bool {
	out := map[string]bool{}
	for _, name := range handles {
		out[name] = true
	}
	for more := true; more; {
		more = false
		for name, of := range types {
			if !out[name] && !slices.Contains(harmless, name) && slices.ContainsFunc(of.kept, func(kept string) bool { return out[kept] }) {
				out[name], more = true, true
			}
		}
	}
	return out
}

// givenAway are the exported methods of a source that return a handle of another room.
func (s source) givenAway(opening map[string]bool) (out []string) {
	for _, d := range s.syntax.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv == nil || !f.Name.IsExported() {
			continue
		}
		for _, of := range s.lead(f.Type.Results, true) {
			if opening[of] && !strings.HasPrefix(of, s.folder+".") {
				out = append(out, receiver(f.Recv.List[0].Type)+"."+f.Name.Name+" returns "+of)
			}
		}
	}
	return out
}

// handedOn says what handle a type shows, in a field of its own or by what it embeds;
// empty for none.
func handedOn(types map[string]shape, opening map[string]bool, name string) string {
	for _, of := range append(slices.Clone(types[name].fields), types[name].embedded...) {
		embedded := !ast.IsExported(of[strings.LastIndex(of, ".")+1:]) && slices.Contains(types[name].embedded, of)
		if opening[of] && !embedded || strings.HasSuffix(of, ".Parts") {
			return of
		}
	}
	for _, of := range types[name].embedded {
		if what := handedOn(types, opening, of); what != "" {
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
type Listed struct { All []*kept.DB }
type Named struct { All map[string]*kept.DB }
type Gives struct { Make func(string) (*kept.DB, error) }
type Takes struct { Do func(*kept.DB) error }
type TakesTakers struct { With func(func(*kept.DB)) }
type Inside struct { In struct { DB *kept.DB } }
type Boxed struct { In *box[string, *kept.DB] }
type All []*kept.DB
type Opens interface { Open() chan *kept.DB }
type ShowsKeeper struct { Keeper *Plain }
type ShowsFarKeeper struct { Far []far }
type far struct { Keeper *keeper }
type keeper struct { plain *Plain }
func (p *Plain) Database() (*kept.DB, error) { return p.db, nil }
func (p *Plain) Far() []*Plain { return nil }
func (p *Plain) View() kept.View { return p.db.View() }
func (p *Plain) database() *kept.DB { return p.db }
func Open() (*kept.DB, error) { return nil, nil }
type ShowsLoop struct { Loop loop }
type loop struct { Next *loop }
`

// TestWhatIsHandedOn shows what the test above finds, by whatever name and however deep.
func TestWhatIsHandedOn(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "a.go", handing, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	types := shapes(source{folder: "a", syntax: f})
	opening := reaching(types)
	if got := (source{folder: "a", syntax: f}).givenAway(opening); !slices.Equal(got, []string{"Plain.Database returns store.DB"}) {
		t.Errorf("given away: %q", got)
	}
	for name, want := range map[string]string{
		"Plain": "", "Hides": "", "Others": "", "Reads": "", "Shows": "store.DB", "ByValue": "store.DB", "Two": "store.DB",
		"Holds": "a.Parts", "Embeds": "a.Parts", "EmbedsTheirs": "a/b.Parts", "ByInner": "store.DB by way of a.inner", "Deep": "a.ByInner",
		"Listed": "store.DB", "Named": "store.DB", "Gives": "store.DB", "Takes": "", "TakesTakers": "store.DB", "Inside": "store.DB", "Boxed": "store.DB", "All": "store.DB", "Opens": "store.DB",
		"ShowsKeeper": "a.Plain", "ShowsFarKeeper": "a.far", "ShowsLoop": "",
	} {
		if got := handedOn(types, opening, "a."+name); got != want {
			t.Errorf("%s hands on %q, and not %q", name, got, want)
		}
	}
}
