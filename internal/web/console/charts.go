package console

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"countersign/internal/admin/overview"
)

// The charts of the overview: bars of whole numbers, drawn here, which no script and no text
// of anybody's is part of. Each has its numbers beside it or in the table below.

// dayBar is a day's bar of two parts. Lengths are in hundredths of the highest day.
type dayBar struct {
	X, Wide           int
	LetIn, LetInFrom  int
	Refused, RefsFrom int
	Says              string
}

// sparks are a row of small bars: one reason, or one kind of authenticator.
type sparks struct {
	Name  string
	Total int64
	Bars  []smallBar
	Width int
	Says  string
}

type smallBar struct{ X, Y, Wide, High int }

// dayRow is a day in words, for whoever reads no chart.
type dayRow struct {
	Day            string
	LetIn, Refused int64
	Reasons, Shown string
}

// charts are those of the days that an overview has.
type charts struct {
	Bars     []dayBar
	Width    int
	From, To string
	Reasons  []sparks
	Shown    []sparks
	Rows     []dayRow
	// LetIn and Refused are all of the days together.
	LetIn, Refused int64
}

const (
	smallHigh = 20
	// mostLines is how many rows of small bars there are; what is rarer is in the table.
	mostLines = 6
)

// named is what a reason or a kind is called.
type named func(word string) string

func chartsOf(days []overview.Day, reason, kind named) charts {
	c := charts{Width: barEvery * len(days)}
	most := int64(1)
	for _, d := range days {
		refused := sum(d.Refused)
		most = max(most, d.LetIn+refused)
		c.LetIn, c.Refused = c.LetIn+d.LetIn, c.Refused+refused
		c.Rows = append(c.Rows, dayRow{Day: day(d.Day), LetIn: d.LetIn, Refused: refused, Reasons: inWords(d.Refused, reason), Shown: inWords(d.Shown, kind)})
	}
	for i, r := range c.Rows {
		b := dayBar{X: i*barEvery + 1, Wide: barWide, LetIn: share(r.LetIn, most, chartHigh), Refused: share(r.Refused, most, chartHigh), Says: fmt.Sprintf("%s: %d let in, %d refused", r.Day, r.LetIn, r.Refused)}
		b.LetInFrom = chartHigh - b.LetIn
		b.RefsFrom = b.LetInFrom - b.Refused
		c.Bars = append(c.Bars, b)
	}
	c.Reasons = sparksOf(days, reason, func(d overview.Day) map[string]int64 { return d.Refused })
	c.Shown = sparksOf(days, kind, func(d overview.Day) map[string]int64 { return d.Shown })
	if len(days) > 0 {
		c.From, c.To = c.Rows[0].Day, c.Rows[len(days)-1].Day
	}
	return c
}

// share is how high a count is drawn, so that both parts of the highest day fit and one that
// is there is seen.
func share(n, most, high int64) int {
	if n <= 0 {
		return 0
	}
	return int(max(1, n*(high-1)/most))
}

func sum(counts map[string]int64) (n int64) {
	for _, one := range counts {
		n += one
	}
	return n
}

// inWords lists counts, the greatest first.
func inWords(counts map[string]int64, name named) string {
	var out []string
	for _, word := range byCount(counts) {
		out = append(out, fmt.Sprintf("%s %d", name(word), counts[word]))
	}
	return strings.Join(out, "; ")
}

func byCount(counts map[string]int64) []string {
	return slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
}

// sparksOf makes the rows of small bars, the greatest first, all of one height.
func sparksOf(days []overview.Day, name named, of func(overview.Day) map[string]int64) []sparks {
	total, most := map[string]int64{}, int64(1)
	for _, d := range days {
		for word, n := range of(d) {
			total[word] += n
			most = max(most, n)
		}
	}
	var out []sparks
	for _, word := range byCount(total) {
		if len(out) == mostLines {
			break
		}
		l := sparks{Name: name(word), Total: total[word], Width: barEvery * len(days)}
		l.Says = fmt.Sprintf("%d in %d days", l.Total, len(days))
		for i, d := range days {
			high := share(of(d)[word], most, smallHigh)
			l.Bars = append(l.Bars, smallBar{X: i*barEvery + 1, Y: smallHigh - high, Wide: barWide, High: high})
		}
		out = append(out, l)
	}
	return out
}
