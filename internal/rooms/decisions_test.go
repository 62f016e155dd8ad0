package rooms_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestDecisions compares the decision records with their index.
func TestDecisions(t *testing.T) {
	folder := path.Join(root, "docs", "decisions")
	records := map[string]string{}
	names, err := fs.Glob(os.DirFS(folder), "*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(path.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		records[name] = string(text)
	}
	if len(records) < 10 {
		t.Fatalf("only %d records: the test has lost its way", len(records))
	}
	for _, wrong := range wrongRecords(records) {
		t.Error(wrong)
	}
}

const index = "README.md"

var (
	recordName = regexp.MustCompile(`^(\d{4})-[a-z0-9-]+\.md$`)
	recordHead = regexp.MustCompile(`^# (\d{4}): (.+)\n\n- Date: (\d{4}-\d\d-\d\d)\n- Status: (.+)\n\n[^\s]`)
	statusForm = regexp.MustCompile(`^(proposed|accepted|rejected|(?:accepted, in part )?superseded by \[(\d{4})\]\(([^)]+)\))(?: \(.+\))?$`)
	indexLine  = regexp.MustCompile(`(?m)^\| \[(\d{4})\]\(([^)]+)\) \| (.+) \| (.+) \| (.+) \|$`)
	gapsLine   = regexp.MustCompile(`(?m)^Numbers that are not used: ([^.]+)\.`)
)

// wrongRecords says what is wrong with the files of docs/decisions: a record
// without number, date or status, a successor that does not exist, a line of
// the index that is missing or says otherwise, and a number without either.
func wrongRecords(files map[string]string) []string {
	var wrong []string
	lines := map[string]string{}
	for _, m := range indexLine.FindAllStringSubmatch(files[index], -1) {
		if lines[m[2]] != "" {
			wrong = append(wrong, fmt.Sprintf("%s: two lines for %s", index, m[2]))
		}
		lines[m[2]] = m[0]
	}
	used := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name == index {
			continue
		}
		line, err := lineOf(name, files)
		if number := recordName.FindStringSubmatch(name); number != nil {
			if used[number[1]] {
				wrong = append(wrong, name+": its number is taken")
			}
			used[number[1]] = true
		}
		switch {
		case err != nil:
			wrong = append(wrong, fmt.Sprintf("%s: %v", name, err))
		case lines[name] != line:
			wrong = append(wrong, fmt.Sprintf("%s: wants the line\n%s\nand has\n%s", index, line, lines[name]))
		}
		delete(lines, name)
	}
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		wrong = append(wrong, fmt.Sprintf("%s: there is no record %s", index, name))
	}
	return append(wrong, wrongNumbers(used, files[index])...)
}

// lineOf returns the line that the index must have for a record.
func lineOf(name string, files map[string]string) (string, error) {
	number := recordName.FindStringSubmatch(name)
	if number == nil {
		return "", fmt.Errorf("the name is not NNNN-words.md")
	}
	head := recordHead.FindStringSubmatch(files[name])
	if head == nil || head[1] != number[1] {
		return "", fmt.Errorf("does not begin with \"# %s: TITLE\", a blank line, \"- Date: YYYY-MM-DD\", \"- Status: ...\" and a blank line", number[1])
	}
	if _, err := time.Parse(time.DateOnly, head[3]); err != nil {
		return "", err
	}
	status := statusForm.FindStringSubmatch(head[4])
	if status == nil {
		return "", fmt.Errorf("unknown status %q", head[4])
	}
	if successor := status[3]; successor != "" && (files[successor] == "" || successor == name || !strings.HasPrefix(successor, status[2]+"-")) {
		return "", fmt.Errorf("superseded by %s, which is not another record", successor)
	}
	return fmt.Sprintf("| [%s](%s) | %s | %s | %s |", number[1], name, head[2], head[3], status[1]), nil
}

