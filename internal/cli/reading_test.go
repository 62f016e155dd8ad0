package cli

import (
	"strings"
	"testing"

	policies "countersign/internal/admin/policy"
	"countersign/internal/prompt"
)

// hostile is what another server, or a person in a text of theirs, would move a terminal with.
const hostile = "a\u202eb\x1b[2Jc"

// The promise: a terminal shows all that is approved, each thing with what it is until then, and
// no text of it moves the terminal or stays unseen.
func TestSayReading(t *testing.T) {
	for name, c := range map[string]struct {
		reading *prompt.Reading
		want    string
	}{
		"a server of before": {nil, "  exact\n\n"},
		"set anew":           {&prompt.Reading{Title: "It does.", Text: "to it", Fields: []prompt.Field{{Name: "Name", After: "ada"}}}, "  It does.\n  to it\n    Name: ada\n\n"},
		"compared": {&prompt.Reading{Title: "It does.", Fields: []prompt.Field{{Name: "A", Before: "1", After: "2"}, {Name: "B", Before: "1"}, {Name: "C", Before: "1", After: "1"}, {Name: "D", After: "4"}}},
			"  It does.\n    A now: 1\n    A afterwards: 2\n    B now: 1\n    B afterwards: nothing\n    C stays: 1\n    D: 4\n\n"},
		"lines": {&prompt.Reading{Title: "It does.", Fields: []prompt.Field{{Name: "Lines", After: "one\n    Name now: forged"}}}, "  It does.\n    Lines:\n      | one\n      |     Name now: forged\n\n"},
	} {
		var b strings.Builder
		sayReading(&b, "exact", c.reading)
		if got := b.String(); got != "This needs your approval:\n\n"+c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
	for _, r := range []*prompt.Reading{nil, {Title: hostile, Text: hostile, Fields: []prompt.Field{{Name: hostile, Before: hostile, After: hostile + "\n" + hostile}, {Name: hostile, After: hostile}}}} {
		var b strings.Builder
		if sayReading(&b, hostile, r); strings.ContainsAny(b.String(), "\u202e\x1b") {
			t.Errorf("it moves a terminal: %q", b.String())
		}
	}
}

// A policy is printed so that it is read again as it was, with remarks that move no terminal and
// add no rule.
func TestWritePolicy(t *testing.T) {
	var b strings.Builder
	d := policies.Document{Version: 3, Author: hostile + "\nrules: []", Body: "rules:\n  - name: all # " + hostile + "\n\n", Gone: []string{hostile + "\nrules: []"}, Lacks: []policies.Rule{{Text: "- name: x\n  " + hostile + "\n"}}}
	if err := writePolicy(&b, d); err != nil {
		t.Fatal(err)
	}
	remarks, body, _ := strings.Cut(b.String(), "\n\n")
	for line := range strings.Lines(remarks) {
		if !strings.HasPrefix(line, "#") {
			t.Errorf("a remark is a rule: %q", line)
		}
	}
	if strings.ContainsAny(b.String(), "\u202e\x1b") || !strings.HasPrefix(body, "rules:\n  - name: all") {
		t.Errorf("%q", b.String())
	}
}

// Nothing in a page of the manual is an instruction that the grammar did not write.
func TestRoff(t *testing.T) {
	for in, want := range map[string]string{".so /etc/passwd": `\&.so /etc/passwd`, "'br": `\&'br`, `a\fBb`: `a\efBb`, "a\n.so x": "a .so x", `--flag="x"`: `\-\-flag=\(dqx\(dq`} {
		if got := roff(in); got != want {
			t.Errorf("%q is %q, not %q", in, got, want)
		}
	}
}
