package drill

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/drill"
	"countersign/internal/servertest"
)

// TestRows plays the attack of every row against the test bed and prints what came of it, a
// line for each row and application: row, application, passed or failed, why. It is how
// make drill-mutants sees which rows a missing guard fails, so that it judges nothing itself.
// The outages of T1556.006, which take most of a drill's time, are played if they are asked
// for. DRILL_ROWS="rows T1133" plays that row alone, and prints all that it tried.
func TestRows(t *testing.T) {
	mode := os.Getenv("DRILL_ROWS")
	if mode == "" {
		t.Skip("make drill-mutants plays it")
	}
	if !strings.Contains(mode, "outages") {
		tricks := drill.Tricks
		drill.Tricks = nil
		defer func() { drill.Tricks = tricks }()
	}
	rows := slices.DeleteFunc(strings.Fields(mode), func(f string) bool { return !strings.HasPrefix(f, "T") })
	few := len(rows) > 0
	if !few {
		rows = drill.Drilled()
	}
	b := servertest.NewGuardedBed(t).WithMail()
	tell := func(results []drill.Result) {
		for _, r := range results {
			if r.Skipped == "" {
				state, why := fell(r)
				fmt.Printf("\ndrilled\t%s\t%s\t%s\t%s\n", r.Row, r.Application, state, strings.Join(strings.Fields(why), " "))
				for _, d := range r.Tries {
					if few {
						fmt.Printf("tried\t%s, %s: open %t, %s; %s %s\n", d.Component, d.Name, d.Open, d.Answer, d.Detail, d.Error)
					}
				}
			}
		}
	}
	if _, err := drill.Run(t.Context(), drill.Plan{Stage: b.Stage, Admin: b.Admin, Bed: b, Brief: true, Rows: rows, Tell: tell, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
}

// fell says whether a result fails its row, and the words of the first proof that does.
func fell(r drill.Result) (state drill.State, why string) {
	for _, p := range r.Proofs() {
		if p.State == drill.Failed {
			return drill.Failed, p.Name + ": " + p.Detail
		}
	}
	if r.Blocked.State != drill.Passed {
		return drill.Failed, "blocked: " + r.Blocked.Detail
	}
	return drill.Passed, ""
}
