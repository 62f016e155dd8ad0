package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// together runs n changes so that they share one commit: the first holds up the
// writer until the others wait.
func together(t *testing.T, db *store.DB, n int, fn func(i int, tx *store.Tx) error) []error {
	t.Helper()
	before := db.Condition().Stats()
	entered, release := make(chan bool), make(chan bool)
	var wg sync.WaitGroup
	wg.Go(func() {
		err := db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
			entered <- true
			<-release
			return put(tx, key("holder of ", before.Batches))
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-entered
	errs := make([]error, n)
	queued := make(chan bool, n)
	for i := range n {
		wg.Go(func() {
			queued <- true
			errs[i] = db.Change(ctx, storetest.Actor, func(tx *store.Tx) error { return fn(i, tx) })
		})
	}
	for range n {
		<-queued
	}
	store.WaitQueued(db, n)
	close(release)
	wg.Wait()
	if after := db.Condition().Stats(); after.Batches != before.Batches+2 || after.Requests != before.Requests+int64(n)+1 {
		t.Fatalf("not in one batch: %+v, then %+v", before, after)
	}
	return errs
}

// In one commit: a failure, a refusal kept, a conflict, a panic's neighbour; each
// has its own fate.
func TestOneCommitManyFates(t *testing.T) {
	db, _, _ := faulty(t)
	boom, refused := errors.New("boom"), errors.New("refused")
	errs := together(t, db, 40, func(i int, tx *store.Tx) error {
		switch i % 4 {
		case 1:
			put(tx, key("failed ", i))
			return boom
		case 2:
			if err := put(tx, key("kept ", i)); err != nil {
				return err
			}
			return store.Keep(refused)
		case 3:
			return put(tx, "the same for all")
		}
		return put(tx, key("done ", i))
	})
	won := 0
	rows := spent(t, db)
	for i, err := range errs {
		switch i % 4 {
		case 0:
			if err != nil || !rows[key("done ", i)] {
				t.Errorf("%d: %v", i, err)
			}
		case 1:
			if err != boom || rows[key("failed ", i)] {
				t.Errorf("%d: %v", i, err)
			}
		case 2:
			if err != refused || !rows[key("kept ", i)] {
				t.Errorf("%d: %v", i, err)
			}
		case 3:
			if err == nil {
				won++
			} else if !errors.Is(err, store.ErrConflict) {
				t.Errorf("%d: %v", i, err)
			}
		}
	}
	if won != 1 {
		t.Errorf("%d of 10 won", won)
	}
	verify(t, db)
}

// If the commit fails, every member failed, and nobody was told otherwise.
func TestAFailedCommitFailsEverybody(t *testing.T) {
	db, f, _ := faulty(t)
	if err := change(db, "before"); err != nil {
		t.Fatal(err)
	}
	f.ArmAt("commit", 1, storetest.Before) // not the holder's
	own := errors.New("my own")
	errs := together(t, db, 20, func(i int, tx *store.Tx) error {
		tx.AfterCommit(func() { t.Error("called") })
		if i == 7 {
			return own
		}
		return put(tx, key(i))
	})
	if !f.Disarm() {
		t.Fatal("nothing broke")
	}
	for i, err := range errs {
		if i == 7 && err == own {
			continue
		}
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if n := len(spent(t, db)); n != 2 {
		t.Errorf("%d rows", n)
	}
	if err := db.Condition().Health(ctx); err == nil {
		t.Error("healthy after a failed commit")
	}
	if err := change(db, "after"); err != nil {
		t.Error(err)
	}
	if err := db.Condition().Health(ctx); err != nil {
		t.Errorf("still unhealthy: %v", err)
	}
	verify(t, db)
}

// A caller that goes away while it waits is not run; one that is being run gets
// what really happened.
func TestContextEndsTheWaitOnly(t *testing.T) {
	db, _, _ := faulty(t)
	entered, release := make(chan bool), make(chan bool)
	gone, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		err := db.Change(gone, storetest.Actor, func(tx *store.Tx) error {
			entered <- true
			<-release
			return put(tx, "running")
		})
		if err != nil {
			t.Errorf("running: %v", err)
		}
	})
	<-entered
	left := make(chan bool)
	wg.Go(func() {
		defer close(left)
		err := db.Change(gone, storetest.Actor, func(tx *store.Tx) error { return put(tx, "waiting") })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("waiting: %v", err)
		}
	})
	store.WaitQueued(db, 1)
	cancel()
	<-left // while the first is being run
	close(release)
	wg.Wait()
	if err := change(db, "after"); err != nil {
		t.Fatal(err)
	}
	if rows := spent(t, db); !rows["running"] || rows["waiting"] {
		t.Error(rows)
	}
	verify(t, db)
}
