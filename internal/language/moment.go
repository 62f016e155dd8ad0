package language

import (
	"strings"
	"time"

	"countersign/internal/text"
)

// Day writes a date, in the zone that it is in: "2 January 2026".
func (l *Language) Day(t time.Time) string {
	return l.Text("%[1]d %[2]s %[3]d", t.Day(), Word(t.Month().String()), t.Year())
}

// Moment writes a date with the time of day and its zone, in the zone that it is in: in English
// as [text.Moment].
func (l *Language) Moment(t time.Time) string {
	_, clock, _ := strings.Cut(text.Moment(t), ", ")
	return l.Text("%s, %s", l.Day(t), clock)
}

// Ago says how long ago a moment was.
func (l *Language) Ago(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case d < time.Minute:
		return l.Text("just now")
	case d < time.Hour:
		return l.Count(int(d/time.Minute), "%d minute ago", "%d minutes ago")
	case d < day:
		return l.Count(int(d/time.Hour), "%d hour ago", "%d hours ago")
	case d < 30*day:
		return l.Count(int(d/day), "%d day ago", "%d days ago")
	}
	return l.Day(t.In(now.Location()))
}

const day = 24 * time.Hour

// Until says how long it is to a moment.
func (l *Language) Until(t, now time.Time) string {
	d := t.Sub(now)
	switch {
	case d <= 0:
		return l.Text("over")
	case d < time.Minute:
		return l.Text("in less than a minute")
	case d < time.Hour:
		return l.Count(int(d/time.Minute), "in %d minute", "in %d minutes")
	case d < 2*day:
		return l.Count(int(d/time.Hour), "in %d hour", "in %d hours")
	}
	return l.Text("on %s", l.Day(t.In(now.Location())))
}
