package cli

import (
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/alecthomas/kong"

	words "countersign/internal/text"
)

// useZone makes a zone the one in which every moment is printed, and in which a day or a
// time without a zone is read. It is for the start of the program: time.Local is shared.
func useZone(name string) error {
	if name == "" {
		return nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return fmt.Errorf("--zone %q is no zone of the time zone database, such as Europe/Berlin or UTC", name)
	}
	time.Local = zone
	return nil
}

// moment writes a moment in the chosen zone, and names the zone.
func moment(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }

// clock writes the time of a moment's day, and names the zone.
func clock(t time.Time) string { return t.Local().Format("15:04:05 MST") }

// ago reads what --since and --until take: a length of time before now, a day or a minute of
// the chosen zone, or a moment with its zone. Whatever else it is, the server refuses.
func ago(s string, now time.Time) string {
	if d, err := words.Duration(s); err == nil && d >= 0 {
		return now.Add(-d).UTC().Format(time.RFC3339)
	}
	for _, form := range []string{time.DateOnly, "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(form, s, time.Local); err == nil {
			return t.UTC().Format(time.RFC3339)
		}
	}
	return s
}

// day is what --until takes of a day to come: a length of time from now, or the day itself.
func day(s string, now time.Time) string {
	if d, err := words.Duration(s); err == nil && d > 0 {
		return now.Add(d).UTC().Format(time.DateOnly)
	}
	return s
}

// lengths reads a length of time into a whole number of units. A number alone counts units,
// as the API does.
func lengths(unit time.Duration, example string) kong.MapperFunc {
	return func(ctx *kong.DecodeContext, target reflect.Value) error {
		var s string
		if err := ctx.Scan.PopValueInto("length of time", &s); err != nil {
			return err
		}
		if n, err := strconv.ParseInt(s, 10, 32); err == nil && n > 0 {
			target.SetInt(n)
			return nil
		}
		d, err := words.Duration(s)
		if err != nil || d <= 0 || d%unit != 0 {
			return fmt.Errorf("%q is no length of time such as %s", s, example)
		}
		target.SetInt(int64(d / unit))
		return nil
	}
}
