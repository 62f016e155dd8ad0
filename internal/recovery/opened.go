package recovery

import (
	"slices"
	"sync"
	"time"

	"countersign/internal/assurance"
)

// mostOpeners bounds of how many people is remembered what they opened.
const mostOpeners = 10_000

// opened is what this server itself saw somebody open within a day: rows that are gone make
// it no less.
type opened struct {
	mu sync.Mutex
	by map[assurance.AccountID][]time.Time
}

func (o *opened) note(opener assurance.AccountID, at time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.by == nil {
		o.by = map[assurance.AccountID][]time.Time{}
	}
	if len(o.by) >= mostOpeners {
		for id := range o.by {
			o.keep(id, at)
		}
	}
	if len(o.by) < mostOpeners || o.by[opener] != nil {
		o.by[opener] = append(o.by[opener], at)
	}
}

func (o *opened) count(opener assurance.AccountID, now time.Time) int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.keep(opener, now)
	return int64(len(o.by[opener]))
}

// keep forgets what is longer ago than a day.
func (o *opened) keep(opener assurance.AccountID, now time.Time) {
	left := slices.DeleteFunc(o.by[opener], func(at time.Time) bool { return !at.After(now.Add(-24 * time.Hour)) })
	if len(left) == 0 {
		delete(o.by, opener)
		return
	}
	o.by[opener] = left
}
