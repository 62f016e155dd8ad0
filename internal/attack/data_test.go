package attack

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// What is read from a report's JSON shows the same as the report.
func TestRenderFromJSON(t *testing.T) {
	in := mixed()
	in.People[0].Names, in.People[0].Count = []string{hostile}, 1
	r := NewReport(in)
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	var direct, read bytes.Buffer
	if err := r.WriteHTML(&direct); err != nil {
		t.Fatal(err)
	}
	if err := Render(&read, b, "html"); err != nil || direct.String() != read.String() {
		t.Errorf("the page from JSON is another: %v", err)
	}
	x, _ := r.Layer()
	y, _ := back.Layer()
	if !bytes.Equal(x, y) {
		t.Error("the layer from JSON is another")
	}
	if !reflect.DeepEqual(r.Data(), back.Data()) {
		t.Errorf("%+v\n%+v", r.Data(), back.Data())
	}
	var table bytes.Buffer
	if err := Render(&table, b, "table"); err != nil || !strings.Contains(table.String(), "T1133") {
		t.Error(err)
	}
	table.Reset()
	if err := RenderRow(&table, b, "T1133"); err != nil || !strings.HasPrefix(table.String(), "T1133 ") {
		t.Error(err)
	}
	if Render(io.Discard, b, "pdf") == nil || RenderRow(io.Discard, b, "T0000") == nil {
		t.Error("what there is not was written")
	}
}

// A report with a row left out, twice or in a made-up state is not shown.
func TestReportWithHoles(t *testing.T) {
	d := NewReport(mixed()).Data()
	for name, change := range map[string]func(*Data){
		"a row less":      func(d *Data) { d.Rows = d.Rows[1:] },
		"a row twice":     func(d *Data) { d.Rows[1] = d.Rows[0] },
		"another row":     func(d *Data) { d.Rows[0].ID = "T9999" },
		"another state":   func(d *Data) { d.Rows[0].State = "fine" },
		"nothing of them": func(d *Data) { d.Rows = nil },
	} {
		bad := d
		bad.Rows = append([]RowData(nil), d.Rows...)
		change(&bad)
		b, err := json.Marshal(bad)
		if err != nil {
			t.Fatal(err)
		}
		if Render(io.Discard, b, "table") == nil {
			t.Errorf("%s: it was shown", name)
		}
	}
}

