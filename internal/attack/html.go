package attack

import (
	_ "embed"
	"html/template"
	"io"
	"strings"
)

//go:embed report.html
var reportText string

var reportTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"clean": clean, "day": day, "join": func(s []string) string { return clean(strings.Join(s, ", ")) },
	"word": func(s State) string { return stateWords[s] }, "meaning": func(s State) string { return meanings[s] },
}).Parse(reportText))

var stateWords = map[State]string{Proven: "Proven", Enforced: "Enforced", Partial: "Partial", Open: "Open", NotHere: "Not here"}

var meanings = map[State]string{
	Proven:   "Enforced, and a drill of the last 30 days failed to get in.",
	Enforced: "Policy demands it of every account, at every door that is known.",
	Partial:  "It holds for some. The gaps say for whom it does not.",
	Open:     "Nothing demands it here.",
	NotHere:  "Declared, with a reason and an end.",
}

// page is what the template reads.
type page struct {
	Report
	Founding, All tallied
	Columns       []Column[RowState]
	Causes        []Cause
	Limits        []string
	States        []State
	InForce, Past []Exception
}

// tallied is a bar: how many rows of each state, and where each part begins.
type tallied struct {
	Total, Held int
	Parts       []part
}

type part struct {
	State       State
	Count, From int
}

// WriteHTML writes the report as one page that needs nothing else: no script, no
// font, no picture from anywhere. It follows the reader's light or dark setting
// and prints on paper.
func (r Report) WriteHTML(w io.Writer) error {
	p := page{Report: r, Founding: r.bar(true), All: r.bar(false), Columns: Columns(r.Rows, func(s RowState) Row { return s.Row }, ""), Causes: r.Causes(), Limits: Limits(), States: States()}
	for _, e := range r.Exceptions {
		if e.Over(r.Time) {
			p.Past = append(p.Past, e)
		} else {
			p.InForce = append(p.InForce, e)
		}
	}
	return reportTemplate.Execute(w, p)
}

func (r Report) bar(foundingOnly bool) tallied {
	t, counts := tallied{}, r.Tally(foundingOnly)
	for _, s := range States() {
		if counts[s] > 0 {
			t.Parts = append(t.Parts, part{s, counts[s], t.Total})
		}
		t.Total += counts[s]
	}
	t.Held = counts[Proven] + counts[Enforced]
	return t
}
