package rooms_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// kindNames are the stable words of the kinds of authenticators, as their folders say.
func kindNames(all []source) (names []string) {
	for _, s := range all {
		if !strings.HasPrefix(s.folder, "authenticator/") {
			continue
		}
		for name, word := range constants(s.syntax) {
			if name == "Kind" {
				names = append(names, word)
			}
		}
	}
	return names
}

// constants are the constants of a file that are a word.
func constants(f *ast.File) map[string]string {
	out := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			for i, name := range spec.Names {
				if i < len(spec.Values) {
					if word, is := literal(spec.Values[i]); is {
						out[name.Name] = word
					}
				}
			}
		}
		return true
	})
	return out
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	word, err := strconv.Unquote(lit.Value)
	return word, err == nil
}

// compared are the words that a file compares something with: by == and !=, in a case, and
// as what is searched for in a list.
func compared(f *ast.File) (words []string) {
	known := constants(f)
	word := func(e ast.Expr) {
		if w, ok := literal(e); ok {
			words = append(words, w)
		} else if id, ok := e.(*ast.Ident); ok && known[id.Name] != "" {
			words = append(words, known[id.Name])
		} else if sel, ok := e.(*ast.SelectorExpr); ok && sel.Sel.Name == "Kind" {
			if from, ok := sel.X.(*ast.Ident); ok {
				words = append(words, from.Name) // totp.Kind, of its package
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if n.Op == token.EQL || n.Op == token.NEQ {
				word(n.X)
				word(n.Y)
			}
		case *ast.CaseClause:
			for _, e := range n.List {
				word(e)
			}
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"Contains", "Index", "EqualFold"}, sel.Sel.Name) {
				for _, e := range n.Args {
					word(e)
				}
			}
		}
		return true
	})
	return words
}

// others are folders in which some of these words mean something else.
var others = map[string]string{
	"application": "what an application vouches for",
	"tokenfile":   "the forms of files of tokens",
	"drill":       "an attacker and a person, who see what pages ask for",
	"drill/web":   "an attacker and a person, who see what pages ask for",
}

// TestNobodyComparesAKind finds where the name of a kind of authenticator decides something
// outside of its folder: a new kind would be forgotten there. What is asked is what the
// kind's Description says.
func TestNobodyComparesAKind(t *testing.T) {
	all := sources(t)
	kinds := kindNames(all)
	if len(kinds) < 13 {
		t.Fatalf("only the kinds %q: the walk has lost its way", kinds)
	}
	drawn := table(t)
	for _, s := range all {
		if strings.HasPrefix(s.folder, "authenticator/") || drawn.Tests(s.folder) || others[s.folder] != "" {
			continue
		}
		for _, w := range compared(s.syntax) {
			if slices.Contains(kinds, w) {
				t.Errorf("%s compares with %q", s.name, w)
			}
		}
	}
	for name, words := range comparedInPages(t) {
		for _, w := range words {
			if slices.Contains(kinds, w) {
				t.Errorf("%s compares with %q", name, w)
			}
		}
	}
}

var (
	tests  = regexp.MustCompile(`\b(?:eq|ne)\b[^{}()]*`)
	quoted = regexp.MustCompile(`"([^"]*)"`)
)

// comparedInPages are the words that each template compares with.
func comparedInPages(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	err := fs.WalkDir(os.DirFS(path.Join(root, "internal")), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".html") {
			return err
		}
		out[name] = comparedInPage(page(t, path.Join("internal", name)))
		return nil
	})
	if err != nil || len(out) < 20 {
		t.Fatalf("%d templates, %v: the walk has lost its way", len(out), err)
	}
	return out
}

func comparedInPage(text string) (words []string) {
	for _, one := range tests.FindAllString(text, -1) {
		for _, m := range quoted.FindAllStringSubmatch(one, -1) {
			words = append(words, m[1])
		}
	}
	return words
}

const comparing = `package a

import "countersign/internal/authenticator/totp"

const kind = "push"

func f(k string, all []string) bool {
	switch k {
	case "hotp", kind:
	}
	asked := ask("smscode")
	return k == "password" || "ocra" != k || k == totp.Kind || slices.Contains(all, "passkey") || k == asked.Kind
}
`

// TestWhatIsCompared shows what the test above finds, and that a name which is only handed on
// is none of it.
func TestWhatIsCompared(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "a.go", comparing, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	found := compared(f)
	for _, want := range []string{"push", "hotp", "password", "ocra", "totp", "passkey"} {
		if !slices.Contains(found, want) {
			t.Errorf("%q was not found in %q", want, found)
		}
	}
	if slices.Contains(found, "smscode") {
		t.Errorf("what is handed on was found: %q", found)
	}
	page := comparedInPage(`{{if eq .Kind "push"}}{{else if and (ne .Kind "smscode") (not .Digits)}}<input type="password">{{template "token"}}{{end}}`)
	if !slices.Equal(page, []string{"push", "smscode"}) {
		t.Errorf("in a page %q were found", page)
	}
}
