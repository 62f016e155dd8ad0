package store_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"countersign/internal/audit"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// many writes so many entries in few changes.
func many(t *testing.T, db *store.DB, n int) {
	t.Helper()
	for n > 0 {
		err := db.Change(t.Context(), storetest.Actor, func(tx *store.Tx) error {
			for range min(n, 2000) {
				if err := tx.Record(audit.Entry{Event: "test.change", Outcome: audit.OK}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		n -= 2000
	}
	if _, err := db.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
}

const readsGap = "select seq, body, mac from audit_entry"

// A server that was stopped while others wrote for long starts, however long it takes to read
// what they wrote. Its log says how far it is, and who does not want to wait ends it.
func TestAStartAfterLong(t *testing.T) {
	h := &house{t: t, dsn: filepath.Join(t.TempDir(), "test.db"), folder: filepath.Join(t.TempDir(), "remembered"), keys: storetest.Keys(t)}
	h.open()
	h.write(3)
	h.db.Close()
	other := storetest.OpenWith(t, store.Options{DSN: h.dsn}, h.keys)
	many(t, other, 18_000)
	other.Close()
	f := storetest.NewFaults(t, h.dsn)
	start := func(t *testing.T, ctx context.Context, log *bytes.Buffer) error {
		o := h.options()
		o.Driver, o.Log = f.Driver, slog.New(slog.NewTextHandler(log, nil))
		db, err := store.Open(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err = db.UseAuditKeys(ctx, h.keys); err == nil {
			err = change(db, "after all")
		}
		return err
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		f.AroundReads(func(q string) {
			if strings.HasPrefix(q, readsGap) {
				cancel()
			}
		})
		if err := start(t, ctx, new(bytes.Buffer)); !errors.Is(err, context.Canceled) {
			t.Errorf("it was ended: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		f.AroundReads(func(q string) {
			if strings.HasPrefix(q, readsGap) {
				time.Sleep(20 * time.Second)
			}
		})
		began := time.Now()
		if err := start(t, t.Context(), &log); err != nil {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		if took := time.Since(began); took < time.Minute {
			t.Errorf("it took %s: nothing was read", took)
		}
		if !strings.Contains(log.String(), "what this server remembers") || !strings.Contains(log.String(), "read=5003 of=180") {
			t.Errorf("the log says %s", log.String())
		}
	})
}

// sequencesEvery is how often the store looks for what is to be numbered.
const sequencesEvery = 50 * time.Millisecond

// What other servers wrote while one was held up is not read in the transaction that numbers
// entries, for which they wait.
func TestAWideGapIsReadBesideTheLock(t *testing.T) {
	dsn, keys := storetest.Postgres(t), storetest.Keys(t)
	f := storetest.NewFaults(t, dsn)
	db := storetest.OpenWith(t, store.Options{DSN: dsn, Driver: f.Driver}, keys)
	many(t, db, 1)
	before := store.HeadEdge(db)
	many(t, db, 8000)
	var beside, locked atomic.Int64
	count := func(n *atomic.Int64) func(string) {
		return func(q string) {
			if strings.HasPrefix(q, readsGap) {
				n.Add(1)
			}
		}
	}
	f.Around(count(&locked))
	f.AroundReads(count(&beside))
	for try := range 5 { // the watch may have read it by itself
		store.SetHead(db, before)
		if err := change(db, key(try)); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		if beside.Load() > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if locked.Load() != 0 || beside.Load() == 0 {
		t.Errorf("%d pages under the lock, %d beside it", locked.Load(), beside.Load())
	}
	// What is narrow is read where it is.
	narrow := store.HeadEdge(db)
	many(t, db, 10)
	eventually(t, "the sequencer is done with the wide gap", func() bool {
		n := beside.Load()
		time.Sleep(5 * sequencesEvery)
		return beside.Load() == n
	})
	beside.Store(0)
	for range 5 {
		store.SetHead(db, narrow)
		many(t, db, 1)
	}
	if locked.Load() == 0 || beside.Load() != 0 {
		t.Errorf("narrow: %d pages under the lock, %d beside it", locked.Load(), beside.Load())
	}
	if report, err := db.AuditLog().Verify(t.Context()); err != nil || !report.OK() {
		t.Errorf("%+v, %v", report, err)
	}
}

// What is not as this server left it halts it also where the gap is wide.
func TestAWideGapThatIsNotOurs(t *testing.T) {
	dsn := storetest.Postgres(t)
	db := storetest.OpenWith(t, store.Options{DSN: dsn}, storetest.Keys(t))
	many(t, db, 1)
	before := store.HeadEdge(db)
	many(t, db, 6000)
	intruder(t, dsn, "update audit_entry set body = body where seq = 3", "update audit_entry set mac = (select mac from audit_entry where seq = 4) where seq = 3")
	store.SetHead(db, before)
	if err := store.Approach(db); err == nil || db.Condition().Halted() == nil {
		t.Errorf("%v, %v", err, db.Condition().Halted())
	}
}
