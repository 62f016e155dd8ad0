package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"countersign/internal/admin/coverage"
	words "countersign/internal/text"
)

// drillShow is drill.show, printed as a table of proofs; for one row, with all that was
// tried.
type drillShow struct {
	Command coverage.DrillShow `embed:""`
}

func (s *drillShow) Run(ctx context.Context, conn *connection) error {
	c, err := conn.connect()
	if err != nil {
		return err
	}
	answer, err := c.do(ctx, &s.Command)
	if err != nil {
		return err
	}
	if conn.JSON {
		return c.print(os.Stdout, answer)
	}
	var run coverage.RunReport
	if err := json.Unmarshal(answer, &run); err != nil {
		return err
	}
	return writeRun(os.Stdout, run, s.Command.Row != "")
}

// writeRun writes a run, and everything that was tried if it is asked for.
func writeRun(w io.Writer, run coverage.RunReport, tries bool) error {
	if run.Doubt != "" {
		_, err := fmt.Fprintf(w, "Run %d: %s\n", run.Number, words.Seen(run.Doubt))
		return err
	}
	fmt.Fprintf(w, "Run %d by %s, handed in by %s: %d passed, %d failed.\nIt went on from %s to %s.\n", run.Number, words.Seen(run.Program), words.Seen(run.By),
		run.Passed, run.Failed, run.Began.Local().Format("2006-01-02 15:04:05"), run.Ended.Local().Format("15:04:05"))
	for _, a := range run.Applications {
		for _, l := range a.Left {
			fmt.Fprintf(w, "Not attacked: %s at %s (%s)\n", words.Seen(l.Door), words.Seen(a.Name), words.Seen(l.Why))
		}
	}
	if err := writeProofs(w, run.Results); err != nil || !tries {
		return err
	}
	for _, r := range run.Results {
		writeTries(w, r)
	}
	return nil
}

func writeProofs(w io.Writer, results []coverage.RunResult) error {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nROW\tAPPLICATION\tPASSED\tCONTROL\tBLOCKED\tAUDITED\tHONEST\tFAIL-CLOSED\tDETAIL")
	for _, r := range results {
		fmt.Fprintln(t, strings.Join([]string{r.Row, words.Seen(r.Application), text(r.Held), string(r.Control), string(r.Blocked), string(r.Audited), string(r.Honest), string(r.Closed), words.Seen(r.Detail)}, "\t"))
	}
	return flush(w, t, &b)
}

// writeTries writes what was tried, what came back, and where the logs have it.
func writeTries(w io.Writer, r coverage.RunResult) {
	if r.Application != "" {
		fmt.Fprintf(w, "\nAt %s:\n", words.Seen(r.Application))
	}
	for _, t := range r.Tries {
		came := t.Answer
		switch {
		case t.Error != "":
			came = "could not be tried: " + t.Error
		case t.Open:
			came = "OPEN: " + came
		}
		fmt.Fprintf(w, "  %s: %s -> %s\n", words.Seen(t.Door), words.Seen(t.Sent), words.Seen(came))
	}
	if len(r.Entries) > 0 {
		fmt.Fprintln(w, "  entries of the audit log:", strings.Trim(fmt.Sprint(r.Entries), "[]"))
	}
	for _, line := range r.Log {
		fmt.Fprintln(w, "  its own log:", words.Seen(line))
	}
}
