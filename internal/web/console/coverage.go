package console

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/coverage"
	"countersign/internal/attack"
	"countersign/internal/failure"
	"countersign/internal/web/look"
)

const coveragePath = "/console/coverage"

// coveragePages are the rows of M1032, and what is declared of them.
type coveragePages struct {
	desk *desk
}

func (p *coveragePages) routes() []look.Route {
	page := func(*visit) string { return coveragePath + "/declare" }
	routes := []look.Route{
		p.desk.page(coveragePath, "coverage.show", p.show),
		p.desk.page(coveragePath+"/export", "coverage.show", p.export),
		p.desk.page(rowsPath+"/{row}", "coverage.show", p.row),
		p.desk.page(runsPath, "coverage.show", p.runs),
		p.desk.page(runsPath+"/{number}", "coverage.show", p.run),
		p.desk.page(runsPath+"/{number}/json", "coverage.show", p.runJSON),
		p.desk.page(coveragePath+"/declare", "coverage.show", func(v *visit) error {
			return p.declare(v, filled("row", v.r.URL.Query().Get("row"), "until", v.desk.look.Now().AddDate(0, 6, 0).Format(time.DateOnly)))
		}),
	}
	return append(routes, p.desk.routes(
		change{path: coveragePath + "/declare", action: "coverage.declare", page: page, again: p.declare,
			read: func(_ *visit, f *form) admin.Command {
				return &coverage.Declare{Row: f.must("row", "Choose a row."), Reason: f.must("reason", "Say why there is nothing here for it to be about."), Until: f.must("until", "Write the day on which it ends.")}
			},
			done: func(v *visit, _ *form, _ any) error { return v.done(coveragePath, "It is declared, until that day.") }},
		change{path: coveragePath + "/withdraw", action: "coverage.withdraw", page: page, again: p.declare,
			read: func(_ *visit, f *form) admin.Command {
				return &coverage.Withdraw{Row: f.must("row", "Choose a row.")}
			},
			done: func(v *visit, _ *form, _ any) error { return v.done(coveragePath, "The declaration is withdrawn.") }},
	)...)
}

// coverageStates are what a row can be, best first, with how it is marked and
// what it means.
var coverageStates = []struct{ State, Class, Means string }{
	{"proven", "good", "demanded of everybody, and a drill showed it within 30 days"},
	{"enforced", "good", "demanded of everybody; no drill has shown it lately"},
	{"partial", "warn", "demanded, with the gaps that are named"},
	{"open", "bad", "nothing here demands it, or nothing of its duty exists yet"},
	{"not-here", "", "declared: there is nothing here for it to be about"},
}

type tally struct {
	State, Class, Means, Href string
	Count                     int
}

type coverageRow struct {
	ID, Name, Duty, State, Class string
	Applications, Gaps, Notes    []string
	Drilled, Until               time.Time
	Withdraw                     bool
}

// Path is the row's own page.
func (r coverageRow) Path() string { return under(rowsPath, r.ID) }

type coverageView struct {
	coverage.Coverage
	Form  *form
	Tally []tally
	Table []coverageRow
	Map   []attack.Column[coverageRow]
	// Applications are what the list can be narrowed to.
	Applications []choice
}

// Chosen reports whether the rows are narrowed down.
func (v coverageView) Chosen() bool {
	return v.Form.text("state") != "" || v.Form.text("tactic") != "" || v.Form.text("application") != ""
}

// States are what the list can be narrowed to.
func (coverageView) States() []choice {
	out := choices("", "All states")
	for _, s := range coverageStates {
		out = append(out, choice{s.State, s.State})
	}
	return out
}

// Tactics are what the list can be narrowed to.
func (coverageView) Tactics() []choice {
	out := choices("", "All tactics")
	for _, t := range attack.Tactics() {
		out = append(out, choice{t.Word, t.Title})
	}
	return out
}

func (p *coveragePages) show(v *visit) error {
	data, err := read[coverage.Coverage](v, &coverage.Show{})
	if err != nil {
		return err
	}
	view := coverageView{Coverage: data, Form: typed(v.r.URL.Query()), Applications: choices("", "All applications")}
	count, names := map[string]int{}, map[string]bool{}
	for _, r := range data.Rows {
		count[string(r.State)]++
		for _, name := range r.Applications {
			names[name] = true
		}
		if chosen(view.Form, r) {
			view.Table = append(view.Table, rowOf(r))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		view.Applications = append(view.Applications, choice{name, name})
	}
	for _, s := range coverageStates {
		view.Tally = append(view.Tally, tally{s.State, s.Class, s.Means, coveragePath + "?state=" + s.State, count[s.State]})
	}
	view.Map = attack.Columns(view.Table, func(r coverageRow) attack.Row { row, _ := attack.ByID(r.ID); return row }, view.Form.text("tactic"))
	return v.show(sheet{template: "coverage", title: "Coverage", here: coveragePath, data: view})
}

// chosen reports whether a row is among those that the form narrows the list to.
func chosen(f *form, r attack.RowData) bool {
	row, _ := attack.ByID(r.ID)
	state, tactic, application := f.text("state"), f.text("tactic"), f.text("application")
	return (state == "" || state == string(r.State)) && (tactic == "" || slices.Contains(row.Tactics, tactic)) &&
		(application == "" || slices.Contains(r.Applications, application))
}

// rowOf is a row as the pages show it.
func rowOf(r attack.RowData) coverageRow {
	row := coverageRow{ID: r.ID, Name: r.Name, Duty: r.Duty, State: string(r.State), Applications: r.Applications, Notes: r.Notes, Drilled: r.Drilled, Until: r.Until, Withdraw: r.State == attack.NotHere}
	for _, s := range coverageStates {
		if s.State == row.State {
			row.Class = s.Class
		}
	}
	for _, g := range r.Gaps {
		row.Gaps = append(row.Gaps, g.Sentence)
	}
	return row
}

// exports are the forms in which the whole report is handed out.
var exports = map[string]struct{ kind, file string }{
	"html":      {"text/html; charset=utf-8", "countersign-coverage.html"},
	"json":      {"application/json", "countersign-coverage.json"},
	"navigator": {"application/json", "countersign-coverage-layer.json"},
}

// export hands out the whole report, whatever the page is narrowed to.
func (p *coveragePages) export(v *visit) error {
	format := v.r.URL.Query().Get("format")
	e, ok := exports[format]
	if !ok {
		return failure.New(failure.NotFound, "There is no format %q; use html, json or navigator.", format)
	}
	data, err := read[coverage.Coverage](v, &coverage.Show{})
	if err != nil {
		return err
	}
	answer, err := json.Marshal(data)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := attack.Render(&b, answer, format); err != nil {
		return err
	}
	return v.download(e.kind, e.file, b.Bytes())
}

// download hands out a file.
func (v *visit) download(kind, file string, content []byte) error {
	h := v.w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", `attachment; filename="`+file+`"`)
	_, err := v.w.Write(content)
	return err
}

type declareView struct {
	Form *form
	Rows []choice
}

func (p *coveragePages) declare(v *visit, f *form) error {
	data, err := read[coverage.Coverage](v, &coverage.Show{})
	if err != nil {
		return err
	}
	view := declareView{Form: f, Rows: choices("", "Choose a row")}
	for _, r := range data.Rows {
		view.Rows = append(view.Rows, choice{r.ID, r.ID + " " + r.Name})
	}
	return v.show(sheet{template: "declare", title: "Declare", here: coveragePath, problem: f.problem("row", "reason", "until"), data: view})
}
