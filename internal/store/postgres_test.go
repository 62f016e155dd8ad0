package store_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// Transactions that collide are run again until each is done, on two servers
// that share one row and one log.
func TestCollisionsAreRunAgain(t *testing.T) {
	dsn := storetest.Postgres(t)
	k := storetest.Keys(t)
	servers := []*store.DB{storetest.OpenWith(t, store.Options{DSN: dsn}, k), storetest.OpenWith(t, store.Options{DSN: dsn}, k)}
	var wg sync.WaitGroup
	for s, db := range servers {
		for c := range 16 {
			wg.Go(func() {
				for i := range 5 {
					err := db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
						var n int64
						err := tx.QueryRow(ctx, "select count from guess where subject = 'all'").Scan(&n)
						if err != nil && !errors.Is(err, store.ErrNotFound) {
							return err
						}
						_, err = tx.Exec(ctx, "insert into guess (subject, count, since) values ('all', $1, 1) "+
							"on conflict (subject) do update set count = $1", n+1) // read, then written: lost unless serializable
						if err != nil {
							return err
						}
						return put(tx, key(s, "/", c, "/", i))
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	if n := count(t, servers[0], "select count from guess where subject = 'all'"); n != 160 {
		t.Errorf("counted %d of 160", n)
	}
	if servers[0].Condition().Stats().Retries+servers[1].Condition().Stats().Retries == 0 {
		t.Error("nothing collided: the test shows nothing")
	}
	verify(t, servers[1])
}

// A caller that goes away in the midst of its change: not written.
func TestContextEndsARunningChange(t *testing.T) {
	dsn := storetest.Postgres(t)
	db := storetest.OpenWith(t, store.Options{DSN: dsn}, storetest.Keys(t))
	gone, cancel := context.WithCancel(ctx)
	err := db.Change(gone, storetest.Actor, func(tx *store.Tx) error {
		if err := put(tx, "a"); err != nil {
			return err
		}
		cancel()
		_, err := tx.Exec(gone, "delete from spent")
		return err
	})
	if !errors.Is(err, context.Canceled) || len(spent(t, db)) > 0 {
		t.Error(err, spent(t, db))
	}
	// Once the function has returned, the change is made whatever the caller does.
	gone, cancel = context.WithCancel(ctx)
	err = db.Change(gone, storetest.Actor, func(tx *store.Tx) error {
		defer cancel()
		return put(tx, "b")
	})
	if err != nil || !spent(t, db)["b"] {
		t.Error(err, spent(t, db))
	}
	verify(t, db)
}

func TestAServerThatDoesNotWaitForItsDisk(t *testing.T) {
	_, err := store.Open(ctx, store.Options{DSN: storetest.Postgres(t) + "&synchronous_commit=off"})
	if err == nil || !strings.Contains(err.Error(), "synchronous_commit") {
		t.Error(err)
	}
}

func TestNoFileToBackUp(t *testing.T) {
	db := storetest.OpenWith(t, store.Options{DSN: storetest.Postgres(t)}, storetest.Keys(t))
	if err := db.Backup(ctx, filepath.Join(t.TempDir(), "x")); err == nil || !strings.Contains(err.Error(), "pg_dump") {
		t.Error(err)
	}
}

// Those who wait share a transaction; one that fails, one that panics and one that
// conflicts cost the others of their batch nothing.
func TestABatchOutlivesItsMembers(t *testing.T) {
	db := storetest.OpenWith(t, store.Options{DSN: storetest.Postgres(t)}, storetest.Keys(t))
	if err := change(db, "there"); err != nil {
		t.Fatal(err)
	}
	for _, spoil := range []struct {
		name string
		fn   func(tx *store.Tx) error
	}{
		{"nobody", func(tx *store.Tx) error { return put(tx, "fine") }},
		{"a failure", func(tx *store.Tx) error { return errors.Join(put(tx, "failed"), errors.New("boom")) }},
		{"a conflict", func(tx *store.Tx) error { return put(tx, "there") }},
		{"a panic", func(*store.Tx) error { panic("mine") }},
	} {
		batches := db.Condition().Stats().Batches
		store.OneLane(db)
		open, began := make(chan struct{}), make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			err := db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
				close(began)
				<-open
				return put(tx, spoil.name+" first")
			})
			if err != nil {
				t.Error(err)
			}
		})
		<-began
		for i := range 8 {
			all.Go(func() {
				if err := change(db, key(spoil.name, i)); err != nil {
					t.Error(spoil.name, err)
				}
			})
		}
		all.Go(func() {
			defer func() { recover() }()
			if err := db.Change(ctx, storetest.Actor, spoil.fn); (err == nil) != (spoil.name == "nobody") {
				t.Error(spoil.name, err)
			}
		})
		store.WaitQueued(db, 8)
		close(open)
		all.Wait()
		rows := spent(t, db)
		for i := range 8 {
			if !rows[key(spoil.name, i)] {
				t.Errorf("%s: %d is confirmed and not there", spoil.name, i)
			}
		}
		if n := db.Condition().Stats().Batches - batches; spoil.name == "nobody" && n != 2 {
			t.Errorf("%d transactions for one and nine that waited", n)
		}
	}
	if spent(t, db)["failed"] {
		t.Error("what failed is there")
	}
	verify(t, db)
}
