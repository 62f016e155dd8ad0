package store

import (
	"context"
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

// probe writes without changing anything, if the last write failed, so that health returns
// by itself.
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
