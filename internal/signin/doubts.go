package signin

import (
	"context"
	"sync"

	"countersign/internal/store"
)

// doubts are rows that are missing or say less than this server knows, where another
// server may have ended what they count a moment ago. That is said in the log: what it
// does not say, once all of it is heard, is an alarm. It is safe for concurrent use.
type doubts struct {
	view store.View
	mu   sync.Mutex
	list map[string]doubt // by what is over where nothing is wrong
}

type doubt struct {
	store.Finding
	ended func() bool
}

// manyDoubts is how many wait at most. Whoever looks again finds what found no room.
const manyDoubts = 1000

// add notes a finding. ended reports whether it was ended rightly; it is asked later.
func (d *doubts) add(name string, f store.Finding, ended func() bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.list == nil {
		d.list = map[string]doubt{}
	}
	if len(d.list) < manyDoubts {
		d.list[name] = doubt{f, ended}
	}
}

// taken returns what waits, and lets go of it.
func (d *doubts) taken() map[string]doubt {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := d.list
	d.list = nil
	return list
}

// settle reports what the log does not explain.
func (d *doubts) settle(ctx context.Context) error {
	list := d.taken()
	if len(list) == 0 {
		return nil
	}
	if err := d.view.Hear(ctx); err != nil {
		for name, one := range list {
			d.add(name, one.Finding, one.ended)
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
