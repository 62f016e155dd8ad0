package console

import (
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/coverage"
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
	State, Class, Means string
	Count               int
}

type coverageRow struct {
	ID, Name, Duty, State, Class string
	Applications, Gaps, Notes    []string
	Drilled, Until               time.Time
	Withdraw                     bool
}

type coverageView struct {
	coverage.Coverage
	Tally []tally
	Table []coverageRow
}

func (p *coveragePages) show(v *visit) error {
	data, err := read[coverage.Coverage](v, &coverage.Show{})
	if err != nil {
		return err
	}
	view := coverageView{Coverage: data}
	count, class := map[string]int{}, map[string]string{}
	for _, s := range coverageStates {
		class[s.State] = s.Class
	}
	for _, r := range data.Rows {
		state := string(r.State)
		count[state]++
		row := coverageRow{ID: r.ID, Name: r.Name, Duty: r.Duty, State: state, Class: class[state], Applications: r.Applications, Notes: r.Notes, Drilled: r.Drilled, Until: r.Until, Withdraw: state == "not-here"}
		for _, g := range r.Gaps {
			row.Gaps = append(row.Gaps, g.Sentence)
		}
		view.Table = append(view.Table, row)
	}
	for _, s := range coverageStates {
		view.Tally = append(view.Tally, tally{s.State, s.Class, s.Means, count[s.State]})
	}
	return v.show(sheet{template: "coverage", title: "Coverage", here: coveragePath, data: view})
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
