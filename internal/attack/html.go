package attack

import (
	_ "embed"
	"html/template"
	"io"
	"slices"
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

var tacticTitles = []struct{ word, Title string }{
	{"initial-access", "Initial Access"}, {"execution", "Execution"}, {"persistence", "Persistence"},
	{"privilege-escalation", "Privilege Escalation"}, {"defense-evasion", "Defense Evasion"},
	{"credential-access", "Credential Access"}, {"discovery", "Discovery"}, {"lateral-movement", "Lateral Movement"},
	{"collection", "Collection"}, {"impact", "Impact"},
}

// page is what the template reads.
type page struct {
	Report
	Founding, All tallied
	Columns       []column
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

// column is one tactic of the map.
type column struct {
	Title    string
	Families []family
}

// family is a technique with its sub-techniques. Head is nil where M1032 names
// only the sub-techniques.
type family struct {
	Head *RowState
	Subs []RowState
}

// WriteHTML writes the report as one page that needs nothing else: no script, no
// font, no picture from anywhere. It follows the reader's light or dark setting
// and prints on paper.
func (r Report) WriteHTML(w io.Writer) error {
	p := page{Report: r, Founding: r.bar(true), All: r.bar(false), Columns: r.columns(), Causes: r.Causes(), Limits: Limits(), States: States()}
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

// columns places each technique once, under the first of its tactics.
func (r Report) columns() []column {
	var out []column
	for _, tactic := range tacticTitles {
		c := column{Title: tactic.Title}
		for i := range r.Rows {
			s := &r.Rows[i]
			if s.Row.Tactics[0] != tactic.word {
				continue
			}
			k := slices.IndexFunc(c.Families, func(f family) bool { return f.id() == s.Row.Parent() })
			if k < 0 {
				k = len(c.Families)
				c.Families = append(c.Families, family{})
			}
			if s.Row.ID == s.Row.Parent() {
				c.Families[k].Head = s
			} else {
				c.Families[k].Subs = append(c.Families[k].Subs, *s)
			}
		}
		if len(c.Families) > 0 {
			out = append(out, c)
		}
	}
	return out
}

func (f family) id() string {
	switch {
	case f.Head != nil:
		return f.Head.Row.ID
	case len(f.Subs) > 0:
		return f.Subs[0].Row.Parent()
	}
	return ""
}
