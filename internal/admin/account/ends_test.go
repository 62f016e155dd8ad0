package account

import (
	"testing"
	"time"
)

// An end is a length of time, a moment or never, at least a minute and at most 366 days away;
// what is approved says it as it was written.
func TestEnd(t *testing.T) {
	now := time.Date(2026, 11, 29, 23, 0, 0, 500, time.UTC)
	for _, c := range []struct {
		written string
		after   time.Duration // 0 is refused
		words   string
	}{
		{"1m", time.Minute, "ends 1m after this"},
		{"59s", 0, "ends \"59s\""},
		{"10m", 10 * time.Minute, "ends 10m after this"},
		{"1h30m", 90 * time.Minute, "ends 1h30m after this"},
		{"90d", 90 * 24 * time.Hour, "ends 90d after this"},
		{"366d", 366 * 24 * time.Hour, "ends 366d after this"},
		{"367d", 0, "ends \"367d\""},
		{"8785h", 0, "ends \"8785h\""},
		{"0s", 0, "ends \"0s\""},
		{"0d", 0, "ends \"0d\""},
		{"-1d", 0, "ends \"-1d\""},
		{"-24h", 0, "ends \"-24h\""},
		{"99999d", 0, "ends \"99999d\""},
		{"9999999999999h", 0, "ends \"9999999999999h\""},
		{"tomorrow", 0, "ends \"tomorrow\""},
		{"10", 0, "ends \"10\""},
		{"Never", 0, "ends \"Never\""},
		{"2026-11-30T01:00:00+01:00", time.Hour, "ends at 2026-11-30T00:00:00Z"},
		{"2026-11-29T23:00:59Z", 0, "ends at 2026-11-29T23:00:59Z"},
		{"2026-11-29T22:00:00Z", 0, "ends at 2026-11-29T22:00:00Z"},
		{"2027-12-01T00:00:00Z", 0, "ends at 2027-12-01T00:00:00Z"},
		{"0001-01-01T00:00:00Z", 0, "ends \"0001-01-01T00:00:00Z\""},
		{"2026-11-30", 0, "ends \"2026-11-30\""},
	} {
		got, err := end(c.written).from(now)
		if (err != nil) != (c.after == 0) || err == nil && !got.Equal(now.Add(c.after).Truncate(time.Second)) {
			t.Errorf("%s: %v, %v", c.written, got, err)
		}
		if words := end(c.written).words(); words != c.words {
			t.Errorf("%s reads %q", c.written, words)
		}
	}
	for _, none := range []end{"", never} {
		if got, err := none.from(now); err != nil || !got.IsZero() || none.words() != "has no end" {
			t.Errorf("%q: %v, %v, %q", none, got, err, none.words())
		}
	}
}
