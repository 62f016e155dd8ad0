package approval

import (
	"testing"
	"time"
)

// Quiet hours go by the clock on the wall: over midnight, and when it is put
// forward or back.
func TestQuietHoursCover(t *testing.T) {
	night, err := ReadQuietHours("22:00", "07:00", "Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	noon, err := ReadQuietHours("12:00", "13:30", "America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	early, err := ReadQuietHours("02:15", "02:45", "Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		q    QuietHours
		at   string
		want bool
	}{
		{night, "2026-07-01T19:59:59Z", false}, {night, "2026-07-01T20:00:00Z", true}, {night, "2026-07-02T04:59:59Z", true}, {night, "2026-07-02T05:00:00Z", false},
		{night, "2026-12-01T20:59:59Z", false}, {night, "2026-12-01T21:00:00Z", true}, {night, "2026-12-02T06:00:00Z", false},
		{noon, "2026-12-01T16:59:00Z", false}, {noon, "2026-12-01T17:00:00Z", true}, {noon, "2026-12-01T18:29:00Z", true}, {noon, "2026-12-01T18:30:00Z", false},
		{early, "2026-10-25T00:20:00Z", true}, {early, "2026-10-25T01:20:00Z", true}, // the hour that comes twice
		{early, "2026-03-29T00:59:00Z", false}, {early, "2026-03-29T01:20:00Z", false}, // the hour that is left out
		{QuietHours{}, "2026-07-01T00:00:00Z", false},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if c.q.Cover(at) != c.want {
			t.Errorf("%s at %s: %v", c.q, c.at, !c.want)
		}
	}
}

func TestReadQuietHours(t *testing.T) {
	for _, c := range [][3]string{{"22", "07:00", "UTC"}, {"24:00", "07:00", "UTC"}, {"22:00", "", "UTC"}, {"22:00", "07:00", ""}, {"22:00", "07:00", "Local"},
		{"22:00", "07:00", "Nowhere/None"}, {"22:00", "07:00", "../../etc/passwd"}, {"07:00", "19:01", "UTC"}, {"22:00", "22:00", "UTC"}} {
		if q, err := ReadQuietHours(c[0], c[1], c[2]); err == nil {
			t.Errorf("%v was read as %s", c, q)
		}
	}
	if q, err := ReadQuietHours("07:00", "19:00", "UTC"); err != nil || q.String() != "07:00 to 19:00, UTC" {
		t.Errorf("%s, %v", q, err)
	}
}
