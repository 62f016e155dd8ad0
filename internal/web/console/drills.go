package console

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"countersign/internal/admin/coverage"
	"countersign/internal/attack"
	"countersign/internal/failure"
)

const (
	rowsPath = coveragePath + "/rows"
	runsPath = coveragePath + "/runs"
)

// proof is one of the five proofs of a result.
type proof struct{ Name, Word, Class string }

func proofs(d attack.DrillResult) []proof {
	all := []proof{{Name: "Control", Word: string(d.Control)}, {Name: "Blocked", Word: string(d.Blocked)}, {Name: "Audited", Word: string(d.Audited)},
		{Name: "Honest", Word: string(d.Honest)}, {Name: "Fail-closed", Word: string(d.Closed)}}
	for i, p := range all {
		switch attack.Proof(p.Word) {
		case attack.Held:
			all[i].Class = "good"
		case attack.Failed:
			all[i].Class = "bad"
		default:
			all[i].Word = "not run"
		}
	}
	return all
}

// met is one result on a page: on the page of its row under its application, on the page of
// its run under both.
type met struct {
	Row, Name, Application string
	Drilled                time.Time
	Passed                 bool
	Run                    int64
	Doubt                  string
	Detail                 string
	Proofs                 []proof
	Tries                  []attack.DrillTry
	Entries                []entryLink
	Log                    []string
	Left                   []attack.Left
}

// RowPath and RunPath are where more of it is.
func (m met) RowPath() string { return under(rowsPath, m.Row) }

func (m met) RunPath() string { return under(runsPath, strconv.FormatInt(m.Run, 10)) }

// entryLink leads to an entry of the audit log.
type entryLink struct {
	Number int64
	Href   string
}

// fill adds what the report says.
func (m *met) fill(d attack.DrillResult) {
	row, _ := attack.ByID(d.Row)
	m.Row, m.Name, m.Application, m.Drilled, m.Passed = d.Row, row.Name, d.Application, d.Time, d.Passed()
	m.Detail, m.Proofs, m.Tries, m.Log = d.Detail, proofs(d), d.Tries, d.Log
	for _, n := range d.Entries {
		m.Entries = append(m.Entries, entryLink{n, fmt.Sprintf("%s?before=%d#entry-%d", auditPath, n+1, n)})
	}
}

type rowView struct {
	coverageRow
	Component, Use string
	Tactics        []string
	Results        []met
	// Undrilled are applications that no drill has attacked for this row.
	Undrilled []string
}

func (p *coveragePages) row(v *visit) error {
	id := v.r.PathValue("row")
	data, err := read[coverage.Coverage](v, &coverage.Show{})
	if err != nil {
		return err
	}
	row, ok := attack.ByID(id)
	i := slices.IndexFunc(data.Rows, func(r attack.RowData) bool { return r.ID == id })
	if !ok || i < 0 {
		return failure.New(failure.NotFound, "M1032 has no row %q.", id)
	}
	results, err := read[[]coverage.RowResult](v, &coverage.DrillResults{Row: id})
	if err != nil {
		return err
	}
	view := rowView{coverageRow: rowOf(data.Rows[i]), Component: row.Component, Use: row.Use, Undrilled: slices.Clone(data.Rows[i].Applications)}
	for _, t := range attack.Tactics() {
		if slices.Contains(row.Tactics, t.Word) {
			view.Tactics = append(view.Tactics, t.Title)
		}
	}
	for _, r := range results {
		m := met{}
		if r.Result != nil {
			m.fill(*r.Result)
		}
		m.Row, m.Application, m.Drilled, m.Passed, m.Run, m.Doubt, m.Left = id, r.Application, r.Drilled, r.Passed, r.Run, r.Doubt, r.Left
		view.Results = append(view.Results, m)
		view.Undrilled = slices.DeleteFunc(view.Undrilled, func(name string) bool { return name == r.Application })
	}
	return v.show(sheet{template: "coverage-row", title: "Row " + id, here: coveragePath, data: view})
}

type runsView struct {
	Runs  []runRow
	Next  string
	Later bool
}

type runRow struct{ coverage.Run }

// Path is the run's own page.
func (r runRow) Path() string { return under(runsPath, strconv.FormatInt(r.Number, 10)) }

// asCoverage admits who may see the coverage, and nobody else, to what is shown of drills.
func (v *visit) asCoverage() error {
	_, err := v.admit(&coverage.Show{})
	return err
}

func (p *coveragePages) runs(v *visit) error {
	if err := v.asCoverage(); err != nil {
		return err
	}
	before, _ := strconv.ParseInt(v.r.URL.Query().Get("before"), 10, 64) // what is no number is the newest
	page, err := read[coverage.RunPage](v, &coverage.DrillList{Before: before})
	if err != nil {
		return err
	}
	view := runsView{Later: before != 0}
	for _, r := range page.Runs {
		view.Runs = append(view.Runs, runRow{r})
	}
	if page.Next > 0 {
		view.Next = runsPath + "?before=" + strconv.FormatInt(page.Next, 10)
	}
	return v.show(sheet{template: "drill-runs", title: "Drills", here: coveragePath, data: view})
}

// theRun reads the run that the address names.
func (v *visit) theRun() (coverage.RunReport, error) {
	if err := v.asCoverage(); err != nil {
		return coverage.RunReport{}, err
	}
	n, err := strconv.ParseInt(v.r.PathValue("number"), 10, 64)
	if err != nil {
		return coverage.RunReport{}, failure.New(failure.NotFound, "There is no such run.")
	}
	return read[coverage.RunReport](v, &coverage.DrillShow{Number: n})
}

type runView struct {
	coverage.RunReport
	Path    string
	Results []met
}

func (p *coveragePages) run(v *visit) error {
	report, err := v.theRun()
	if err != nil {
		return err
	}
	view := runView{RunReport: report, Path: runRow{report.Run}.Path()}
	for _, r := range report.Results {
		m := met{Run: report.Number}
		m.fill(r.DrillResult)
		view.Results = append(view.Results, m)
	}
	return v.show(sheet{template: "drill-run", title: fmt.Sprintf("Run %d", report.Number), here: coveragePath, data: view})
}

// runJSON hands out what a run met, as drill.show answers it.
func (p *coveragePages) runJSON(v *visit) error {
	report, err := v.theRun()
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	return v.download("application/json", fmt.Sprintf("countersign-drill-%d.json", report.Number), append(b, '\n'))
}
