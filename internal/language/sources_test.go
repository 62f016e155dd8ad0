package language_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template/parse"
	"unicode"

	"countersign/internal/language"
)

// peoplesPages are the rooms whose templates people meet. Those of the console are for
// administrators, and in English.
var peoplesPages = []string{"web/look", "web/challenge", "web/portal", "web/app", "web/api"}

// peoplesRooms are the rooms whose errors, prompts and notices reach a person on a page, in a
// mail or in the app.
var peoplesRooms = []string{"failure", "web/look", "web/challenge", "web/portal", "web/app", "web/api/approval.go", "signin", "approval", "outbox", "throttle", "session", "enrollment",
	"recovery", "incident", "ticket", "admin/pass", "admin/setup", "directory/name.go", "authenticator",
	"participant", "linked", "upstream/visits.go", "protocol/saml/begin.go", "protocol/saml/logout.go", "protocol/saml/service.go", "protocol/saml/signin.go", "protocol/saml/tell.go"}

// administrators are the files whose sentences only administrators and the help desk meet, in the
// console and on the command line.
var administrators = []string{"recovery/confirm.go", "recovery/bound.go", "ticket/upload.go", "approval/statistics.go", "admin/pass/invite.go", "recovery/recovery.go", "web/look/brand.go", "web/look/colour.go", "protocol/radius/exchange.go"}

// letters are the rooms and files whose mails and pages reach people, and whose other refusals
// only administrators and programs.
var letters = []string{"partner/delegating.go", "upstream/links.go", "protocol", "oauth/end.go", "oauth/device.go", "token/hands.go", "admin/account/edit.go", "admin/administrators/administrators.go", "admin/quiet/quiet.go", "admin/authenticator/authenticator.go", "admin/recovery/recovery.go", "admin/recovery/local.go"}

// writesOnly reports whether only the sentences in a file reach people, and not its errors.
func writesOnly(where string) bool {
	if slices.Contains(peoplesRooms, strings.TrimPrefix(where, "../")) {
		return false
	}
	return slices.ContainsFunc(letters, func(l string) bool { return where == "../"+l || strings.HasPrefix(where, "../"+l+"/") })
}

// texts are the English texts that people meet, each with where it stands.
type texts struct {
	where   map[string]string
	counted map[string]bool
	// literals are all that the sources say, for texts that reach people by a longer way.
	literals map[string]bool
}

func (x *texts) add(text, where string) {
	if strings.ContainsFunc(verb.ReplaceAllString(text, ""), unicode.IsLetter) && x.where[text] == "" {
		x.where[text] = where
	}
}

var verb = regexp.MustCompile(`%(\[\d\])?[sdqv]`)

var action = regexp.MustCompile(`(?s)\{\{.*?\}\}`)

// visible are the attributes that people read or hear.
var visible = regexp.MustCompile(`(?i)\b(title|alt|aria-label|aria-description|placeholder|data-label|label)="([^"]*)"`)

// bare are the words with letters in a template that stand outside of every action, as text or
// in an attribute that is read.
func bare(source string) []string {
	source = action.ReplaceAllString(source, "\x00")
	var out []string
	for _, m := range visible.FindAllStringSubmatch(source, -1) {
		out = append(out, m[2])
	}
	source = regexp.MustCompile(`(?s)<!--.*?-->|<script>.*?</script>|<[^>]*>`).ReplaceAllString(source, "\x00")
	out = append(out, strings.FieldsFunc(source, func(r rune) bool { return r == 0 || r == '\n' })...)
	return slices.DeleteFunc(out, func(s string) bool {
		return !strings.ContainsFunc(strings.ReplaceAll(s, "Countersign", ""), unicode.IsLetter)
	})
}

