package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"countersign/internal/admin"
	"countersign/internal/admin/coverage"
	"countersign/internal/attack"
	words "countersign/internal/text"
)

// drillShow is drill.show, printed as a table of proofs; for one row, with all that was
// tried.
type drillShow struct {
	Command coverage.DrillShow `embed:""`
}

func (s *drillShow) Run(ctx context.Context, conn *connection) error {
	return written(ctx, conn, &s.Command, func(run coverage.RunReport) error { return writeRun(os.Stdout, run, s.Command.Row != "") })
}

// drillResults is drill.results, printed as a table of proofs and all that was tried.
type drillResults struct {
	Command coverage.DrillResults `embed:""`
}

func (s *drillResults) Run(ctx context.Context, conn *connection) error {
	return written(ctx, conn, &s.Command, func(all []coverage.RowResult) error { return writeRow(os.Stdout, s.Command.Row, all) })
}

// written does a command and writes its answer, or prints it as it is where JSON is wanted.
func written[T any](ctx context.Context, conn *connection, command admin.Command, write func(T) error) error {
	c, err := conn.connect()
	if err != nil {
		return err
	}
	answer, err := c.do(ctx, command)
	if err != nil {
		return err
	}
	if conn.JSON {
		return c.print(os.Stdout, answer)
	}
	var of T
	if err := json.Unmarshal(answer, &of); err != nil {
		return err
	}
	return write(of)
}

// writeRow writes the newest results of a row.
func writeRow(w io.Writer, row string, results []coverage.RowResult) error {
	if len(results) == 0 {
		_, err := fmt.Fprintf(w, "No drill has attacked %s yet.\n", words.Seen(row))
		return err
	}
	var all []coverage.RunResult
	for _, r := range results {
		where := r.Application
		if where == "" {
			where = "every application"
		}
		fmt.Fprintf(w, "%s at %s: %s on %s", words.Seen(row), words.Seen(where), outcome(r.Passed), moment(r.Drilled))
		if r.Run != 0 {
			fmt.Fprintf(w, " in run %d", r.Run)
		}
		fmt.Fprintln(w, ". "+words.Seen(r.Doubt))
		for _, l := range r.Left {
			writeLeft(w, r.Application, l)
		}
		if r.Result != nil {
			all = append(all, coverage.RunResult{DrillResult: *r.Result, Held: r.Passed})
		}
	}
	if len(all) == 0 {
		return nil
	}
	if err := writeProofs(w, all); err != nil {
		return err
	}
	for _, r := range all {
		writeTries(w, r)
	}
	return nil
}

func outcome(passed bool) string {
	if passed {
		return "passed"
	}
	return "failed"
}

func writeLeft(w io.Writer, application string, l attack.Left) {
	fmt.Fprintf(w, "Not attacked: %s at %s (%s)\n", words.Seen(l.Door), words.Seen(application), words.Seen(l.Why))
}

// writeRun writes a run, and everything that was tried if it is asked for.
func writeRun(w io.Writer, run coverage.RunReport, tries bool) error {
	if run.Doubt != "" {
		_, err := fmt.Fprintf(w, "Run %d: %s\n", run.Number, words.Seen(run.Doubt))
		return err
	}
	fmt.Fprintf(w, "Run %d by %s, handed in by %s: %d passed, %d failed.\nIt went on from %s to %s.\n", run.Number, words.Seen(run.Program), words.Seen(run.By),
		run.Passed, run.Failed, moment(run.Began), clock(run.Ended))
	for _, a := range run.Applications {
		for _, l := range a.Left {
			writeLeft(w, a.Name, l)
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
