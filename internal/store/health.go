package store

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// health remembers how the last write ended.
type health struct {
	last atomic.Pointer[error] // nil after a success
}

func (h *health) wrote(err error) {
	if err == nil {
		h.last.Store(nil)
		return
	}
	h.last.Store(&err)
}

// Health says whether the database can be read now and the last write to it
// succeeded. It writes nothing. A disk that filled up stays unhealthy until a
// write succeeds again; the store itself tries every few seconds.
func (db *DB) Health(ctx context.Context) error {
	select {
	case <-db.stop:
		return errClosed
	default:
	}
	var one int64
	if err := db.QueryRow(ctx, "select count(*) from audit_tree").Scan(&one); err != nil {
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

// Backup writes a consistent copy of the database to a new file, while it runs.
// Only for SQLite; with PostgreSQL it is an error that names pg_dump.
func (db *DB) Backup(ctx context.Context, path string) error {
	return db.engine.backup(ctx, path)
}

// Stats count since the database was opened.
type Stats struct {
	// Batches is how many transactions were tried, Requests how many changes
	// and chores they carried, Largest the most in one, and Retries how often
	// one was run again.
	Batches, Requests, Largest, Retries int64
	// Waited is the time that requests waited for their turn, all together, and
	// Busy the time that batches took.
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

// Stats returns what was counted so far.
func (db *DB) Stats() Stats {
	c := &db.counts
	return Stats{Batches: c.batches.Load(), Requests: c.requests.Load(), Largest: c.largest.Load(),
		Retries: c.retries.Load(), Waited: time.Duration(c.wait.Load()), Busy: time.Duration(c.busy.Load())}
}
