package webpush

import (
	"sync"
	"time"
)

// rests are push services that gave no answer. Each is left alone for a while, so that one
// that hangs holds up few pushes to others. An answer is never a reason to: it may be of one
// browser alone, whose owner could silence those of everybody else.
type rests struct {
	mu  sync.Mutex
	all map[string]rest // by host
}

type rest struct {
	until time.Time
	pause time.Duration
}

// How long a service is left alone, twice as long each time; and how many are remembered.
const (
	firstRest   = 5 * time.Second
	longestRest = time.Minute
	mostRests   = 1000
)

// over reports whether a service may be asked.
func (r *rests) over(host string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !now.Before(r.all[host].until)
}

// begin leaves a service alone from now on.
func (r *rests) begin(host string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.all[host]
	if now.Before(was.until) {
		return // several waited for the same silence
	}
	if r.all == nil || len(r.all) >= mostRests {
		r.all = map[string]rest{}
	}
	pause := min(max(2*was.pause, firstRest), longestRest)
	r.all[host] = rest{now.Add(pause), pause}
}

// end forgets that a service was silent.
func (r *rests) end(host string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, host)
}
