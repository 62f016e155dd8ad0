package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"countersign/internal/drill"
)

const root = "../../.."

func source(file string) (string, error) {
	b, err := os.ReadFile(filepath.Join(root, file))
	return string(b), err
}

// Every guard can be taken out, is named once, and has rows that have a drill.
func TestMutants(t *testing.T) {
	all := mutants()
	if len(all) < 30 {
		t.Errorf("there are %d guards, and 30 at least are to be taken out", len(all))
	}
	guards := map[string]bool{}
	for _, m := range all {
		if guards[m.Guard] || m.Guard == "" || strings.Contains(m.Guard, "|") {
			t.Errorf("%q names no guard, or one that another line names", m.Guard)
		}
		guards[m.Guard] = true
		if _, err := m.apply(source); err != nil {
			t.Error(err)
		}
		rows := m.rows()
		if len(rows) == 0 || len(slices.Compact(slices.Clone(rows))) != len(rows) {
			t.Errorf("%s: %q are no rows, or one of them stands twice", m.Guard, m.Rows)
		}
		for _, row := range rows {
			if !slices.Contains(drill.Drilled(), row) {
				t.Errorf("%s: %s has no drill", m.Guard, row)
			}
		}
	}
}

// Every row that has a drill fails without at least one guard, or it is written down why
// none can be taken out.
func TestEveryRowHasAGuard(t *testing.T) {
	for _, row := range drill.Drilled() {
		has := slices.ContainsFunc(mutants(), func(m mutant) bool { return slices.Contains(m.rows(), row) })
		if why := unproved[row]; has == (why != "") {
			t.Errorf("%s: a guard of it is taken out: %t; why none is: %q", row, has, why)
		}
	}
	for row := range unproved {
		if !slices.Contains(drill.Drilled(), row) {
			t.Errorf("%s has no drill", row)
		}
	}
}

// The documentation lists exactly the guards.
func TestTable(t *testing.T) {
	b, err := source(page)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(b, start)
	table, _, ok := strings.Cut(rest, end)
	if !ok {
		t.Fatalf("%s has no table of guards", page)
	}
	there := parse(table)
	for i, want := range merged(mutants(), nil, there) {
		if i >= len(there) || there[i] != want {
			t.Fatalf("%s differs at %q; write it again: go run ./test/drill/mutants -write -play=false", page, want.guard)
		}
	}
	if len(there) != len(mutants()) {
		t.Errorf("%s lists %d guards, and there are %d", page, len(there), len(mutants()))
	}
}

// What a drill's output says of rows is read, and compared: a row that did not notice, and
// one that fails though it does not depend on the guard.
func TestDiffers(t *testing.T) {
	played, fell := results([]byte("=== RUN TestRows\n\ndrilled\tT1040\twiki\tpassed\t\n\ndrilled\tT1133\tvpn\tfailed\tblocked: got through: a thing\nPASS\n"))
	if !slices.Equal(played, []string{"T1040", "T1133"}) || len(fell) != 1 || fell[0] != (fall{"T1133", "vpn", "blocked: got through: a thing"}) {
		t.Fatalf("%v %v", played, fell)
	}
	for _, c := range []struct {
		want []string
		says string
	}{
		{[]string{"T1133"}, ""},
		{[]string{"T1040"}, "T1040 does not notice; T1133 fails at vpn: blocked: got through: a thing"},
		{[]string{"T1040", "T1133"}, "T1040 does not notice"},
	} {
		if says := differs(c.want, fell); says != c.says {
			t.Errorf("%v: %q, not %q", c.want, says, c.says)
		}
	}
}

// A line of the table is read as it was written, whatever the words of a failure are.
func TestLines(t *testing.T) {
	m := mutant{Guard: "a guard", File: "a/file.go", Rows: "T1133 T1040"}
	o := outcome{mutant: m, Fell: []fall{{"T1133", "vpn", "got through: a | b <c> of canary-ab12cd at localhost:4711"}, {"T1040", "notes", "x"}, {"T1133", "notes", "y"}}}
	lines := merged([]mutant{m}, []outcome{o}, nil)
	want := line{"a guard", "a/file.go", "T1040 T1133", "notes, vpn", "got through: a / b &lt;c> of the canary at localhost"}
	if len(lines) != 1 || lines[0] != want {
		t.Fatalf("%q", lines)
	}
	if again := parse(lines[0].String()); len(again) != 1 || again[0] != want {
		t.Errorf("%q", again)
	}
	if kept := merged([]mutant{m}, nil, lines); kept[0] != want {
		t.Errorf("what was not played lost its line: %q", kept)
	}
}

// What was played in parts is judged by the table as it is, and not by what it was then.
func TestOutcomesFromFiles(t *testing.T) {
	m := mutants()[0]
	folder := t.TempDir()
	write := func(name string, o outcome) {
		t.Helper()
		b, err := json.Marshal([]outcome{o})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var fell []fall
	for _, row := range m.rows() {
		fell = append(fell, fall{Row: row, Application: "wiki", Why: "got through"})
	}
	write("1.json", outcome{mutant: m, Fell: fell, Wrong: "of before"})
	write("2.json", outcome{mutant: m})
	write("3.json", outcome{mutant: mutant{Guard: "one that is not in the table any more"}})
	all, err := read(filepath.Join(folder, "*.json"))
	if err != nil || len(all) != 2 || all[0].Wrong != "" || !strings.Contains(all[1].Wrong, "does not notice") {
		t.Errorf("%+v %v", all, err)
	}
	if err := os.WriteFile(filepath.Join(folder, "4.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := read(filepath.Join(folder, "*.json")); err == nil {
		t.Error("a file that was cut off was read")
	}
}
