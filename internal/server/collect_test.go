package server

import "testing"

// An idle server collects early; under load 48 MB may gather at least, and never more than ten times of
// what is alive.
func TestHowMuchGarbageGathers(t *testing.T) {
	for _, c := range []struct {
		quiet   int
		alive   uint64
		percent int
	}{
		{quietAfter, 10 << 20, 30},
		{quietAfter + 1, 10 << 20, 30},
		{quietAfter - 1, 10 << 20, 400},
		{0, 12 << 20, 400},
		{0, 30 << 20, 200},
		{0, 2 << 30, 200},
		{0, 1 << 20, 1000},
		{0, 0, 1000},
	} {
		if got := percentFor(c.quiet, c.alive); got != c.percent {
			t.Errorf("%d quiet seconds with %d alive: %d %%, not %d", c.quiet, c.alive, got, c.percent)
		}
	}
}
