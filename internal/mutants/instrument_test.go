package main

import (
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const guarded = `package room

func open(who string, n int) (bool, string) {
	if who == "" || !(n > 3 && n < 9) {
		return false, "nobody"
	}
	switch who {
	case "ada", "bob":
		return n != 5, "known"
	case "eve":
		if n == 4 {
			return false, "eve"
		}
	}
	switch {
	case n == 7:
		return true, "seven"
	}
	return false, "stranger"
}
`

const itsTests = `package room

import "testing"

func TestOpen(t *testing.T) {
	for _, c := range []struct {
		who  string
		n    int
		ok   bool
		word string
	}{{"", 4, false, "nobody"}, {"ada", 3, false, "nobody"}, {"ada", 9, false, "nobody"}, {"ada", 4, true, "known"}, {"ada", 5, false, "known"}, {"bob", 4, true, "known"}, {"carl", 7, true, "seven"}, {"carl", 8, false, "stranger"}, {"eve", 7, true, "seven"}, {"eve", 4, false, "eve"}, {"carl", 4, false, "stranger"}} {
		if ok, word := open(c.who, c.n); ok != c.ok || word != c.word {
			t.Errorf("%v: %t %s", c, ok, word)
		}
	}
}
`

// room makes a module with one room.
func room(t *testing.T, tests string) options {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "internal", "room")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{filepath.Join(root, "go.mod"): "module countersign\n\ngo 1.25\n", filepath.Join(dir, "room.go"): guarded, filepath.Join(dir, "room_test.go"): tests} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return options{root: root}
}

// Every condition is found and can be inverted by itself; with nothing chosen the room
// is as it was.
func TestEveryConditionIsInverted(t *testing.T) {
	o := room(t, itsTests)
	p, err := instrument(o.root, "room", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, c := range p.conditions {
		found = append(found, c.text)
	}
	if got, want := strings.Join(found, "; "), `who == ""; n > 3; n < 9; "ada"; "bob"; n != 5; "eve"; n == 4; n == 7`; got != want {
		t.Errorf("found %s\nwant  %s", got, want)
	}
	if c := p.conditions[0]; c.key() != `internal/room/room.go: open: who == ""` || c.line != 4 {
		t.Errorf("%+v", c)
	}
	program, err := os.ReadFile(filepath.Join(filepath.Dir(p.overlay), "room.go"))
	if err != nil || strings.Count(string(program), "\n") != strings.Count(guarded, "\n") {
		t.Errorf("the lines moved: %v\n%s", err, program)
	}
}

// What excuses one condition excuses no other, not even one that reads the same.
func TestEqualConditionsAreToldApart(t *testing.T) {
	w := &wrapper{set: token.NewFileSet(), name: "a.go", next: 1, text: []byte(`package room

func first(n int, err error) bool {
	switch {
	case n == 1 && err != nil:
		return n == 1 || err == nil
	case n == 2:
		return false
	case n == 1:
		return true
	}
	return err != nil
}

func second(n int) bool { return n == 1 }
`)}
	if _, err := w.wrap(); err != nil {
		t.Fatal(err)
	}
	var keys []string
	var fates []fate
	for _, c := range w.found {
		keys, fates = append(keys, c.key()), append(fates, fate{condition: c})
	}
	if got, want := strings.Join(keys, "\n"), `a.go: first: n == 1
a.go: first: err != nil
a.go: first: n == 1 #2
a.go: first: err == nil
a.go: first: n == 2
a.go: first: n == 1 #3
a.go: first: err != nil #2
a.go: second: n == 1`; got != want {
		t.Errorf("found %s\nwant  %s", got, want)
	}
	for range 100 {
		fates = append(fates, fate{by: "TestIt"})
	}
	why := map[string]string{}
	for _, key := range keys {
		if report("room", fates, why) {
			t.Errorf("good enough before %s has a reason", key)
		}
		why[key] = "a reason"
	}
	if !report("room", fates, why) {
		t.Error("each has a reason, and it is not good enough")
	}
}

// A line whose condition is gone excuses nothing, and is said before anything is run.
func TestReasonsThatAreAboutNothing(t *testing.T) {
	o := room(t, itsTests)
	p, err := instrument(o.root, "room", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]string{}
	for key, gone := range map[string]bool{
		`internal/room/room.go: open: n == 4`: false, `internal/room/room.go: open: n == 4 #2`: true, `internal/room/room.go: shut: n == 4`: true, `internal/room/gone.go: open: n == 4`: true,
		`internal/room/inner/room.go: open: n == 9`: false, `internal/another/room.go: open: n == 9`: false,
	} {
		reasons[key] = "a reason"
		if got := stale("room", p.conditions, map[string]string{key: "a reason"}); (len(got) == 1 && got[0] == key) != gone || !gone && len(got) > 0 {
			t.Errorf("%s: %q", key, got)
		}
	}
	if good, err := examine(t.Context(), o, "room", reasons); good || err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("%t, %v", good, err)
	}
}

// Who is noticed, who survives, and what that is worth.
func TestWhoSurvives(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		tests string
		good  bool
	}{
		"all noticed":          {tests: itsTests, good: true},
		"a test that looks on": {tests: "package room\n\nimport \"testing\"\n\nfunc TestOpen(t *testing.T) { open(\"ada\", 4) }\n"},
	} {
		o := room(t, c.tests)
		o.atOnce, o.timeout = 2, 1<<36
		o.files = anything
		good, err := examine(t.Context(), o, "room", nil)
		if err != nil || good != c.good {
			t.Errorf("%s: %t, %v", name, good, err)
		}
	}
}

// Nine of ten are enough, and each of the rest needs a reason.
func TestWhatIsGoodEnough(t *testing.T) {
	fates := func(noticed, survived int) (out []fate) {
		for range noticed {
			out = append(out, fate{by: "TestIt"})
		}
		for range survived {
			out = append(out, fate{condition: condition{file: "a.go", function: "f", text: "x"}})
		}
		return out
	}
	why := map[string]string{"a.go: f: x": "it only saves time"}
	for _, c := range []struct {
		noticed, survived int
		why               map[string]string
		good              bool
	}{{10, 0, nil, true}, {9, 1, why, true}, {9, 1, nil, false}, {8, 2, why, false}, {0, 0, nil, true}} {
		if got := report("room", fates(c.noticed, c.survived), c.why); got != c.good {
			t.Errorf("%+v: %t", c, got)
		}
	}
	name := filepath.Join(t.TempDir(), "accepted")
	for text, good := range map[string]bool{"# a note\n\na.go: f: x -- it only saves time\n": true, "a.go: f: x\n": false, "a.go: f: x -- \n": false} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readReasons(name); (err == nil) != good || good && got["a.go: f: x"] != "it only saves time" {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
