package store

import (
	"log/slog"
	"time"
)

// commits is what both engines do before and after the transactions that they run.
type commits struct {
	log    *slog.Logger
	now    func() time.Time
	known  statements
	counts counts
	health *health
	memory *memory
	feed   *Feed
}

// taken keeps those of a batch whose callers still wait, from now on for its outcome.
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
	r.call(c.log)
}

// learn takes in what a request left, after it was committed and before anybody is answered.
func (c *commits) learn(r *request) { c.memory.learn(r.tx.stamps, c.now()) }