// told collects what a template hands to t and count, and returns the texts in other places.
func (x *texts) told(name, source string) (stray []string, err error) {
	trees := map[string]*parse.Tree{}
	tree := parse.New(name)
	tree.Mode = parse.SkipFuncCheck
	if _, err := tree.Parse(source, "", "", trees); err != nil {
		return nil, err
	}
	for _, tr := range trees {
		x.walk(tr.Root, name, &stray)
	}
	return stray, nil
}

func (x *texts) walk(n parse.Node, where string, stray *[]string) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, c := range n.Nodes {
				x.walk(c, where, stray)
			}
		}
	case *parse.ActionNode:
		x.walk(n.Pipe, where, stray)
	case *parse.IfNode:
		x.branch(&n.BranchNode, where, stray)
	case *parse.WithNode:
		x.branch(&n.BranchNode, where, stray)
	case *parse.RangeNode:
		x.branch(&n.BranchNode, where, stray)
	case *parse.TemplateNode:
		x.walk(n.Pipe, where, stray)
	case *parse.PipeNode:
		if n != nil {
			for _, c := range n.Cmds {
				x.command(c, where, stray)
			}
		}
	}
}

func (x *texts) branch(b *parse.BranchNode, where string, stray *[]string) {
	x.walk(b.Pipe, where, stray)
	x.walk(b.List, where, stray)
	x.walk(b.ElseList, where, stray)
}

func (x *texts) command(c *parse.CommandNode, where string, stray *[]string) {
	what := c.Args[0].String()
	for i, a := range c.Args {
		s, ok := a.(*parse.StringNode)
		switch {
		case ok && what == "t" && i == 1:
			x.add(s.Text, where)
		case ok && what == "count" && i == 3:
			x.add(s.Text, where)
			x.counted[s.Text] = true
		case ok && strings.Contains(s.Text, " ") && strings.ContainsFunc(s.Text, unicode.IsLetter) && what != "count" && what != "code":
			*stray = append(*stray, s.Text)
		}
		x.walk(a, where, stray)
	}
}

// No text of a page for people stands outside of the function that translates it: neither
// between elements nor in an attribute that is read, nor in an action.
func TestPagesSayAllInTheirLanguage(t *testing.T) {
	x := texts{map[string]string{}, map[string]bool{}, map[string]bool{}}
	n := 0
	for _, name := range templates(t) {
		source := read(t, name)
		for _, s := range bare(source) {
			t.Errorf("%s has %q, which no language can change: write {{t %q}}", name, s, s)
		}
		stray, err := x.told(name, source)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range stray {
			t.Errorf("%s has %q in an action, and not as the text of t", name, s)
		}
		n++
	}
	if n < 25 || len(x.where) < 150 {
		t.Errorf("only %d pages with %d texts were looked at", n, len(x.where))
	}
	for _, c := range []struct{ source, want string }{
		{`<p>Hello</p>`, "Hello"}, {`<p title="Hello">{{t "x"}}</p>`, "Hello"}, {`{{if .A}}Hello{{end}}`, "Hello"}, {`<p>{{.A}} of {{.B}}</p>`, " of "}, {`<p class="b" id=x>{{t "x"}}</p>`, ""}, {`<p>Countersign 12</p>`, ""},
	} {
		if got := strings.Join(bare(c.source), "|"); got != c.want {
			t.Errorf("of %s is bare %q", c.source, got)
		}
	}
	if stray, _ := x.told("x", `{{or .A "some words"}}{{with (printf "%s words" .A)}}{{end}}{{t "of a text" .B}}`); len(stray) != 2 {
		t.Errorf("stray: %q", stray)
	}
}

