package throttle

import "testing"

// Alarms are raised at each power of ten, and not in between.
func TestAlarming(t *testing.T) {
	for n, want := range map[int]bool{0: false, 1: false, 19: false, 20: true, 21: false, 99: false, 100: true, 101: false, 1000: true, 1001: false, 10_000: true, 10_001: false, 100_000: true, 100_001: false} {
		if s := (subject{count: n, step: 1}); s.passed(alarming[:]) != want {
			t.Errorf("%d: %t", n, !want)
		}
	}
}