// wrongNumbers compares the numbers that no record has with what the index
// says of them.
func wrongNumbers(used map[string]bool, page string) []string {
	if len(used) == 0 {
		return nil
	}
	var gaps []string
	for n, last := 1, slices.Max(slices.Collect(maps.Keys(used))); fmt.Sprintf("%04d", n) < last; n++ {
		if number := fmt.Sprintf("%04d", n); !used[number] {
			gaps = append(gaps, number)
		}
	}
	var said string
	if m := gapsLine.FindStringSubmatch(page); m != nil {
		said = m[1]
	}
	if want := strings.Join(gaps, " and "); said != want {
		return []string{fmt.Sprintf("%s: says that %q are not used; it is %q", index, said, want)}
	}
	return nil
}

// TestWrongRecords shows what TestDecisions finds.
func TestWrongRecords(t *testing.T) {
	well := map[string]string{
		"0001-a.md": "# 0001: A\n\n- Date: 2026-01-02\n- Status: superseded by [0003](0003-c.md)\n\nText.\n",
		"0003-c.md": "# 0003: C\n\n- Date: 2026-01-03\n- Status: accepted, in part superseded by [0004](0004-d.md) (its end)\n\nText.\n",
		"0004-d.md": "# 0004: D\n\n- Date: 2026-01-04\n- Status: accepted\n\nText.\n",
		index: "# Records\n\n| record | title | date | status |\n| --- | --- | --- | --- |\n" +
			"| [0001](0001-a.md) | A | 2026-01-02 | superseded by [0003](0003-c.md) |\n" +
			"| [0003](0003-c.md) | C | 2026-01-03 | accepted, in part superseded by [0004](0004-d.md) |\n" +
			"| [0004](0004-d.md) | D | 2026-01-04 | accepted |\n" +
			"\nNumbers that are not used: 0002. Nobody needed it.\n",
	}
	if wrong := wrongRecords(well); len(wrong) > 0 {
		t.Fatalf("these are well: %q", wrong)
	}
	tests := []struct{ why, file, old, new string }{
		{"no date", "0004-d.md", "- Date: 2026-01-04\n", ""},
		{"no day of the calendar", "0004-d.md", "2026-01-04", "2026-02-30"},
		{"no status", "0004-d.md", "- Status: accepted\n", ""},
		{"an unknown status", "0004-d.md", "accepted", "agreed"},
		{"a status with more behind it", "0004-d.md", "accepted", "accepted by all"},
		{"another number inside", "0004-d.md", "# 0004", "# 0005"},
		{"no number", "0004-d.md", "# 0004: D", "# D"},
		{"a successor that is not there", "0001-a.md", "[0003](0003-c.md)", "[0002](0002-b.md)"},
		{"a successor under another number", "0001-a.md", "[0003](0003-c.md)", "[0004](0003-c.md)"},
		{"its own successor", "0001-a.md", "[0003](0003-c.md)", "[0001](0001-a.md)"},
		{"no line", index, "| [0004](0004-d.md) | D | 2026-01-04 | accepted |\n", ""},
		{"two lines", index, "| [0004](", "| [0004](0004-d.md) | D | 2026-01-04 | accepted |\n| [0004]("},
		{"another title", index, "| D |", "| E |"},
		{"another date", index, "2026-01-04", "2026-01-05"},
		{"another status", index, "| accepted |", "| rejected |"},
		{"a line without a record", index, "\nNumbers", "| [0005](0005-e.md) | E | 2026-01-05 | accepted |\n\nNumbers"},
		{"a gap that nobody names", index, "\nNumbers that are not used: 0002. Nobody needed it.\n", ""},
		{"a gap that is none", index, "0002.", "0002 and 0004."},
	}
	for _, test := range tests {
		files := maps.Clone(well)
		files[test.file] = strings.Replace(files[test.file], test.old, test.new, 1)
		if files[test.file] == well[test.file] {
			t.Fatalf("%s: the test changes nothing", test.why)
		}
		if len(wrongRecords(files)) == 0 {
			t.Errorf("%s: nothing was found", test.why)
		}
	}
	files := maps.Clone(well)
	files["draft.md"] = "# Draft\n"
	if len(wrongRecords(files)) == 0 {
		t.Error("a name without a number: nothing was found")
	}
}
