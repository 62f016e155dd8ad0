package rooms_test

import (
	"go/ast"
	"go/token"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"countersign/internal/rooms"
)

// verbs begin what writes a table; the table's name follows.
var verbs = regexp.MustCompile(`(?i)\b(insert\s+into|update|delete\s+from)(\s+([a-z_]+)?|$)`)

// written are the tables that a text writes, and whether it writes one whose name is put
// together elsewhere. "update" is an English word as well: what follows it counts only
// where a table is called so, or where the text is nothing but the verb.
func written(text string, owners map[string]string) (tables []string, hidden bool) {
	for _, m := range verbs.FindAllStringSubmatch(text, -1) {
		name := strings.ToLower(m[3])
		_, known := owners[name]
		switch update := strings.EqualFold(m[1], "update"); {
		case known:
			tables = append(tables, name)
		case !update, strings.TrimSpace(text) == m[1] && text != m[1]:
			hidden = true
		}
	}
	return tables, hidden
}

// texts are the texts of a source, and those that are joined with + in one piece.
func (s source) texts() []string {
	var out []string
	ast.Inspect(s.syntax, func(n ast.Node) bool {
		if e, ok := n.(ast.Expr); ok {
			if text, ok := joined(e); ok {
				out = append(out, text)
			}
		}
		return true
	})
	return out
}

// joined is a text, or texts joined with +; what is no text in between is a line break.
func joined(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		x, left := joined(e.X)
		y, right := joined(e.Y)
		switch {
		case e.Op != token.ADD || !left && !right:
			return "", false
		case !left:
			x = "\n"
		case !right:
			y = "\n"
		}
		return x + y, true
	}
	return "", false
}

func TestEachTableHasOneWriter(t *testing.T) {
	drawn := table(t)
	owners := drawn.Owners()
	seen := map[string]bool{}
	for _, s := range sources(t) {
		if drawn.Tests(s.folder) {
			continue
		}
		room := drawn.Room(s.folder)
		for _, text := range s.texts() {
			tables, hidden := written(text, owners)
			if hidden && room != "store" {
				t.Errorf("%s: it is not plain which table %q writes", s.name, text)
			}
			for _, name := range tables {
				seen[name] = true
				if owners[name] != room {
					t.Errorf("%s writes the table %s, which is %s's: ask that room", s.name, name, owners[name])
				}
			}
		}
	}
	for name := range owners {
		if !seen[name] {
			t.Errorf("nobody writes the table %s", name)
		}
	}
}

var (
	making   = regexp.MustCompile(`(?im)^\s*create table\s+(\w+)`)
	dropping = regexp.MustCompile(`(?im)^\s*drop table\s+(\w+)`)
	renaming = regexp.MustCompile(`(?im)^\s*alter table\s+(\w+)\s+rename to\s+(\w+)`)
)

// TestEachTableIsDrawn compares the tables that the migrations leave with those that are
// given to a room.
func TestEachTableIsDrawn(t *testing.T) {
	files, err := filepath.Glob(path.Join(root, "internal/store/migrations/*.sql"))
	if err != nil || len(files) < 10 {
		t.Fatalf("%d migrations, %v", len(files), err)
	}
	there := map[string]bool{"schema_version": true} // which says how far the migrations are
	for _, file := range files {
		sql, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range renaming.FindAllStringSubmatch(string(sql), -1) {
			delete(there, m[1])
			there[m[2]] = true
		}
		for _, m := range making.FindAllStringSubmatch(string(sql), -1) {
			there[m[1]] = true
		}
		for _, m := range dropping.FindAllStringSubmatch(string(sql), -1) {
			delete(there, m[1])
		}
	}
	owners := table(t).Owners()
	for _, name := range slices.Sorted(maps.Keys(there)) {
		if owners[name] == "" {
			t.Errorf("the table %s is given to no room: add it to the table in ARCHITECTURE.md", name)
		}
	}
	for name := range owners {
		if !there[name] {
			t.Errorf("there is no table %s", name)
		}
	}
}

// TestWritten shows what counts as writing a table.
func TestWritten(t *testing.T) {
	owners := map[string]string{"wake": "a", "session": "b"}
	for text, want := range map[string]string{
		"insert into wake (id) values ($1)": "wake", "INSERT INTO\n\tsession select 1": "session", "update wake set a = 1": "wake",
		"delete from session where 1 = 1": "session", "with x as (delete from wake returning id) update session set a = 1": "wake session",
		"insert into wake (a) values (1) on conflict (a) do update set a = excluded.a": "wake",
		"select 1 from session": "", "Update the page.": "", "update": "", "updates wake up": "",
		"insert into ": "?", "delete from %s": "?", "update ": "?", "insert into other values (1)": "?",
	} {
		tables, hidden := written(text, owners)
		if hidden {
			tables = append(tables, "?")
		}
		if got := strings.Join(tables, " "); got != want {
			t.Errorf("%q writes %q, not %q", text, got, want)
		}
	}
}

// TestOwners shows that a table which is given twice, or to several rooms, is nobody's.
func TestOwners(t *testing.T) {
	got := rooms.Read("| table | room |\n| --- | --- |\n| `a`, `b` | `x` |\n| `c` | `x` `y` |\n| `b` | `z` |\n| `d` | nobody |\n").Owners()
	want := map[string]string{"a": "x", "b": "", "c": "", "d": ""}
	if !maps.Equal(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
}
