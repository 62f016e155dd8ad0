package look

import (
	"fmt"
	"html/template"
	"strings"
	"time"
)

// functions are what every template may call.
func (l *Look) functions() template.FuncMap {
	return template.FuncMap{
		"asset":  l.assets.path,
		"ago":    func(t time.Time) template.HTML { return l.stamp(t, Ago(t, l.Now())) },
		"until":  func(t time.Time) template.HTML { return l.stamp(t, Until(t, l.Now())) },
		"moment": func(t time.Time) template.HTML { return l.stamp(t, Moment(t)) },
		"qr":     QR,
		"plural": plural,
		"join":   strings.Join,
		"list":   func(items ...any) []any { return items },
		"lower":  strings.ToLower,
		"fours":  fours,
		"agent":  Agent,
		"mark":   func(kind string) string { return l.Options.Kinds[kind].Mark },
		"kind":   func(kind string) Kind { return l.Options.Kinds[kind] },
	}
}

// stamp marks up a moment: words to read, the exact time beside them. The
// script shows it in the reader's own time zone.
func (l *Look) stamp(t time.Time, words string) template.HTML {
	if t.IsZero() {
		return "never"
	}
	u := t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s">%s</time>`, u.Format(time.RFC3339), Moment(u), template.HTMLEscapeString(words)))
}

// Moment writes a time for people, in UTC because the server knows no better.
func Moment(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") }

// Ago says how long ago a moment was.
func Ago(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case d < time.Minute:
		return "just now"
	case d < 24*time.Hour:
		return span(d) + " ago"
	case d < 30*24*time.Hour:
		return plural(int(d/(24*time.Hour)), "day", "days") + " ago"
	}
	return t.UTC().Format("2 January 2006")
}

// Until says how long it is to a moment.
func Until(t, now time.Time) string {
	d := t.Sub(now)
	switch {
	case d <= 0:
		return "over"
	case d < time.Minute:
		return "in less than a minute"
	case d < 48*time.Hour:
		return "in " + span(d)
	}
	return "on " + t.UTC().Format("2 January 2006")
}

func span(d time.Duration) string {
	if d < time.Hour {
		return plural(int(d/time.Minute), "minute", "minutes")
	}
	return plural(int(d/time.Hour), "hour", "hours")
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// fours sets a key in groups of four, for eyes that go back and forth.
func fours(key string) string {
	var b strings.Builder
	for i, r := range key {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}
