package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// health remembers how the last write ended.
type health struct {
	log  *slog.Logger
	last atomic.Pointer[error] // nil after a success
}

// wrote notes how a transaction ended. Only one that wrote something proves that
// writing works again.
func (h *health) wrote(err error, touched bool) {
	switch old := h.last.Load(); {
	case err != nil:
		if h.last.Swap(&err) == nil {
			h.log.Error("the database cannot be written", "error", err)
		}
	case touched && old != nil:
		h.last.Store(nil)
		h.log.Info("the database can be written again")
	}
}

// probe writes something that changes nothing, if the last write failed, so that
// health returns by itself.
func (h *health) probe(ctx context.Context, changes *changes) {
	if h.last.Load() == nil {
		return
	}
	_ = changes.housekeep(ctx, "", func(tx *Tx) error { // its failure is noted
		_, err := tx.run.ExecContext(ctx, "update audit_tree set size = size where id = 1")
		tx.touched++
		return err
	})
}

// healthWait is how long a database may take to answer that it is well: one that
// is frozen keeps its connections and says nothing.
const healthWait = 2 * time.Second

// Health returns an error unless the database can be read within two seconds and the
// last write succeeded. It writes nothing. After a full disk it stays unhealthy until a
// write succeeds; the store tries one every few seconds.
func (db *DB) Health(ctx context.Context) error {
	if db.life.over() {
		return errClosed
	}
	ctx, cancel := context.WithTimeout(ctx, healthWait)
	defer cancel()
	if err := db.changes.engine.present(ctx); err != nil {
		return err
	}
	var one int64
	if err := db.QueryRow(ctx, "select count(*) from audit_tree").Scan(&one); err != nil {
		return err
	}
	if err := db.head.refusal(); err != nil {
		return err
	}
	if p := db.health.last.Load(); p != nil {
		return fmt.Errorf("the last write failed: %w", *p)
	}
	if db.keys.Load() == nil {
		return errors.New("store: the audit log has no keys yet")
	}
	return nil
}

// Stats are counts since the database was opened.
type Stats struct {
	// Batches is the number of transactions tried, Requests the number of changes
	// in them, Largest the most in one, and Retries how often one was run again.
	Batches, Requests, Largest, Retries int64
	// Waited is the total time that requests waited for their turn, and Busy the
	// total time that batches took.
	Waited, Busy time.Duration
}

type counts struct {
	batches, requests, largest, retries, wait, busy atomic.Int64
}

func (c *counts) waited(d time.Duration) { c.wait.Add(int64(d)) }

func (c *counts) batch(n int, d time.Duration) {
	c.batches.Add(1)
	c.requests.Add(int64(n))
	c.busy.Add(int64(d))
	for old := c.largest.Load(); int64(n) > old && !c.largest.CompareAndSwap(old, int64(n)); {
		old = c.largest.Load()
	}
}

// Stats returns the counts so far.
func (db *DB) Stats() Stats {
	c := &db.commits.counts
	return Stats{Batches: c.batches.Load(), Requests: c.requests.Load(), Largest: c.largest.Load(),
		Retries: c.retries.Load(), Waited: time.Duration(c.wait.Load()), Busy: time.Duration(c.busy.Load())}
}
