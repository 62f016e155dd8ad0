package throttle

import (
	"fmt"
	"testing"
	"time"
)

// A meter counts so many keys at most: those that it counts go on, and a new one has
// nothing left until the span is over.
func TestAMeterIsBounded(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	m := NewMeter(time.Minute)
	for i := range meterKeys {
		if !m.Take(now, fmt.Sprint(i), 2) {
			t.Fatalf("no room for key %d", i)
		}
	}
	for _, c := range []struct {
		key   string
		after time.Duration
		want  bool
	}{{"new", 0, false}, {"7", 0, true}, {"7", 0, false}, {"8", time.Minute - 1, true}, {"new", 0, false}, {"new", 1, true}, {"7", 0, true}, {"8", -time.Hour, true}, {"8", 0, true}, {"8", 0, false}} {
		now = now.Add(c.after)
		if got := m.Take(now, c.key, 2); got != c.want {
			t.Errorf("%s, %s later: %t", c.key, c.after, got)
		}
	}
	var hour Meter
	if !hour.Take(now, "x", 1) || hour.Take(now.Add(time.Hour-1), "x", 1) || !hour.Take(now.Add(time.Hour), "x", 1) {
		t.Error("a meter without a span is not of an hour")
	}
}
