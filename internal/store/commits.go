package store

import (
	"log/slog"
	"time"
)

// commits is what both engines do before and after a transaction.
type commits struct {
	log    *slog.Logger
	now    func() time.Time
	known  statements
	counts counts
	health *health
	memory *memory
	feed   *Feed
}

// taken returns the requests of a batch whose callers still wait. From now on these wait
// for the outcome.
func (c *commits) taken(batch []*request, now time.Time) []*request {
	live := batch[:0]
	for _, r := range batch {
		if r.turn.CompareAndSwap(waiting, begun) {
			live = append(live, r)
			c.counts.waited(now.Sub(r.since))
		}
	}
	return live
}

// call runs a request's function in a transaction.
func (c *commits) call(r *request, run runner) {
	r.tx = Tx{run: run, known: &c.known, duty: r.work.duty, now: c.now(), actor: r.work.actor}
	if t, ok := run.(*together); ok {
		r.tx.ahead, r.tx.before = r.ahead, t.wrote
	}
	r.call(c.log)
}

// learn remembers the versions that a committed request left, before its caller is answered.
func (c *commits) learn(r *request) { c.memory.learn(r.tx.stamps, c.now()) }
