package attack

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// WriteTable writes the report for a terminal: one line for each row, with the
// first of its gaps, and the totals.
func (r Report) WriteTable(w io.Writer) error {
	lines := [][4]string{{"ROW", "NAME", "STATE", "WHY"}}
	for _, s := range r.Rows {
		id := s.Row.ID
		if !s.Row.Founding {
			id += " +"
		}
		lines = append(lines, [4]string{id, s.Row.Name, string(s.State), s.why()})
	}
	var width [3]int
	for _, l := range lines {
		for i := range width {
			width[i] = max(width[i], utf8.RuneCountInString(l[i]))
		}
	}
	var b strings.Builder
	for _, l := range lines {
		line := ""
		for i := range width {
			line += l[i] + strings.Repeat(" ", width[i]-utf8.RuneCountInString(l[i])+2)
		}
		b.WriteString(strings.TrimRight(line+l[3], " ") + "\n")
	}
	b.WriteString("\n" + r.total("founding rows", true) + "\n" + r.total("all rows", false) + "   (+ added to ATT&CK since)\n")
	for i, k := range r.Keys {
		if i == 0 {
			b.WriteString("\nAutomation keys that open rows:\n")
		}
		b.WriteString(clean(k.line()) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r Report) total(name string, foundingOnly bool) string {
	t, n := r.Tally(foundingOnly), 0
	var parts []string
	for _, s := range States() {
		parts = append(parts, fmt.Sprintf("%d %s", t[s], s))
		n += t[s]
	}
	return fmt.Sprintf("%d %s: %s", n, name, strings.Join(parts, ", "))
}

// why is one line: the first gap and how many more, or the first note.
func (s RowState) why() string {
	switch {
	case len(s.Gaps) > 1:
		return fmt.Sprintf("%s (and %d more)", clean(s.Gaps[0].Sentence), len(s.Gaps)-1)
	case len(s.Gaps) == 1:
		return clean(s.Gaps[0].Sentence)
	case s.State == Proven:
		return "A drill passed on " + day(s.Drilled) + "."
	case len(s.Notes) > 0:
		return clean(s.Notes[0])
	}
	return ""
}

// WriteRow writes everything about one row for a terminal.
func (s RowState) WriteRow(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s\n  %s\n", s.Row.ID, s.Row.Name, s.State, s.Row.Duty)
	if s.Row.Use != "" {
		fmt.Fprintf(&b, "  M1032: %s\n", s.Row.Use)
	}
	fmt.Fprintf(&b, "  About: %s\n", s.Row.Component)
	if len(s.Applications) > 0 {
		fmt.Fprintf(&b, "  Here: %s\n", clean(strings.Join(s.Applications, ", ")))
	}
	for _, g := range s.Gaps {
		fmt.Fprintf(&b, "  - %s\n", clean(g.Sentence))
	}
	for _, n := range s.Notes {
		fmt.Fprintf(&b, "  * %s\n", clean(n))
	}
	if !s.Drilled.IsZero() {
		fmt.Fprintf(&b, "  Drill passed: %s\n", day(s.Drilled))
	}
	if !s.Until.IsZero() {
		fmt.Fprintf(&b, "  Until: %s\n", day(s.Until))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
