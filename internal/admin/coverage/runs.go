package coverage

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"countersign/internal/attack"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// runsDesk is where the reports of drills are read.
type runsDesk struct {
	db   store.Reader
	kept *Kept
}

// Why nothing is believed of a report.
const (
	reportAltered = "The report is not as it was kept: somebody changed it in the database. Nothing in it is believed."
	reportMissing = "The report is missing: somebody removed it from the database."
)

// DrillList lists the runs of drills whose reports were handed in, newest first.
type DrillList struct {
	Before int64 `json:"before,omitempty" help:"Only runs before this number."`
	Limit  int   `json:"limit,omitempty" help:"How many: 20 when left out, 100 at most."`
}

// RunPage is one page of runs. Next is the number to go on before, and zero on the last page.
type RunPage struct {
	Runs []Run `json:"runs"`
	Next int64 `json:"next,omitempty"`
}

// Run is one run of drills, as its report says. If Doubt is set, it says why the report is
// not believed, and besides Number everything is empty.
type Run struct {
	Number int64  `json:"number"`
	Doubt  string `json:"doubt,omitempty"`
	// Recorded is when the report was handed in, by the server's clock, and By who did it.
	Recorded time.Time `json:"recorded,omitzero"`
	By       string    `json:"by,omitempty"`
	// Began and Ended are by the clock of the machine that drilled, with Program.
	Began   time.Time `json:"began,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	Program string    `json:"program,omitempty"`
	// Passed and Failed count results: one for each row and application.
	Passed int `json:"passed"`
	Failed int `json:"failed"`
}

func (c *DrillList) Action() string { return "drill.list" }

// Object is empty: nothing is changed.
func (c *DrillList) Object() string { return "" }

func (c *DrillList) Do(ctx context.Context, a *runsDesk, _ signin.Grant) (any, error) {
	limit := c.Limit
	if limit <= 0 || limit > 100 {
		limit = 20
	}
	return a.kept.runs(ctx, a.db, c.Before, limit)
}

// DrillShow shows the report of one run.
type DrillShow struct {
	Number int64  `json:"number" arg:"" help:"The run's number."`
	Row    string `json:"row,omitempty" arg:"" optional:"" help:"Only results of this row, such as T1133."`
}

// RunReport is a run with everything that its report says.
type RunReport struct {
	Run
	Applications []attack.Attacked `json:"applications,omitempty"`
	Results      []RunResult       `json:"results,omitempty"`
}

// found is an application as the run found it.
func (r RunReport) found(application string) attack.Attacked {
	return attack.DrillReport{Applications: r.Applications}.Found(application)
}

// RunResult is one attack at one application, and whether it passed.
type RunResult struct {
	attack.DrillResult
	Held bool `json:"passed"`
}

func (c *DrillShow) Action() string { return "drill.show" }

// Object is empty: nothing is changed.
func (c *DrillShow) Object() string { return "" }

func (c *DrillShow) Do(ctx context.Context, a *runsDesk, _ signin.Grant) (any, error) {
	if _, ok := attack.ByID(c.Row); !ok && c.Row != "" {
		return nil, noRow(c.Row)
	}
	out, err := a.kept.run(ctx, a.db, c.Number)
	if c.Row != "" {
		out.Results = slices.DeleteFunc(out.Results, func(r RunResult) bool { return r.Row != c.Row })
	}
	return out, err
}

// DrillResults shows the newest result of one row at each application.
type DrillResults struct {
	Row string `json:"row" arg:"" help:"The row, such as T1133."`
}

// RowResult is the newest result of a row at one application.
type RowResult struct {
	// Application is empty for a result of every application.
	Application string    `json:"application,omitempty"`
	Drilled     time.Time `json:"drilled"`
	Passed      bool      `json:"passed"`
	// Run is the number of the report that has it; zero if the result is not believed.
	Run int64 `json:"run,omitempty"`
	// Doubt says why the result, or the report behind it, is not believed.
	Doubt string `json:"doubt,omitempty"`
	// Result is what the report says, and Left the doors that were not attacked; both are
	// empty if the report is not believed.
	Result *attack.DrillResult `json:"result,omitempty"`
	Left   []attack.Left       `json:"left,omitempty"`
}

func (c *DrillResults) Action() string { return "drill.results" }

// Object is empty: nothing is changed.
func (c *DrillResults) Object() string { return "" }

func (c *DrillResults) Do(ctx context.Context, a *runsDesk, _ signin.Grant) (any, error) {
	if _, ok := attack.ByID(c.Row); !ok {
		return nil, noRow(c.Row)
	}
	return a.kept.rowResults(ctx, a.db, c.Row)
}

func noRow(row string) error {
	return failure.At("row", failure.New(failure.NotFound, "M1032 has no row %q; coverage.show lists them.", row))
}

// runs reads a page of reports and adds those that should be there and are not.
func (a *Kept) runs(ctx context.Context, r store.Reader, before int64, limit int) (RunPage, error) {
	given := reports.Given(a.db.View()) // before they are read, so that each is there
	if before > 0 {
		given = min(given, before-1)
	}
	read, err := a.readRuns(ctx, r, before, limit+1)
	if err != nil {
		return RunPage{}, err
	}
	out := RunPage{Runs: a.withMissing(read, given, limit+1)}
	if len(out.Runs) > limit {
		out.Runs = out.Runs[:limit]
		out.Next = out.Runs[limit-1].Number
	}
	return out, nil
}

// withMissing puts the missing reports, up to the highest number, among those that were
// read, and returns as many as asked for. Above the highest number only new reports and
// forged ones can be, and none is missing.
func (a *Kept) withMissing(read []Run, given int64, most int) []Run {
	out := []Run{}
	for n := given; len(out) < most && (len(read) > 0 || n > 0); {
		switch {
		case len(read) > 0 && read[0].Number >= n:
			out = append(out, read[0])
			n = min(n, read[0].Number-1)
			read = read[1:]
		case a.db.View().Newest(reports.Table, n) != 0:
			a.tampered(reports.Table, strconv.FormatInt(n, 10), store.Missing)
			out = append(out, Run{Number: n, Doubt: reportMissing})
			n--
		default:
			n--
		}
	}
	return out
}

// readRuns reads the heads of reports, newest first. A number of zero or below was never
// assigned.
func (a *Kept) readRuns(ctx context.Context, r store.Reader, before int64, limit int) ([]Run, error) {
	where, args := `id > 0`, []any{limit}
	if before > 0 {
		where, args = `id > 0 and id < $2`, []any{limit, before}
	}
	rows, err := r.Query(ctx, `select `+reportColumns+` from drill_report where `+where+` order by id desc limit $1`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Run
	for rows.Next() {
		report, err := a.scanRun(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, report.Run)
	}
	return out, rows.Err()
}

// scanRun reads a report. Of one that is not as it was kept it returns only the number and
// the reason.
func (a *Kept) scanRun(row interface{ Scan(...any) error }) (RunReport, error) {
	h, mac, err := readReport(row)
	if err != nil {
		return RunReport{}, err
	}
	if !a.keys.VerifyMAC(keyring.Drill, h.fields(), mac) {
		a.tampered(reports.Table, strconv.FormatInt(h.id, 10), store.Altered)
		return RunReport{Run: Run{Number: h.id, Doubt: reportAltered}}, nil
	}
	report, err := attack.OpenDrillReport(h.body, a.keys.AuditKeys().Verifier)
	if err != nil {
		return RunReport{Run: Run{Number: h.id, Doubt: upper(err) + "."}}, nil
	}
	out := RunReport{Run: Run{Number: h.id, Recorded: store.Time(h.recorded), By: h.author, Began: report.Began, Ended: report.Ended, Program: report.By}, Applications: report.Applications}
	for _, d := range report.Results {
		out.Results = append(out.Results, RunResult{d, d.Passed()})
		if d.Passed() {
			out.Passed++
		} else {
			out.Failed++
		}
	}
	return out, nil
}

// run reads one report. A number that was never assigned is [failure.NotFound].
func (a *Kept) run(ctx context.Context, r store.Reader, number int64) (RunReport, error) {
	known := a.db.View().Newest(reports.Table, number) != 0 // before it is read, so that it is there
	out, err := a.scanRun(r.QueryRow(ctx, `select `+reportColumns+` from drill_report where id = $1`, number))
	switch {
	case errors.Is(err, store.ErrNotFound) && known:
		a.tampered(reports.Table, strconv.FormatInt(number, 10), store.Missing)
		return RunReport{Run: Run{Number: number, Doubt: reportMissing}}, nil
	case errors.Is(err, store.ErrNotFound):
		return out, failure.New(failure.NotFound, "There is no run %d; drill.list lists them.", number)
	}
	return out, err
}

// rowResults are the newest results of one row. One that is missing, or not as it was kept,
// counts as failed, and says so.
func (a *Kept) rowResults(ctx context.Context, r store.Reader, row string) ([]RowResult, error) {
	all, missing, err := a.believed(ctx, r, row)
	if err != nil {
		return nil, err
	}
	out, behind := []RowResult{}, map[int64]RunReport{}
	for _, k := range all {
		report, err := a.behind(ctx, r, k, behind)
		if err != nil {
			return nil, err
		}
		out = append(out, k.told(report))
	}
	for _, d := range missing {
		out = append(out, RowResult{Application: d.Application, Drilled: d.Time, Doubt: "Nothing is believed: " + d.Detail + "."})
	}
	slices.SortFunc(out, func(a, b RowResult) int { return cmp.Compare(a.Application, b.Application) })
	return out, nil
}

// told is a result with what its report says of it.
func (k kept) told(report RunReport) RowResult {
	out := RowResult{Application: k.Application, Drilled: k.Time, Passed: k.Passed, Run: k.report, Doubt: report.Doubt}
	if report.Number == 0 {
		out.Doubt = reportMissing
	}
	for _, d := range report.Results {
		if d.Row == k.Row && d.Application == k.Application && d.Held == k.Passed && store.Unix(d.Time) == store.Unix(k.Time) {
			out.Result = &d.DrillResult
		}
	}
	out.Left = report.found(k.Application).Left
	return out
}
