package store_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// until waits for a state, and fails where it does not come.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// closed reports whether a channel is closed.
func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// held is a change that runs until it is let go.
type held struct {
	began chan struct{}
	let   func()
}

// hold runs a change in another goroutine, which does something first, and then waits.
func hold(t *testing.T, all *sync.WaitGroup, db *store.DB, row string, first func(tx *store.Tx) error) *held {
	t.Helper()
	open := make(chan struct{})
	h := &held{began: make(chan struct{}), let: sync.OnceFunc(func() { close(open) })}
	t.Cleanup(h.let)
	var once sync.Once
	all.Go(func() {
		err := db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
			if first != nil {
				if err := first(tx); err != nil {
					return err
				}
			}
			once.Do(func() { close(h.began) })
			<-open
			_, err := tx.Expect(ctx, 1, "insert into spent (credential, once, at) values (1, $1, 1)", row)
			return errors.Join(err, tx.Record(entry(row)))
		})
		if err != nil {
			t.Errorf("%s: %v", row, err)
		}
	})
	return h
}

// boarding is a server on PostgreSQL where one transaction at once reads and calls functions. The
// first change is alone, is not counted, and is let go at the end.
func boarding(t *testing.T) (db *store.DB, f *storetest.Faults, all *sync.WaitGroup) {
	t.Helper()
	dsn := storetest.Postgres(t)
	f = storetest.NewFaults(t, dsn)
	db = storetest.OpenWith(t, store.Options{DSN: dsn, Driver: f.Driver}, storetest.Keys(t))
	store.Board(db, 1)
	all = &sync.WaitGroup{}
	alone := hold(t, all, db, "alone", nil)
	<-alone.began
	if reading, under := store.Boarded(db); reading != 0 || under != 0 {
		t.Errorf("a change that is alone is counted: %d, %d", reading, under)
	}
	t.Cleanup(func() {
		alone.let()
		all.Wait()
		if reading, under := store.Boarded(db); reading != 0 || under != 0 {
			t.Errorf("%d and %d are counted when all is done", reading, under)
		}
		verify(t, db)
	})
	return db, f, all
}

// Who comes while a transaction calls its functions waits, and all who do share the next one.
func TestOneTransactionBoardsAtOnce(t *testing.T) {
	db, _, all := boarding(t)
	before := db.Condition().Stats().Batches
	first := hold(t, all, db, "first", nil)
	<-first.began
	var rest []*held
	for i := range 5 {
		rest = append(rest, hold(t, all, db, key("rest ", i), nil))
	}
	until(t, "one stands before the door and four behind it", func() bool {
		for _, h := range rest {
			if closed(h.began) {
				t.Fatal("a change began while another one was reading")
			}
		}
		return store.Queued(db) == 4
	})
	for _, h := range rest {
		h.let()
	}
	first.let()
	until(t, "all are answered", func() bool { return len(spent(t, db)) == 6 })
	counted := func() int64 { return db.Condition().Stats().Batches - before }
	until(t, "both transactions are counted, which is after their answers", func() bool { return counted() >= 2 })
	if n := counted(); n != 2 {
		t.Errorf("%d transactions for the first and the five that waited; want 2", n)
	}
}

// A transaction that waits for a statement which it did not read ahead holds up nobody.
func TestWhoWaitsForAStatementIsNotCounted(t *testing.T) {
	for name, wait := range map[string]func(tx *store.Tx) error{
		"a write": func(tx *store.Tx) error {
			_, err := tx.Exec(ctx, "delete from guess where subject = 'nobody'")
			return err
		},
		"a read": func(tx *store.Tx) error {
			_, err := readNumber(tx, countOf, "nobody")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			db, _, all := boarding(t)
			slow := hold(t, all, db, "slow", wait)
			<-slow.began
			if reading, under := store.Boarded(db); reading != 0 || under != 0 {
				t.Errorf("%d and %d are counted", reading, under)
			}
			next := hold(t, all, db, "next", nil)
			until(t, "the next one begins", func() bool { return closed(next.began) })
			next.let()
			slow.let()
		})
	}
}

// While one waits for its commit the next one reads, and no third.
func TestOneReadsWhileAnotherCommits(t *testing.T) {
	db, f, all := boarding(t)
	disk := make(chan struct{})
	var commits sync.WaitGroup
	commits.Add(2)
	f.Around(func(query string) {
		if query == "commit" {
			commits.Done()
			<-disk
		}
	})
	for _, row := range []string{"first", "second"} {
		h := hold(t, all, db, row, nil)
		until(t, row+" begins", func() bool { return closed(h.began) })
		h.let()
		until(t, row+" waits for its commit", func() bool { reading, _ := store.Boarded(db); return reading == 0 })
	}
	commits.Wait()
	if _, under := store.Boarded(db); under != 2 {
		t.Errorf("%d are under way; want 2", under)
	}
	third, fourth := hold(t, all, db, "third", nil), hold(t, all, db, "fourth", nil)
	until(t, "one stands before the door and one behind it", func() bool {
		if closed(third.began) || closed(fourth.began) {
			t.Fatal("a third began while two wait for their commit")
		}
		return store.Queued(db) == 1
	})
	f.Around(nil)
	third.let()
	fourth.let()
	close(disk)
}

