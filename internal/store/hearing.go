package store

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"countersign/internal/audit"
)

// hearing is how far the watch has read the log, for callers that must know all of it.
type hearing struct {
	rows *reads
	head *head
	life *life

	caughtUp atomic.Bool  // the log was read to its end since the start
	read     atomic.Int64 // number of entries that the watch has read
	asked    chan bool    // a caller waits for new entries
}

var errBehind = fmt.Errorf("store: the newest entries of the log were not read yet: %w", ErrUnavailable)

// all waits until this server has read all entries that are committed now.
func (h *hearing) all(ctx context.Context) error {
	if err := h.head.refusal(); err != nil {
		return err // the watch reads nothing any more
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 15*time.Second, errBehind)
	defer cancel()
	var last int64
	if err := h.rows.QueryRow(ctx, "select coalesce(max(id), 0) from audit_inbox").Scan(&last); err != nil {
		return err
	}
	err := h.until(ctx, func() (bool, error) {
		var waits int64
		err := h.rows.QueryRow(ctx, "select count(*) from audit_inbox where id <= $1", last).Scan(&waits)
		return waits == 0, err
	})
	if err != nil {
		return err
	}
	edge, _, err := readTree(ctx, h.rows.runner())
	if err != nil {
		return err
	}
	var tree audit.Tree
	if err := tree.UnmarshalBinary(edge); err != nil {
		return err
	}
	select {
	case h.asked <- true:
	default: // the watch is about to read
	}
	return h.until(ctx, func() (bool, error) {
		return max(h.read.Load(), sizeOf(h.head.learntEdge())) >= tree.Size(), nil // a single server knows what it wrote itself
	})
}

// until asks repeatedly until the condition holds.
func (h *hearing) until(ctx context.Context, so func() (bool, error)) error {
	for {
		if is, err := so(); err != nil || is {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-h.life.stop:
			return errClosed
		case <-time.After(20 * time.Millisecond):
		}
	}
}
