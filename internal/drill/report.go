package drill

import (
	"fmt"
	"io"
	"strings"
	"time"

	"countersign/internal/attack"
)

var proofWords = map[State]attack.Proof{NotTried: attack.NotRun, Passed: attack.Held, Failed: attack.Failed}

// Report is what the results come to in a signed report. Rows that were skipped are not in it.
func Report(results []Result) []attack.DrillResult {
	var out []attack.DrillResult
	for _, r := range results {
		if r.Skipped != "" {
			continue
		}
		detail := r.Blocked.Detail
		if len(detail) > 1000 {
			detail = detail[:1000]
		}
		out = append(out, attack.DrillResult{Row: r.Row, Time: r.Time.Add(time.Second), Blocked: proofWords[r.Blocked.State], Audited: proofWords[r.Audited.State],
			Honest: proofWords[r.Honest.State], Control: proofWords[r.Control.State], Closed: proofWords[r.Closed.State], Detail: strings.ToValidUTF8(detail, "")})
	}
	return out
}

var marks = map[State]string{Passed: "yes", Failed: "NO", NotTried: "-"}

// Table prints a line a row, and what opened or failed under it.
func Table(w io.Writer, results []Result) error {
	fmt.Fprintf(w, "%-10s  %-34s %-8s %-8s %-8s %-7s %s\n", "ROW", "", "CONTROL", "BLOCKED", "AUDITED", "HONEST", "FAIL-CLOSED")
	skipped := map[string][]string{}
	for _, r := range results {
		if r.Skipped != "" {
			skipped[r.Skipped] = append(skipped[r.Skipped], r.Row)
			continue
		}
		name := r.Name
		if len(name) > 33 {
			name = name[:32] + "…"
		}
		fmt.Fprintf(w, "%-10s  %-34s %-8s %-8s %-8s %-7s %s\n", r.Row, name, marks[r.Control.State], marks[r.Blocked.State], marks[r.Audited.State], marks[r.Honest.State], marks[r.Closed.State])
		for _, p := range r.Proofs() {
			if p.State == Failed {
				fmt.Fprintf(w, "            %s: %s\n", p.Name, p.Detail)
			}
		}
	}
	for why, rows := range skipped {
		if _, err := fmt.Fprintf(w, "\nOpen, because %s:\n  %s\n", why, strings.Join(rows, " ")); err != nil {
			return err
		}
	}
	return nil
}
