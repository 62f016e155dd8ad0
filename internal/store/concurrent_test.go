package store_test

import (
	"errors"
	"runtime"
	"sync"
	"testing"

	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// 64 goroutines on one row and on rows of their own: nothing is lost, nothing
// twice, whatever fails between.
func TestManyAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		const clients, rounds = 64, 10
		boom := errors.New("boom")
		var wg sync.WaitGroup
		for c := range clients {
			wg.Go(func() {
				for i := range rounds {
					fails := (c+i)%5 == 0
					err := db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
						_, err := tx.Exec(ctx, "insert into guess (subject, count, since) values ('all', 1, 1) "+
							"on conflict (subject) do update set count = guess.count + 1")
						if err != nil {
							return err
						}
						if err := put(tx, key(c, "/", i)); err != nil {
							return err
						}
						if fails {
							return boom
						}
						return nil
					})
					if fails != errors.Is(err, boom) || !fails && err != nil {
						t.Errorf("%d/%d: %v", c, i, err)
					}
				}
			})
		}
		wg.Wait()
		want := int64(clients * rounds * 4 / 5)
		if n := count(t, db, "select count from guess where subject = 'all'"); n != want {
			t.Errorf("counted %d, want %d", n, want)
		}
		if n := int64(len(spent(t, db))); n != want {
			t.Errorf("%d rows, want %d", n, want)
		}
		verify(t, db)
	})
}

// One key, many takers: exactly one gets it.
func TestExactlyOneWins(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		for round := range 5 {
			results := make([]error, 32)
			var wg sync.WaitGroup
			for i := range results {
				wg.Go(func() { results[i] = change(db, key("round ", round)) })
			}
			wg.Wait()
			won := 0
			for _, err := range results {
				if err == nil {
					won++
				} else if !errors.Is(err, store.ErrConflict) {
					t.Error(err)
				}
			}
			if won != 1 {
				t.Errorf("%d won", won)
			}
		}
		verify(t, db)
	})
}

// Two transactions that each read what the other writes: one of them must see
// the other's.
func TestSerializable(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		var wg sync.WaitGroup
		for c := range 8 {
			wg.Go(func() {
				err := db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
					n := int64(0)
					if err := tx.QueryRow(ctx, "select count(*) from spent").Scan(&n); err != nil {
						return err
					}
					if n >= 3 {
						return tx.Record(entry("full"))
					}
					return put(tx, key(c))
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := count(t, db, "select count(*) from spent"); n != 3 {
			t.Errorf("%d rows under a limit of 3", n)
		}
	})
}

func TestPanicsAndExitsHitOnlyTheirOwner(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		func() {
			defer func() {
				if p := recover(); p != "mine" {
					t.Errorf("recovered %v", p)
				}
			}()
			db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
				put(tx, "panicked")
				panic("mine")
			})
		}()
		var wg sync.WaitGroup
		returned := false
		wg.Go(func() {
			db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
				put(tx, "exited")
				runtime.Goexit() // as t.FailNow does
				return nil
			})
			returned = true
		})
		wg.Wait()
		if returned {
			t.Error("Change returned although its goroutine was to end")
		}
		if err := change(db, "after"); err != nil {
			t.Fatal(err)
		}
		if rows := spent(t, db); len(rows) != 1 {
			t.Error(rows)
		}
		verify(t, db)
	})
}

func TestClosedIsUnavailable(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := change(db, "a"); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("change: %v", err)
		}
		var s string
		if err := db.QueryRow(ctx, "select once from spent").Scan(&s); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("read: %v", err)
		}
		if err := db.Condition().Health(ctx); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("health: %v", err)
		}
		if db.Feed().Fresh() {
			t.Error("fresh")
		}
		if err := db.Close(); err != nil {
			t.Errorf("closed again: %v", err)
		}
	})
}

// Whoever is in Change while the database is closed gets an answer, a true one.
func TestCloseUnderLoad(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		k := storetest.Keys(t)
		db := storetest.OpenWith(t, store.Options{DSN: dsn}, k)
		var mu sync.Mutex
		done := make(map[string]bool)
		var wg sync.WaitGroup
		started := make(chan bool, 16)
		for c := range 16 {
			wg.Go(func() {
				for i := 0; ; i++ {
					if err := change(db, key(c, "/", i)); err != nil {
						return
					}
					mu.Lock()
					done[key(c, "/", i)] = true
					mu.Unlock()
					if i == 2 {
						started <- true
					}
				}
			})
		}
		for range 16 {
			<-started
		}
		db.Close()
		wg.Wait()
		again := storetest.OpenWith(t, store.Options{DSN: dsn}, k)
		rows := spent(t, again)
		for key := range done {
			if !rows[key] {
				t.Errorf("%s was confirmed and is not there", key)
			}
		}
		verify(t, again)
	})
}
