package store

import (
	"context"
	"sync"
)

// Doubts are rows that are missing or say less than this server knows, where another
// server may have ended what they count a moment ago. That is said in the log: what it
// does not say, once all of it is heard, is an alarm. It is safe for concurrent use.
type Doubts struct {
	view View
	mu   sync.Mutex
	list map[string]unsettled // by what is over where nothing is wrong
}

// NewDoubts has no doubt yet.
func NewDoubts(v View) *Doubts { return &Doubts{view: v} }

// unsettled is one of them.
type unsettled struct {
	Finding
	ended func() bool
}

// manyDoubts is how many wait at most. Whoever looks again finds what found no room.
const manyDoubts = 1000

// Add notes a finding. What is over where nothing is wrong has the name. Ended reports whether
// it was ended rightly; [Doubts.Settle] asks it later.
func (d *Doubts) Add(name string, f Finding, ended func() bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.list == nil {
		d.list = map[string]unsettled{}
	}
	if len(d.list) < manyDoubts {
		d.list[name] = unsettled{f, ended}
	}
}

// taken returns what waits, and lets go of it.
func (d *Doubts) taken() map[string]unsettled {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := d.list
	d.list = nil
	return list
}

// Settle reports what the log does not explain. Where the log cannot be heard now, the doubts
// wait for the next time.
func (d *Doubts) Settle(ctx context.Context) error {
	list := d.taken()
	if len(list) == 0 {
		return nil
	}
	if err := d.view.Hear(ctx); err != nil {
		for name, one := range list {
			d.Add(name, one.Finding, one.ended)
		}
		return err
	}
	for _, one := range list {
		if !one.ended() {
			d.view.Report(one.Finding)
		}
	}
	return nil
}