// Who is run again, or ends its goroutine, is not counted any more.
func TestWhoIsRunAgainIsNotCounted(t *testing.T) {
	dsn, k := storetest.Postgres(t), storetest.Keys(t)
	db, other := storetest.OpenWith(t, store.Options{DSN: dsn}, k), storetest.OpenWith(t, store.Options{DSN: dsn}, k)
	var all sync.WaitGroup
	alone := hold(t, &all, db, "alone", nil)
	<-alone.began
	set := func(db *store.DB, n int64) error {
		return db.Housekeep(ctx, "test", func(tx *store.Tx) error {
			_, err := tx.Exec(ctx, setCount, "all", n)
			return err
		})
	}
	if err := set(other, 1); err != nil {
		t.Fatal(err)
	}
	tries := 0
	err := db.ChangeAhead(ctx, storetest.Actor, []store.Ask{{Query: countOf, Args: []any{"all"}}}, func(tx *store.Tx) error {
		reading, under := store.Boarded(db)
		n, err := readNumber(tx, countOf, "all")
		if tries++; tries == 1 {
			if reading != 1 || under != 1 {
				t.Errorf("%d and %d are counted in the first try", reading, under)
			}
			err = errors.Join(err, set(other, n+1)) // it collides with this
		} else if reading != 0 || under != 0 {
			t.Errorf("%d and %d are counted in another try", reading, under)
		}
		_, more := tx.Expect(ctx, 1, "update guess set count = count + 1 where subject = 'all'")
		return errors.Join(err, more, tx.Record(entry("counted")))
	})
	if n := count(t, db, countOf, "all"); err != nil || tries != 2 || n != 3 {
		t.Errorf("after %d tries it is %d, %v", tries, n, err)
	}
	var exit sync.WaitGroup
	exit.Go(func() {
		db.Change(ctx, storetest.Actor, func(*store.Tx) error { runtime.Goexit(); return nil })
	})
	exit.Wait()
	if reading, under := store.Boarded(db); reading != 0 || under != 0 {
		t.Errorf("%d and %d are counted after one ended its goroutine", reading, under)
	}
	alone.let()
	all.Wait()
}

// stack is that of this goroutine, or of all.
func stack(all bool) string {
	room := make([]byte, 1<<20)
	return string(room[:runtime.Stack(room, all)])
}

// A change that finds everything idle runs in its caller's goroutine, and so does the next one;
// not one whose caller has gone, nor one that finds another.
func TestALoneChangeRunsInItsCaller(t *testing.T) {
	db := storetest.OpenWith(t, store.Options{DSN: storetest.Postgres(t)}, storetest.Keys(t))
	const caller = "testing.tRunner" // this test's
	run := func(ctx context.Context, row string) (here bool, err error) {
		err = db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
			here = strings.Contains(stack(false), caller)
			return put(tx, row)
		})
		return here, err
	}
	for _, row := range []string{"first", "second"} {
		if here, err := run(ctx, row); err != nil || !here {
			t.Errorf("%s ran in its caller's goroutine: %v, %v", row, here, err)
		}
	}
	func() {
		defer func() {
			if recover() != "mine" {
				t.Error("its panic did not reach its caller")
			}
		}()
		db.Change(ctx, storetest.Actor, func(*store.Tx) error { panic("mine") })
	}()
	if here, err := run(ctx, "third"); err != nil || !here {
		t.Errorf("after a panic: %v, %v", here, err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if here, _ := run(gone, "gone"); here {
		t.Error("it ran in the goroutine of a caller that has gone")
	}
	var all sync.WaitGroup
	other := hold(t, &all, db, "other", nil)
	<-other.began
	if here, err := run(ctx, "beside another"); err != nil || here {
		t.Errorf("beside another one: %v, %v", here, err)
	}
	other.let()
	all.Wait()
	verify(t, db)
}

// A change that runs in its caller's goroutine is waited for when the database is closed, so that
// its entry is numbered before.
func TestCloseWaitsForALoneChange(t *testing.T) {
	db := storetest.OpenWith(t, store.Options{DSN: storetest.Postgres(t)}, storetest.Keys(t))
	var all sync.WaitGroup
	alone := hold(t, &all, db, "alone", nil)
	<-alone.began
	over := make(chan struct{})
	all.Go(func() {
		defer close(over)
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	until(t, "Close waits for what runs", func() bool {
		if closed(over) {
			t.Fatal("Close did not wait")
		}
		for one := range strings.SplitSeq(stack(true), "\n\n") {
			if strings.Contains(one, "store.(*postgres).dispatch") && strings.Contains(one, "sync.(*WaitGroup).Wait") {
				return true
			}
		}
		return false
	})
	if err := change(db, "late"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("while it is closed: %v", err)
	}
	alone.let()
	all.Wait()
	if err := change(db, "later"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("when it is closed: %v", err)
	}
}
