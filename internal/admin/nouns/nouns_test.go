package nouns

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"countersign/internal/admin"
	"countersign/internal/store"
)

// Every command is done at exactly one desk, and each that says something beforehand, or
// tells what it is about, does so there: what is written for another desk would never be
// asked.
func TestEveryCommandHasADesk(t *testing.T) {
	none := Parts{DB: new(store.DB)} // desks take pieces of it, and nothing is read
	all := slices.Concat(people(none), things(none), rules(none))
	done := func(c admin.Command) (n int) {
		for _, desk := range all {
			if _, ok := desk(c); ok {
				n++
			}
		}
		return n
	}
	for _, s := range Commands() {
		if n := done(s.New()); n != 1 {
			t.Errorf("%s is done at %d desks", s.Action, n)
		}
	}
	if done(stranger{}) != 0 {
		t.Error("a command of another room is done")
	}
	at := map[string]map[string]string{"Do": {}, "Preflight": {}, "Thing": {}, "Tell": {}}
	files, err := filepath.Glob("../*/*.go")
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
			if ok && fn.Recv != nil && at[fn.Name.Name] != nil && !strings.HasSuffix(file, "_test.go") {
				at[fn.Name.Name][filepath.Dir(file)+"."+pointed(fn.Recv.List[0].Type)] = pointed(fn.Type.Params.List[1].Type)
			}
		}
	}
	if len(at["Do"]) != len(Commands()) || len(at["Preflight"]) < 12 || len(at["Thing"]) < 5 {
		t.Errorf("%d of %d commands, %d and %d that say something beforehand: the test has lost its way", len(at["Do"]), len(Commands()), len(at["Preflight"]), len(at["Thing"]))
	}
	for _, what := range []string{"Preflight", "Thing", "Tell"} {
		for command, desk := range at[what] {
			if at["Do"][command] != desk {
				t.Errorf("%s is done at %s, and has its %s at %s", command, at["Do"][command], what, desk)
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

func (stranger) Action() string { return "group.create" }
func (stranger) Object() string { return "" }

// A command stands in the list once, and no two commands tell one event differently.
func TestTheListIsOne(t *testing.T) {
	var actions []string
	told := map[string]string{}
	for _, s := range Commands() {
		if slices.Contains(actions, s.Action) || s.Summary == "" || s.Answer == nil {
			t.Errorf("%s is there twice, or lacks its summary or its answer", s.Action)
		}
		actions = append(actions, s.Action)
		for event, sentence := range s.Sentences {
			if told[event] != "" {
				t.Errorf("%s of %s is told elsewhere as well", event, s.Action)
			}
			told[event] = sentence
		}
	}
	if helping := Commands().Helping(); !slices.Equal(helping, []string{"recovery.list", "recovery.open", "recovery.stop"}) {
		t.Errorf("the help desk may do %q", helping)
	}
}

// What changes something has a text to approve, and what only looks has none: a command
// that was described as the other would be done under the session alone. Those that look
// at a file that was sent say which.
func TestWhatChangesIsApproved(t *testing.T) {
	looks := []string{"token.stage", "token.preview", "account.stage", "account.preview"}
	for _, s := range Commands() {
		text := s.New().Object()
		if s.Reads && text != "" && !slices.Contains(looks, s.Action) || !s.Reads && text == "" {
			t.Errorf("%s only looks: %t, and its text is %q", s.Action, s.Reads, text)
		}
	}
}
