package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin/coverage"
	"countersign/internal/attack"
	"countersign/internal/servertest"
)

// tricky is a result whose texts would move a terminal's cursor.
func tricky() attack.DrillResult {
	return attack.DrillResult{Row: "T1133", Application: "vpn\x1b[2J", Time: time.Unix(1_800_000_000, 0), Blocked: attack.Failed, Audited: attack.Held, Honest: attack.Held, Control: attack.NotRun, Closed: attack.NotRun,
		Detail:  "opened\x1b[2J",
		Tries:   []attack.DrillTry{{Door: "radius", Sent: "an old code\x1b[2J", Answer: "Access-Accept", Open: true}, {Door: "radius", Sent: "a State", Error: "no answer\x1b[2J"}},
		Entries: []int64{7, 9}, Log: []string{"rejected\x1b[2J\nsecond line"}}
}

// A run and a row are printed with everything that was tried, and nothing that was sent or
// logged moves the terminal.
func TestWriteRun(t *testing.T) {
	left := []attack.Left{{Door: "port 1813\x1b[2J", Why: "closed"}}
	run := coverage.RunReport{Run: coverage.Run{Number: 3, By: "root\x1b[2J", Program: "countersign\x1b[2J", Failed: 1},
		Applications: []attack.Attacked{{Name: "vpn", Left: left}}, Results: []coverage.RunResult{{DrillResult: tricky()}}}
	d := tricky()
	for name, write := range map[string]func(w *strings.Builder) error{
		"run": func(w *strings.Builder) error { return writeRun(w, run, true) },
		"row": func(w *strings.Builder) error {
			return writeRow(w, "T1133", []coverage.RowResult{{Application: "vpn", Drilled: d.Time, Run: 3, Result: &d, Left: left}})
		},
	} {
		var b strings.Builder
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "\x1b") {
			t.Errorf("%s: a text moves the terminal: %q", name, b.String())
		}
		for _, want := range []string{"T1133", "OPEN: Access-Accept", "could not be tried: no answer", "7 9", "its own log: rejected", "Not attacked: port 1813", "not-run", "failed"} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s does not say %q:\n%s", name, want, b.String())
			}
		}
	}
}

// Of what is not believed the reason is printed, and no result.
func TestWriteRunThatIsNotBelieved(t *testing.T) {
	var b strings.Builder
	if err := writeRun(&b, coverage.RunReport{Run: coverage.Run{Number: 3, Doubt: "It was changed."}}, true); err != nil || b.String() != "Run 3: It was changed.\n" {
		t.Errorf("%q %v", b.String(), err)
	}
	b.Reset()
	if err := writeRow(&b, "T1133", []coverage.RowResult{{Application: "vpn", Doubt: "It was changed."}}); err != nil || !strings.HasSuffix(b.String(), ". It was changed.\n") || strings.Contains(b.String(), "ROW") {
		t.Errorf("%q %v", b.String(), err)
	}
	b.Reset()
	if err := writeRow(&b, "T1133", nil); err != nil || b.String() != "No drill has attacked T1133 yet.\n" {
		t.Errorf("%q %v", b.String(), err)
	}
}

// However much a drill tried, its report is one that the server takes: it is shortened, and
// each door is still in it.
func TestALargeReportIsHandedIn(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.Administrator("ada")
	at := w.Now()
	report := attack.DrillReport{Began: at.Add(-time.Minute), Ended: at, By: "a test"}
	for _, row := range attack.Rows()[:17] {
		for site := range 20 {
			d := tricky()
			d.Row, d.Application, d.Time, d.Tries = row.ID, fmt.Sprint("site-", site), at, nil
			for n := range 80 {
				d.Tries = append(d.Tries, attack.DrillTry{Door: fmt.Sprint("host-", n%2), Sent: strings.Repeat("x", 200), Answer: "403"})
			}
			report.Results = append(report.Results, d)
		}
	}
	signed, err := coverage.SignDrill(w.Keys, report)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "report")
	if err := os.WriteFile(file, []byte(signed), 0o600); err != nil {
		t.Fatal(err)
	}
	sh := w.Shell()
	sh.Login(w.Person(), "ada", ada.Code())
	if out, complaint, ok := sh.Run("", "drill", "record", file); !ok {
		t.Fatalf("%d bytes are not taken: %s%s", len(signed), out, complaint)
	}
	out, complaint, ok := sh.Run("", "--json", "drill", "show", "1")
	var run coverage.RunReport
	if err := json.Unmarshal([]byte(out), &run); !ok || err != nil || len(run.Results) != 17*20 {
		t.Fatalf("%d results: %v %s", len(run.Results), err, complaint)
	}
	for _, r := range run.Results {
		if len(r.Doors()) != 2 {
			t.Errorf("%s at %s lost a door: %q", r.Row, r.Application, r.Doors())
		}
	}
}

// What a drill met can be read again by its number and by its row, as text and as JSON.
func TestRunsAreSaid(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.Administrator("ada")
	if err := w.PlantApplications(t.Context(), "wiki.test", "a-secret-of-the-equipment"); err != nil {
		t.Fatal(err)
	}
	d := tricky()
	d.Application, d.Time = "vpn", w.Now()
	signed, err := coverage.SignDrill(w.Keys, attack.DrillReport{Began: d.Time.Add(-time.Minute), Ended: d.Time, By: "a test", Results: []attack.DrillResult{d}})
	if err != nil {
		t.Fatal(err)
	}
	report := filepath.Join(t.TempDir(), "report")
	if err := os.WriteFile(report, []byte(signed), 0o600); err != nil {
		t.Fatal(err)
	}
	sh := w.Shell()
	sh.Login(w.Person(), "ada", ada.Code())
	say := func(want string, words ...string) string {
		t.Helper()
		out, complaint, ok := sh.Run("", words...)
		if !ok || !strings.Contains(out, want) {
			t.Errorf("%v: %s%s", words, out, complaint)
		}
		return out
	}
	say("No drill has attacked T1133 yet.", "drill", "results", "T1133")
	say("Nothing.", "drill", "list")
	say("number", "drill", "record", report)
	say("a test", "drill", "list")
	if out := say("T1133", "drill", "show", "1"); strings.Contains(out, "Access-Accept") {
		t.Errorf("what was tried is printed without a row:\n%s", out)
	}
	say("OPEN: Access-Accept", "drill", "show", "1", "T1133")
	say("OPEN: Access-Accept", "drill", "results", "T1133")
	var run coverage.RunReport
	if err := json.Unmarshal([]byte(say("{", "--json", "drill", "show", "1")), &run); err != nil || run.Failed != 1 || len(run.Results) != 1 {
		t.Errorf("%v %+v", err, run)
	}
	for _, wrong := range [][]string{{"drill", "show", "2"}, {"drill", "show", "1", "T0000"}, {"drill", "results", "T0000"}} {
		if out, complaint, ok := sh.Run("", wrong...); ok || !strings.Contains(complaint, "lists them") {
			t.Errorf("%v: %s%s", wrong, out, complaint)
		}
	}
}