func templates(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, room := range peoplesPages {
		names, err := filepath.Glob("../" + room + "/templates/*.html")
		if err != nil || len(names) == 0 {
			t.Fatal(room, err)
		}
		out = append(out, names...)
	}
	return out
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// fields are the fields of composite literals whose value people read.
var fields = map[string][]string{"Page": {"Title"}, "Link": {"Text"}, "Description": {"Title", "Pitch", "Noun"}, "Prompt": {"Label", "Hint"}, "Error": {"Public"}, "Refused": {"Public"}, "Enrolled": {"Label"}, "trouble": {"Heading"}, "fact": {"Name"}, "warning": {"subject", "body"}, "edit": {"subject"}}

// calls are the arguments of functions that people read, by their position.
var calls = map[string][]int{"language.Say": {0}, "language.Word": {0}, "language.Counted": {2}, "failure.New": {1}, "failure.Refuse": {1}, "failure.Wrap": {2}, "a.pose": {1}, "always": {0}, "by": {0}, "when": {0}, "says": {0}}

// source collects the texts of one package's file. Constants of the package are looked up.
func (x *texts) source(f *ast.File, where string, constants map[string]string) {
	text := func(e ast.Expr) string {
		if id, ok := e.(*ast.Ident); ok {
			return constants[id.Name]
		}
		s, _ := literal(e)
		return s
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if e, ok := n.(ast.Expr); ok {
			if s, ok := literal(e); ok {
				x.literals[s] = true
			}
		}
		switch n := n.(type) {
		case *ast.CallExpr:
			name := nameOf(n.Fun)
			if strings.HasPrefix(name, "failure.") && writesOnly(where) {
				return true
			}
			if name == "failure.New" && nameOf(n.Args[0]) == "failure.Internal" || name == "New" && nameOf(n.Args[0]) == "Internal" {
				return true // whose text no user is shown
			}
			for _, i := range calls[name] {
				if i < len(n.Args) {
					s := text(n.Args[i])
					x.add(s, where)
					x.counted[s] = x.counted[s] || name == "language.Counted"
				}
			}
		case *ast.AssignStmt:
			for i, left := range n.Lhs {
				if id, ok := left.(*ast.Ident); ok && i < len(n.Rhs) && (id.Name == "public" || id.Name == "password" || id.Name == "label") {
					x.add(text(n.Rhs[i]), where)
				}
				if s, ok := left.(*ast.SelectorExpr); ok && i < len(n.Rhs) && slices.Contains([]string{"Hint", "Label", "Public", "Title", "Lede", "Button"}, s.Sel.Name) {
					x.add(text(n.Rhs[i]), where)
				}
			}
		case *ast.CompositeLit:
			kind := nameOf(n.Type)
			if kind == "failure.Error" && writesOnly(where) {
				return true
			}
			for _, e := range n.Elts {
				kv, ok := e.(*ast.KeyValueExpr)
				if !ok {
					continue
				}
				if id, ok := kv.Key.(*ast.Ident); ok && slices.Contains(fields[kind[strings.LastIndex(kind, ".")+1:]], id.Name) {
					x.add(text(kv.Value), where)
				}
			}
		}
		return true
	})
}

func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return nameOf(e.X) + "." + e.Sel.Name
	case *ast.UnaryExpr:
		return nameOf(e.X)
	}
	return ""
}

// literal is the value of a string literal, or of several that are added.
func literal(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			s, err := strconv.Unquote(e.Value)
			return s, err == nil
		}
	case *ast.BinaryExpr:
		a, ok := literal(e.X)
		b, too := literal(e.Y)
		if ok && too {
			return a + b, true
		}
	}
	return "", false
}

// goFiles are the sources of a room with the rooms in it, or one file, without tests and examples.
func goFiles(t *testing.T, room string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir("../"+room, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !slices.Contains(administrators, strings.TrimPrefix(path, "../")) && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") && !strings.Contains(path, "/authenticatortest/") && !strings.Contains(path, "/pretend/") {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// marked are lists and tables of texts that are chosen from, by the name of their variable.
var marked = map[string]bool{"doing": true, "why": true, "next": true, "systems": true, "troubles": true, "scriptTexts": true, "withPIN": true, "advice": true, "sentences": true, "sentTo": true, "lacking": true, "scripts": true}

// said are the beginnings of the names of constants that people read.
var said = regexp.MustCompile(`^(lacks|mend|step|letters)[A-Z]|^unexplained$|^(name|display|mail)Changed$`)

// returns adds what functions return that choose a text: those whose result is a language.Word,
// and those called Words.
func (x *texts) returns(f *ast.File, where string) {
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Type.Results == nil || len(fn.Type.Results.List) != 1 || fn.Name.Name != "Words" && nameOf(fn.Type.Results.List[0].Type) != "language.Word" {
			continue
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			if r, ok := n.(*ast.ReturnStmt); ok && len(r.Results) == 1 {
				s, _ := literal(r.Results[0])
				x.add(s, where)
			}
			return true
		})
	}
}

