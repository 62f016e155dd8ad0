package store

import (
	"context"
	"fmt"
	"time"

	"countersign/internal/audit"
)

// Stands is [DB.Older] for whoever reports it: it is false as well where the row was
// removed since it was read.
func (db *DB) Stands(ctx context.Context, kind string, number int64, again string) bool {
	newest := db.memory.newest(kind, number) // first: it may be changed once more meanwhile
	var now int64
	err := db.QueryRow(ctx, again, number).Scan(&now)
	return err == nil && now < newest
}

// Lost reports whether a known row is missing although no change removed it. There must
// report whether the committed row exists. It is for sweeps: a change that removed the row
// may be committed and not be known here yet, so if the row does not exist Lost waits,
// for some seconds at most, until this server has read the log up to now.
func (db *DB) Lost(ctx context.Context, kind string, number int64, there func(context.Context) (bool, error)) (bool, error) {
	known := func() bool {
		newest := db.memory.newest(kind, number)
		return newest != 0 && newest != Gone
	}
	if !known() {
		return false, nil
	}
	if is, err := there(ctx); err != nil || is {
		return false, err
	}
	if err := db.hearAll(ctx); err != nil || !known() {
		return false, err
	}
	is, err := there(ctx)
	return err == nil && !is, err
}

// Hear waits until this server has read all entries that are committed now, for some
// seconds at most.
func (db *DB) Hear(ctx context.Context) error { return db.hearAll(ctx) }

var errBehind = fmt.Errorf("store: the newest entries of the log were not read yet: %w", ErrUnavailable)

// hearAll waits until this server knows what every entry says that is committed now.
func (db *DB) hearAll(ctx context.Context) error {
	if err := db.head.refusal(); err != nil {
		return err // nothing is learnt any more
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 15*time.Second, errBehind)
	defer cancel()
	var last int64
	if err := db.QueryRow(ctx, "select coalesce(max(id), 0) from audit_inbox").Scan(&last); err != nil {
		return err
	}
	err := db.until(ctx, func() (bool, error) {
		var waits int64
		err := db.QueryRow(ctx, "select count(*) from audit_inbox where id <= $1", last).Scan(&waits)
		return waits == 0, err
	})
	if err != nil {
		return err
	}
	edge, _, err := readTree(ctx, db.reads.runner())
	if err != nil {
		return err
	}
	var tree audit.Tree
	if err := tree.UnmarshalBinary(edge); err != nil {
		return err
	}
	select {
	case db.listen <- true:
	default: // it is about to read
	}
	return db.until(ctx, func() (bool, error) {
		return max(db.heard.Load(), sizeOf(db.head.learntEdge())) >= tree.Size(), nil // a server alone knows what it wrote
	})
}

// until asks again and again, until it is so.
func (db *DB) until(ctx context.Context, so func() (bool, error)) error {
	for {
		if is, err := so(); err != nil || is {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-db.life.stop:
			return errClosed
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Twice collects rows that were missing in two consecutive rounds of a sweep: by then this
// server knows of those that another server ended. It is not safe for concurrent use.
type Twice[V any] struct{ before map[string]V }

// Missed takes in what a round missed, and returns what the round before missed as well.
func (t *Twice[V]) Missed(now map[string]V) map[string]V {
	twice := map[string]V{}
	for key, v := range now {
		if _, was := t.before[key]; was {
			twice[key] = v
		}
	}
	t.before = now
	return twice
}
