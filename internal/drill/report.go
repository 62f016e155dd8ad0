package drill

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"countersign/internal/attack"
)

var proofWords = map[State]attack.Proof{NotTried: attack.NotRun, Passed: attack.Held, Failed: attack.Failed}

// Report is what the results come to in a signed report. Rows that were skipped, or that
// attacked nothing, are not in it.
func Report(results []Result) []attack.DrillResult {
	var out []attack.DrillResult
	for _, r := range results {
		if r.Skipped != "" || r.Application == "" {
			continue
		}
		out = append(out, attack.DrillResult{Row: r.Row, Application: r.Application, Time: r.Time.Add(time.Second), Blocked: proofWords[r.Blocked.State], Audited: proofWords[r.Audited.State],
			Honest: proofWords[r.Honest.State], Control: proofWords[r.Control.State], Closed: proofWords[r.Closed.State], Detail: r.said(),
			Tries: r.tries(), Entries: r.Entries, Log: each(r.Log, short)})
	}
	return out
}

// said is what failed, and else what came of the attack.
func (r Result) said() string {
	var words []string
	for _, p := range r.Proofs() {
		if p.State == Failed {
			words = append(words, p.Name+": "+p.Detail)
		}
	}
	if len(words) == 0 {
		words = append(words, r.Blocked.Detail)
	}
	return short(strings.Join(words, "; "))
}

// tries are what was tried. Those that got through, or could not be tried, come first.
func (r Result) tries() []attack.DrillTry {
	told := slices.Clone(r.Tries)
	slices.SortStableFunc(told, func(a, b Try) int { return b.weight() - a.weight() })
	return each(told, func(t Try) attack.DrillTry {
		return attack.DrillTry{Door: t.Component, Sent: clip(t.Name, 300), Answer: clip(cmp.Or(t.Answer, t.Detail), 300), Open: t.Open, Error: clip(t.Error, 300)}
	})
}

func (t Try) weight() int {
	switch {
	case t.Open:
		return 2
	case t.Error != "":
		return 1
	}
	return 0
}

func each[A, B any](all []A, f func(A) B) []B {
	var out []B
	for _, a := range all {
		out = append(out, f(a))
	}
	return out
}

func short(s string) string { return clip(s, 1000) }

// clip shortens a text to so many bytes.
func clip(s string, most int) string {
	return strings.ToValidUTF8(s[:min(len(s), most)], "")
}

var marks = map[State]string{Passed: "yes", Failed: "NO", NotTried: "-"}

// Table prints a line for each row and application, and what opened or failed under it.
func Table(w io.Writer, results []Result) error {
	fmt.Fprintf(w, "%-10s %-28s %-16s %-8s %-8s %-8s %-7s %s\n", "ROW", "", "APPLICATION", "CONTROL", "BLOCKED", "AUDITED", "HONEST", "FAIL-CLOSED")
	skipped := map[string][]string{}
	last := ""
	for _, r := range results {
		if r.Skipped != "" {
			skipped[r.Skipped] = append(skipped[r.Skipped], r.Row)
			continue
		}
		row, name := r.Row, r.Name
		if row == last {
			row, name = "", ""
		}
		last = r.Row
		fmt.Fprintf(w, "%-10s %-28s %-16s %-8s %-8s %-8s %-7s %s\n", row, fit(name, 28), fit(cmp.Or(r.Application, "-"), 16), marks[r.Control.State], marks[r.Blocked.State], marks[r.Audited.State], marks[r.Honest.State], marks[r.Closed.State])
		for _, p := range r.Proofs() {
			if p.State == Failed {
				fmt.Fprintf(w, "%11s%s: %s\n", "", p.Name, p.Detail)
			}
		}
	}
	for _, why := range slices.Sorted(maps.Keys(skipped)) {
		if _, err := fmt.Fprintf(w, "\nOpen, because %s:\n  %s\n", why, strings.Join(skipped[why], " ")); err != nil {
			return err
		}
	}
	return nil
}

// fit shortens a name to a column of the table.
func fit(name string, width int) string {
	if r := []rune(name); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return name
}
