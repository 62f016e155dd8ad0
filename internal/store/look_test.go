package store

import (
	"testing"
	"time"
)

// The promise of one second: a server that hears of changes has looked twice by then,
// with room for a slow one, and one that has not heard for so long trusts no memory.
func TestLooksAreWithinTheSecond(t *testing.T) {
	if feedStale > time.Second || 4*feedPoll > feedStale {
		t.Errorf("looks every %s, and memory is trusted for %s", feedPoll, feedStale)
	}
}