func TestListed(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e", "f"}
	for want, got := range map[string]string{"a": Listed(names[:1], 1), "a, b": Listed(names[:2], 2), "a, b, c, d, e and 35 more": Listed(names, 40), "a and 1 more": Listed(names[:1], 2)} {
		if got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

func keys(t testing.TB, name string) (note.Signer, note.Verifier) {
	t.Helper()
	private, public, err := note.GenerateKey(nil, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	return s, v
}

func drilled() DrillReport {
	return DrillReport{Began: now.Add(-time.Hour), Ended: now, By: "test", Results: []DrillResult{
		{Row: "T1133", Application: "vpn", Time: now, Blocked: Held, Audited: Held, Honest: Held, Control: NotRun, Closed: NotRun}}}
}

// A result passes only if all three proofs were given and nothing that was tried
// failed.
func TestPassed(t *testing.T) {
	for _, blocked := range []Proof{Held, Failed, NotRun, ""} {
		for _, honest := range []Proof{Held, Failed, NotRun} {
			for _, closed := range []Proof{Held, Failed, NotRun} {
				d := drilled().Results[0]
				d.Blocked, d.Honest, d.Closed = blocked, honest, closed
				if got := d.Passed(); got != (blocked == Held && honest == Held && closed != Failed) {
					t.Errorf("%q %q %q: %v", blocked, honest, closed, got)
				}
			}
		}
	}
	if (DrillResult{}).Passed() {
		t.Error("nothing passed")
	}
}

func TestDrillReport(t *testing.T) {
	s, v := keys(t, "example.org/log")
	signed, err := drilled().Sign(s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := OpenDrillReport(signed, v)
	if err != nil || len(got.Results) != 1 || !got.Results[0].Passed() || !got.Ended.Equal(now) {
		t.Fatalf("%+v %v", got, err)
	}
	_, stranger := keys(t, "example.org/log")
	if _, err := OpenDrillReport(signed, stranger); err == nil {
		t.Error("another key's signature was believed")
	}
	for i := range signed[:strings.LastIndex(signed, "\u2014")] {
		changed := []byte(signed)
		changed[i] ^= 1
		if _, err := OpenDrillReport(string(changed), v); err == nil {
			t.Fatalf("with byte %d changed it was believed", i)
		}
	}
	other, err := note.Sign(&note.Note{Text: "example.org/log\n7\nAAAA\n"}, s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDrillReport(string(other), v); err == nil {
		t.Error("something else that was signed is a report")
	}
	body, err := json.Marshal(drilled())
	if err != nil {
		t.Fatal(err)
	}
	if other, err = note.Sign(&note.Note{Text: "some other head\n" + string(body) + "\n"}, s); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDrillReport(string(other), v); err == nil {
		t.Error("a report's body under another head is a report")
	}
	for name, change := range map[string]func(*DrillReport){
		"no results":          func(r *DrillReport) { r.Results = nil },
		"no beginning":        func(r *DrillReport) { r.Began = time.Time{} },
		"a run of years":      func(r *DrillReport) { r.Began = now.AddDate(-1, 0, 0) },
		"an unknown row":      func(r *DrillReport) { r.Results[0].Row = "T0000" },
		"a result from later": func(r *DrillReport) { r.Results[0].Time = now.Add(time.Second) },
		"an unknown proof":    func(r *DrillReport) { r.Results[0].Closed = "surely" },
		"an empty proof":      func(r *DrillReport) { r.Results[0].Control = "" },
		"a long detail":       func(r *DrillReport) { r.Results[0].Detail = strings.Repeat("x", maxSentence+1) },
	} {
		r := drilled()
		change(&r)
		if _, err := r.Sign(s); err == nil {
			t.Errorf("%s: it was signed", name)
		}
		b, _ := json.Marshal(r)
		forced, err := note.Sign(&note.Note{Text: drillHead + "\n" + string(b) + "\n"}, s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := OpenDrillReport(string(forced), v); err == nil {
			t.Errorf("%s: it was believed", name)
		}
	}
}

// Whatever is signed, what is read keeps to the rules of a report.
func FuzzDrillReport(f *testing.F) {
	s, v := keys(f, "example.org/log")
	b, _ := json.Marshal(drilled())
	f.Add(drillHead + "\n" + string(b) + "\n")
	f.Add("{}")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := OpenDrillReport(text, v); err == nil {
			t.Fatal("it is believed without a signature")
		}
		signed, err := note.Sign(&note.Note{Text: text}, s)
		if err != nil {
			return
		}
		r, err := OpenDrillReport(string(signed), v)
		if err == nil && r.check() != nil {
			t.Fatalf("%+v", r)
		}
	})
}

func FuzzRender(f *testing.F) {
	b, _ := json.Marshal(NewReport(mixed()))
	f.Add(b)
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		for _, format := range Formats() {
			_ = Render(io.Discard, answer, format)
		}
	})
}

// A report that is shortened loses no result and no door, and keeps the first of each.
func TestShortened(t *testing.T) {
	r := drilled()
	d := &r.Results[0]
	d.Entries, d.Log = []int64{1, 2, 3}, []string{"a", "b", "c"}
	d.Tries = []DrillTry{{Door: "one", Sent: "open", Open: true}, {Door: "one", Sent: "second"}, {Door: "one", Sent: "third"}, {Door: "two", Sent: "first"}, {Door: "two", Sent: "second"}}
	s := r.Shortened(1)
	if got := s.Results[0]; len(got.Tries) != 2 || !got.Tries[0].Open || got.Tries[1].Sent != "first" || !slices.Equal(got.Doors(), d.Doors()) || !slices.Equal(got.Entries, []int64{1}) || !slices.Equal(got.Log, []string{"a"}) || got.Passed() != d.Passed() {
		t.Errorf("%+v", got)
	}
	if len(d.Tries) != 5 || len(d.Entries) != 3 || d.Tries[4].Sent != "second" {
		t.Errorf("what was shortened is changed: %+v", d)
	}
	if got := r.Shortened(0).Results[0]; len(got.Tries) != 2 || got.Tries[0].Sent != "open" || got.Tries[1] != (DrillTry{Door: "two"}) || len(got.Entries)+len(got.Log) > 0 || !slices.Equal(got.Doors(), d.Doors()) {
		t.Errorf("%+v", got)
	}
	if got := r.Shortened(10).Results[0]; len(got.Tries) != 5 || len(got.Log) != 3 {
		t.Errorf("%+v", got)
	}
}
