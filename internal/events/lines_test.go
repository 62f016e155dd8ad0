package events

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign/internal/audit"
)

// The promise: the lines are the entries of an export, byte for byte, across a rename and a
// line that was torn; so an auditor compares them with cmp.
func TestLinesAreThoseOfAnExport(t *testing.T) {
	r := newRig(t, filepath.Join(t.TempDir(), "test.db"))
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	d := r.delivery(Destination{Name: "file", FromBeginning: true, Receiver: &Lines{File: file}})
	r.write("test.a", "test.b")
	r.steps(d)
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	r.write("test.c")
	r.steps(d)
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"seq":9,"ent`) //nolint:errcheck // a test
	f.Close()
	r.write("test.d")
	r.steps(d)
	var got []string
	for _, line := range append(lines(t, file+".1"), lines(t, file)...) {
		if json.Valid([]byte(line)) {
			got = append(got, line)
		}
	}
	var export bytes.Buffer
	x, err := audit.NewWriter(&export, "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.db.AuditLog().EachEntry(t.Context(), 0, x.Write); err != nil {
		t.Fatal(err)
	}
	exported := strings.Split(strings.TrimSpace(export.String()), "\n")[1:]
	if len(exported) != len(got) {
		t.Fatalf("%d lines of %d entries", len(got), len(exported))
	}
	for i, line := range exported {
		var e struct {
			Seq   json.RawMessage `json:"seq"`
			Entry json.RawMessage `json:"entry"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if want := `{"seq":` + string(e.Seq) + `,"entry":` + string(e.Entry) + `}`; got[i] != want {
			t.Errorf("line %d\n%s\n%s", i, got[i], want)
		}
	}
	if at, err := os.Stat(file); err != nil || at.Mode().Perm() != 0o600 {
		t.Errorf("others may read it: %v %v", at.Mode(), err)
	}
	var out bytes.Buffer
	if _, err := (&Lines{File: StandardOutput, Out: &out}).Take(t.Context(), one); err != nil || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("%q %v", out.String(), err)
	}
	if _, err := (&Lines{File: t.TempDir()}).Take(t.Context(), one); err == nil {
		t.Error("a folder is written")
	}
}
