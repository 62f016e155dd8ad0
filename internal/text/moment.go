package text

import "time"

// Moment writes a time for people in the zone that it is in, which stands beside it: "2
// January 2026, 15:04 CET". Pages, mails and messages all write their times with it, in the
// zone of the installation: that of the clock that a server is given.
func Moment(t time.Time) string { return t.Format("2 January 2006, 15:04 ") + abbreviation(t) }

// Hour writes the time of day alone, with its zone: "15:04:05 CET".
func Hour(t time.Time) string { return t.Format("15:04:05 ") + abbreviation(t) }

// abbreviation is how a zone is written beside a time: its letters, or its distance from UTC.
func abbreviation(t time.Time) string {
	name := t.Format("MST")
	if name[0] == '+' || name[0] == '-' {
		return "UTC" + name
	}
	return name
}

// Zone names a zone: "UTC", "Europe/Berlin". The zone of the machine has no name of its own,
// and goes by how it is written beside a time.
func Zone(l *time.Location) string {
	if name := l.String(); name != "Local" {
		return name
	}
	return abbreviation(time.Now().In(l))
}
