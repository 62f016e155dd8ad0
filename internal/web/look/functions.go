package look

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"countersign/internal/text"
)

// functions are what every template may call.
func (l *Look) functions() template.FuncMap {
	return template.FuncMap{
		"asset":  l.assets.path,
		"ago":    func(t time.Time) template.HTML { return l.stamp(t, Ago(t, l.Now())) },
		"until":  func(t time.Time) template.HTML { return l.stamp(t, Until(t, l.Now())) },
		"moment": func(t time.Time) template.HTML { return l.stamp(t, Moment(l.In(t))) },
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

// stamp marks up a moment: words to read, the exact time beside them in the zone of the
// installation.
func (l *Look) stamp(t time.Time, words string) template.HTML {
	if t.IsZero() {
		return "never"
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s">%s</time>`, t.UTC().Format(time.RFC3339), Moment(l.In(t)), template.HTMLEscapeString(words)))
}

// Zone names the zone of the installation, in which every page writes its times: that of its
// clock.
func (l *Look) Zone() string { return text.Zone(l.Now().Location()) }

// In is a time in the zone of the installation.
func (l *Look) In(t time.Time) time.Time { return t.In(l.Now().Location()) }

// Moment writes a time for people, in the zone that it is in, and names it.
func Moment(t time.Time) string { return text.Moment(t) }

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
	return t.In(now.Location()).Format("2 January 2006")
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
	return "on " + t.In(now.Location()).Format("2 January 2006")
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
