package throttle

import (
	"cmp"
	"sync"
	"time"
)

// Meter says how often something may happen within a span, an hour unless one is
// given. The zero Meter is of an hour. It is safe for concurrent use.
type Meter struct {
	span  time.Duration
	mu    sync.Mutex
	since time.Time
	taken map[string]int
}

// NewMeter measures by a span.
func NewMeter(span time.Duration) *Meter { return &Meter{span: span} }

// meterKeys bounds the memory of a meter. A key that finds no room has nothing left.
const meterKeys = 10_000

// Take takes one of most for a key, and reports whether there was one.
func (m *Meter) Take(now time.Time, key string, most int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if age := now.Sub(m.since); m.taken == nil || age < 0 || age >= cmp.Or(m.span, time.Hour) {
		m.since, m.taken = now, map[string]int{}
	}
	n, there := m.taken[key]
	if n >= most || !there && len(m.taken) >= meterKeys {
		return false
	}
	m.taken[key] = n + 1
	return true
}
