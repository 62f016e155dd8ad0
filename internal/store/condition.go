package store

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Condition tells how a database is: whether it can be read and written, how its clock is,
// and what it has done. It changes nothing, and is safe for concurrent use.
type Condition struct {
	now     func() time.Time
	rows    *reads
	changes *changes                   // whether the database is still there
	keys    *atomic.Pointer[AuditKeys] // nil in it before they are there
	head    *head
	life    *life
	health  *health
	counts  *counts
	feed    *Feed
}

// Condition returns what tells how the database is.
func (db *DB) Condition() *Condition { return db.condition }

// Halted returns why the store refuses changes, or nil if it accepts them.
func (c *Condition) Halted() error { return c.head.refusal() }

// healthWait limits the wait for an answer of the database: a frozen one keeps its
// connections and does not answer.
const healthWait = 2 * time.Second

// Health returns an error unless the database can be read within two seconds and the
// last write succeeded. It writes nothing. After a full disk it stays unhealthy until a
// write succeeds; the store tries one every few seconds.
func (c *Condition) Health(ctx context.Context) error {
	if c.life.over() {
		return errClosed
	}
	ctx, cancel := context.WithTimeout(ctx, healthWait)
	defer cancel()
	if err := c.changes.engine.present(ctx); err != nil {
		return err
	}
	var one int64
	if err := c.rows.QueryRow(ctx, "select count(*) from audit_tree").Scan(&one); err != nil {
		return err
	}
	if err := c.head.refusal(); err != nil {
		return err
	}
	if p := c.health.last.Load(); p != nil {
		return fmt.Errorf("the last write failed: %w", *p)
	}
	if c.keys.Load() == nil {
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

// Stats returns the counts so far.
func (c *Condition) Stats() Stats {
	n := c.counts
	return Stats{Batches: n.batches.Load(), Requests: n.requests.Load(), Largest: n.largest.Load(),
		Retries: n.retries.Load(), Waited: time.Duration(n.wait.Load()), Busy: time.Duration(n.busy.Load())}
}
