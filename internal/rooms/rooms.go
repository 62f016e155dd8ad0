// Package rooms compares who imports whom, and who writes which table of the database,
// with the tables in ARCHITECTURE.md. Its tests also check the decision records, the
// commands of CONTRIBUTING.md, the links of all pages, the tree of ARCHITECTURE.md, and
// that no type is too large or hands on what it is made of.
//
// It owns how those tables are read. It holds no list of rooms of its own: a room
// that the table does not draw, or an import that it does not allow, fails the
// test. Its one invariant: a name that cannot be understood allows nothing.
package rooms

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Table is what ARCHITECTURE.md allows.
type Table struct {
	allowed map[string]row
	owners  map[string]string
}

type row struct {
	imports    []string
	everything bool
	tests      bool
}

var quoted = regexp.MustCompile("`([^`]+)`")

// Read finds the three tables of the page by their headings.
func Read(page string) Table {
	t := Table{allowed: map[string]row{}, owners: map[string]string{}}
	var in string
	for line := range strings.Lines(page) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 4 {
			in = ""
			continue
		}
		left, right := strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2])
		switch {
		case left == "room" || left == "room for tests" || left == "table":
			in = left
		case in == "table":
			t.own(names(left), names(right))
		case in != "":
			r := row{imports: names(right), everything: right == "everything", tests: in == "room for tests"}
			for _, name := range names(left) {
				t.allowed[name] = r
			}
		}
	}
	return t
}

// own gives tables of the database to a room. A table that is given twice, or to several
// rooms, is nobody's.
func (t Table) own(tables, owner []string) {
	for _, table := range tables {
		if _, twice := t.owners[table]; twice || len(owner) != 1 {
			owner = []string{""}
		}
		t.owners[table] = owner[0]
	}
}

// Owners are the rooms that write the tables of the database, by table.
func (t Table) Owners() map[string]string { return maps.Clone(t.owners) }

func names(cell string) []string {
	var out []string
	for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
		out = append(out, m[1])
	}
	return out
}

// Room returns the room that a folder belongs to, by its own name even where a
// row with a star drew it, and the row. It is empty for one that nobody drew.
func (t Table) Room(folder string) string {
	name, _ := t.find(folder)
	return name
}

func (t Table) find(folder string) (name string, r row) {
	parts := strings.Split(folder, "/")
	for n := len(parts); n > 0; n-- {
		name := strings.Join(parts[:n], "/")
		if r, ok := t.allowed[name]; ok {
			return name, r
		}
		if n > 1 {
			if r, ok := t.allowed[strings.Join(parts[:n-1], "/")+"/*"]; ok {
				return name, r
			}
		}
	}
	return "", row{}
}

// Tests reports whether a folder is for tests only.
func (t Table) Tests(folder string) bool {
	_, r := t.find(folder)
	return r.tests
}

// Allows reports whether one folder may import the other.
func (t Table) Allows(from, to string) bool {
	here, r := t.find(from)
	there, target := t.find(to)
	switch {
	case here == "" || there == "":
		return false
	case here == there || there == "failure" || there == "text" || there == "language" || r.tests:
		return true
	case target.tests:
		return false
	case r.everything:
		return true
	}
	return slices.ContainsFunc(r.imports, func(name string) bool {
		return name == there || strings.HasSuffix(name, "/*") && strings.HasPrefix(there, strings.TrimSuffix(name, "*"))
	})
}
