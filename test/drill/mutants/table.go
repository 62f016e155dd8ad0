package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// page is where the table is, and the markers are around it.
const (
	page  = "docs/drill.md"
	start = "<!-- the table of guards, by make drill-mutants -->\n"
	end   = "<!-- the end of the table of guards -->\n"
)

// line is one line of the table.
type line struct{ guard, file, rows, where, why string }

func (l line) String() string {
	return fmt.Sprintf("| %s | `%s` | %s | %s | %s |\n", l.guard, l.file, l.rows, l.where, l.why)
}

// writeTable writes the table anew. A guard that was not played keeps what its line said.
func writeTable(root string, outcomes []outcome) error {
	name := filepath.Join(root, page)
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(b), start)
	old, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("%s has no table: it stands between the lines %q and %q", page, strings.TrimSpace(start), strings.TrimSpace(end))
	}
	lines := merged(mutants(), outcomes, parse(old))
	var s strings.Builder
	s.WriteString("| without this guard | in | these rows fail | at | the first says |\n| --- | --- | --- | --- | --- |\n")
	for _, l := range lines {
		s.WriteString(l.String())
	}
	return os.WriteFile(name, []byte(before+start+s.String()+end+after), 0o644)
}

// merged are the lines of all mutants, sorted, with what was found now or before.
func merged(all []mutant, outcomes []outcome, old []line) []line {
	var lines []line
	for _, m := range all {
		l := line{guard: m.Guard, file: m.File, rows: strings.Join(m.rows(), " "), where: "-", why: "-"}
		if i := slices.IndexFunc(old, func(o line) bool { return o.guard == l.guard && o.rows == l.rows }); i >= 0 {
			l.where, l.why = old[i].where, old[i].why
		}
		if i := slices.IndexFunc(outcomes, func(o outcome) bool { return o.Guard == m.Guard }); i >= 0 {
			l.where, l.why = outcomes[i].words()
		}
		lines = append(lines, l)
	}
	slices.SortFunc(lines, func(a, b line) int { return cmp.Or(cmp.Compare(a.guard, b.guard), cmp.Compare(a.file, b.file)) })
	return lines
}

// parse reads the lines of a table.
func parse(table string) []line {
	var lines []line
	for text := range strings.Lines(table) {
		f := strings.Split(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(text), "| "), " |"), " | ")
		if len(f) != 5 || f[0] == "---" || f[2] == "these rows fail" {
			continue
		}
		lines = append(lines, line{f[0], strings.Trim(f[1], "`"), f[2], f[3], f[4]})
	}
	return lines
}

// words says where the rows fell, and how the first did.
func (o outcome) words() (where, why string) {
	if o.Wrong != "" {
		return "-", "NOT AS IT SHOULD BE: " + plain(o.Wrong)
	}
	var at []string
	for _, f := range o.Fell {
		if !slices.Contains(at, f.Application) {
			at = append(at, f.Application)
		}
	}
	slices.Sort(at)
	return cmp.Or(strings.Join(at, ", "), "-"), plain(o.Fell[0].Why)
}

// passing is what is another in each run, and says nothing.
var passing = regexp.MustCompile(`canary-[a-z0-9]+|(?:localhost|127\.0\.0\.\d+|\.test):\d+`)

// plain is a text as a cell of a table: short, and the same in each run.
func plain(s string) string {
	s = passing.ReplaceAllStringFunc(s, func(found string) string {
		if strings.HasPrefix(found, "canary-") {
			return "the canary"
		}
		host, _, _ := strings.Cut(found, ":")
		return host
	})
	s = strings.NewReplacer("|", "/", "<", "&lt;", "\n", " ").Replace(s)
	if r := []rune(s); len(r) > 140 {
		s = string(r[:139]) + "…"
	}
	return s
}