// parsed reads a file, and puts what it says into constants.
func parsed(t *testing.T, name string, constants map[string]string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			for i, id := range v.Names {
				if i < len(v.Values) {
					if s, ok := literal(v.Values[i]); ok {
						constants[id.Name] = s
					}
				}
			}
		}
		return true
	})
	return f
}

// tables adds the texts of the marked tables: those that are no bare word.
func (x *texts) tables(f *ast.File, where string) {
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || !marked[v.Names[0].Name] {
			return true
		}
		for _, value := range v.Values {
			x.strings(value, where)
		}
		return true
	})
}

// strings adds the texts in a table: the values of what has keys, and the last of a row.
func (x *texts) strings(n ast.Expr, where string) {
	if c, ok := n.(*ast.CompositeLit); ok {
		for i, e := range c.Elts {
			kv, keyed := e.(*ast.KeyValueExpr)
			switch {
			case keyed:
				x.strings(kv.Value, where)
			case c.Type != nil || i == len(c.Elts)-1:
				x.strings(e, where)
			}
		}
	}
	if s, ok := literal(n); ok {
		x.add(s, where)
	}
}

// all collects every text that a person can meet.
func all(t *testing.T) texts {
	t.Helper()
	x := texts{map[string]string{}, map[string]bool{}, map[string]bool{}}
	for _, name := range templates(t) {
		if _, err := x.told(name, read(t, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, room := range slices.Concat(peoplesRooms, letters) {
		constants, files := map[string]string{}, map[string]*ast.File{}
		for _, name := range goFiles(t, room) {
			files[name] = parsed(t, name, constants)
		}
		for name, f := range files {
			x.source(f, name, constants)
			x.tables(f, name)
			x.returns(f, name)
		}
		for name, value := range constants {
			if said.MatchString(name) {
				x.add(value, room)
			}
		}
	}
	return x
}

// German has every text that a person can meet, and no other.
func TestGermanIsComplete(t *testing.T) {
	x := all(t)
	keys, counted := language.German().Keys()
	for _, text := range slices.Sorted(maps.Keys(x.where)) {
		if !slices.Contains(keys, text) {
			t.Errorf("de.yaml lacks %q of %s", text, x.where[text])
		} else if counted[text] != x.counted[text] {
			t.Errorf("de.yaml has plural forms of %q, or the sources of %s have, and not both", text, x.where[text])
		}
	}
	for _, key := range keys {
		if x.where[key] == "" && !x.literals[key] && !slices.Contains(built, key) {
			t.Errorf("de.yaml has %q, which nobody says", key)
		}
	}
}

// built are the texts that this package itself writes times with, and words of data.
var built = []string{"%[1]d %[2]s %[3]d", "%s, %s", "%d minutes ago", "%d hours ago", "%d days ago", "in %d minutes", "in %d hours", "just now", "over", "in less than a minute", "on %s", "never", "%s and %s",
	"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
	"unknown browser", "%s on %s", "active", "disabled", "revoked", "behind a proxy", "by RADIUS", "by Yubico's protocol", "%s:", "%s: %s",
	"seen in person, and known or with a photo identity card", "called back on the number that was on file before", "seen on video, with a photo identity card", "their manager confirmed it, asked on a known number"}
