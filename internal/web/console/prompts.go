package console

import (
	"fmt"
	"strconv"
	"time"

	"countersign/internal/admin/audit"
	"countersign/internal/admin/prompts"
	"countersign/internal/failure"
	"countersign/internal/web/look"
)

const promptsPath = "/console/prompts"

// promptPage tells of the requests that people were asked to approve.
type promptPage struct {
	desk *desk
}

func (p *promptPage) routes() []look.Route {
	return []look.Route{p.desk.page(promptsPath, "prompts.show", p.show)}
}

type promptsView struct {
	prompts.Prompts
	Form   *form
	Chart  chart
	Total  prompts.Day
	Alarms []told
}

var promptSpans = choices("7", "A week", "14", "Two weeks", "30", "30 days", "90", "90 days")

// Spans are how far the page can look back.
func (promptsView) Spans() []choice { return promptSpans }

// Whose is the page of an account's own requests.
func (promptsView) Whose(name string) string { return promptsPath + "?account=" + escape(name) }

// AccountPath is the address of an account's page.
func (promptsView) AccountPath(name string) string { return under(accountsPath, name) }

func (p *promptPage) show(v *visit) error {
	f := typed(v.r.URL.Query())
	if f.text("days") == "" {
		f.values.Set("days", "14")
	}
	days, err := strconv.Atoi(f.text("days"))
	if err != nil {
		days = 14
	}
	counted, err := read[prompts.Prompts](v, &prompts.Show{Account: f.text("account"), Days: days})
	if failure.ClassOf(err) == failure.NotFound {
		f.wrong("account", failure.Public(err))
	} else if err != nil {
		return err
	}
	view := promptsView{Prompts: counted, Form: f, Chart: chartOf(counted.Days), Total: totalOf(counted.Days)}
	if view.Total.Closed+view.Total.Disowned > 0 { // they are rare, and what is rare takes as long as the log is
		if view.Alarms, err = p.fatigue(v, counted); err != nil {
			return err
		}
	}
	return v.show(sheet{template: "prompts", title: "Requests to approve", here: promptsPath, problem: f.problem("account"), data: view})
}

// fatigue are the newest alarms of the days that are shown.
func (p *promptPage) fatigue(v *visit, shown prompts.Prompts) ([]told, error) {
	var out []told
	for _, event := range []string{"alarm.push-flood", "alarm.not-me"} {
		page, err := read[audit.Page](v, &audit.Search{Event: event, Account: shown.Account, Since: shown.Days[0].Day, Limit: 10})
		if err != nil {
			return nil, err
		}
		out = append(out, tellAll(v.desk.look, page.Entries)...)
	}
	return out, nil
}

func totalOf(days []prompts.Day) (t prompts.Day) {
	for _, d := range days {
		t.Asked, t.Pushed, t.Approved, t.Refused = t.Asked+d.Asked, t.Pushed+d.Pushed, t.Approved+d.Approved, t.Refused+d.Refused
		t.Disowned, t.Wrong, t.Closed, t.Unanswered = t.Disowned+d.Disowned, t.Wrong+d.Wrong, t.Closed+d.Closed, t.Unanswered+d.Unanswered
	}
	return t
}

// chart is a bar for each day: what was approved, below what was refused, below what
// nobody answered. Lengths are in hundredths of the highest day.
type chart struct {
	Bars  []bar
	Width int
	Most  int64
	From  string
	To    string
}

type bar struct {
	X, Wide                                   int
	Approved, Refused, Unanswered             int // heights
	ApprovedFrom, RefusedFrom, UnansweredFrom int // from above
	Says                                      string
}

const (
	chartHigh = 100
	barEvery  = 12
	barWide   = 9
)

func chartOf(days []prompts.Day) chart {
	c := chart{Width: barEvery * len(days), Most: 1}
	for _, d := range days {
		c.Most = max(c.Most, d.Approved+d.Refused+d.Unanswered)
	}
	for i, d := range days {
		high := func(n int64) int { return int((n*chartHigh + c.Most - 1) / c.Most) }
		b := bar{X: i*barEvery + 1, Wide: barWide, Approved: high(d.Approved), Refused: high(d.Refused), Unanswered: high(d.Unanswered),
			Says: fmt.Sprintf("%s: %d approved, %d refused, %d unanswered", d.Day, d.Approved, d.Refused, d.Unanswered)}
		b.ApprovedFrom = chartHigh - b.Approved
		b.RefusedFrom = b.ApprovedFrom - b.Refused
		b.UnansweredFrom = b.RefusedFrom - b.Unanswered
		c.Bars = append(c.Bars, b)
	}
	if len(days) > 0 {
		c.From, c.To = day(days[0].Day), day(days[len(days)-1].Day)
	}
	return c
}

// day writes a day as people read it.
func day(iso string) string {
	t, err := time.Parse(time.DateOnly, iso)
	if err != nil {
		return iso
	}
	return t.Format("2 January")
}
