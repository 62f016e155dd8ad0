package store_test

import (
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// The promise: a server whose clock is behind or ahead finds out: from the database's own
// clock, and from what the log says that has not happened yet by its own.
func TestAWrongClockIsFound(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		k := storetest.Keys(t)
		var skew atomic.Int64
		db := storetest.OpenWith(t, store.Options{DSN: dsn, Now: func() time.Time { return time.Now().Add(time.Duration(skew.Load())) }}, k)
		if c, err := db.Condition().Clock(ctx); err != nil {
			t.Fatal(err)
		} else if by, wrong := c.Wrong(); wrong {
			t.Errorf("a right clock is off by %v", by)
		}
		if err := change(db, "now"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the entry has its number", func() bool {
			n, err := db.AuditLog().Entries(ctx, store.Filter{Limit: 1})
			return err == nil && len(n) > 0
		})
		skew.Store(int64(-2 * time.Minute))
		c, err := db.Condition().Clock(ctx)
		if by, wrong := c.Wrong(); err != nil || !wrong || by < 90*time.Second || by > 2*time.Minute {
			t.Errorf("two minutes behind: %+v, %v", c, err)
		}
		skew.Store(int64(10 * time.Minute))
		c, err = db.Condition().Clock(ctx)
		if by, wrong := c.Wrong(); err != nil || wrong != c.Known || c.Known && by > -9*time.Minute {
			t.Errorf("ten minutes ahead: %+v, %v", c, err)
		}
	})
}
