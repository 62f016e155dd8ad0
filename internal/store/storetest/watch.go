package storetest

import (
	"sync"
	"time"
)

// Watch is a clock that stands still until it is moved. It is safe for concurrent use.
type Watch struct {
	mu  sync.Mutex
	now time.Time
}

// NewWatch stands at a moment.
func NewWatch(at time.Time) *Watch { return &Watch{now: at} }

// Now is where it stands.
func (w *Watch) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// Later moves it; a negative time moves it back.
func (w *Watch) Later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}
