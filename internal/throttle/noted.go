package throttle

import (
	"sync"
	"time"

	"countersign/internal/assurance"
)

// note is one account and a place that it was granted something from.
type note struct {
	account assurance.AccountID
	source  string
}

// noted is when this server last saw the rows of such notes, so that a sign-in
// from the usual place does not look again: whoever it tells of is no stranger there. A
// row that is gone since, or was changed, is written a day later.
type noted struct {
	mu   sync.Mutex
	last map[note]time.Time
}

// manyNotes is how many notes are remembered before all are forgotten.
const manyNotes = 100_000

// within reports whether the note was made less than a day ago.
func (m *noted) within(n note, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.last[n] // of none the zero time, which is long ago
	return now.Sub(at) < day && !now.Before(at)
}

func (m *noted) keep(n note, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last == nil || len(m.last) >= manyNotes {
		m.last = map[note]time.Time{}
	}
	m.last[n] = at
}
