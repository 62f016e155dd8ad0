package store_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// sentWith are the statements about a table that a server sent while something was done.
func sentWith(f *storetest.Faults, table string, do func()) (all []string) {
	var mu sync.Mutex
	f.Waits(func(_ int64, together []string) {
		mu.Lock()
		defer mu.Unlock()
		for _, q := range together {
			if strings.Contains(q, table) {
				all = append(all, q)
			}
		}
	})
	do()
	f.Waits(nil)
	mu.Lock()
	defer mu.Unlock()
	return all
}

// Changes that share a transaction, and ask and write the same of other rows, send one statement
// for all of them, and each gets its own rows.
func TestOneStatementForAllThatAreAlike(t *testing.T) {
	dsn := storetest.Postgres(t)
	f := storetest.NewFaults(t, dsn)
	db := storetest.OpenWith(t, store.Options{DSN: dsn, Driver: f.Driver}, storetest.Keys(t))
	var found [5]int64
	var all []store.Shared
	for round := range 2 { // the first makes the rows, the second finds them
		all = nil
		for i := range found {
			all = append(all, about(int64(i+1), int64(100*round+i+10), &found[i]))
		}
		sent := sentWith(f, "known_source", func() {
			if err := errors.Join(store.Share(db, all...)...); err != nil {
				t.Fatal(err)
			}
		})
		if len(sent) != 2 {
			t.Errorf("%d statements were sent for five changes that are alike; want 2:\n%s", len(sent), strings.Join(sent, "\n"))
		}
	}
	if found != [5]int64{10, 11, 12, 13, 14} {
		t.Errorf("they found %v", found)
	}
	if n := count(t, db, "select count(*) from known_source where seen = 109 + account"); n != 5 {
		t.Errorf("%d of 5 rows are as they were written", n)
	}
}

// written is a change that reads nothing and writes as it expects.
func written(rows int64, query string, args ...any) store.Shared {
	return store.Shared{Do: func(tx *store.Tx) error {
		_, err := tx.Expect(ctx, rows, query, args...)
		return errors.Join(err, tx.Record(entry("written")))
	}}
}

// Inserts, updates and deletes that are alike count as if each had been alone: also those that
// find no row, or the same one, and those between which something else is written.
func TestWritesThatAreAlike(t *testing.T) {
	const (
		add    = "insert into guess (subject, count, since) values ($1, $2, 1)"
		take   = "insert into guess (subject, count, since) values ($1, $2, 1) on conflict do nothing"
		set    = "update guess set count = $1 where subject = $2"
		more   = "update guess set count = count + $1 where subject = $2"
		remove = "delete from guess where subject = $1"
	)
	db := storetest.OpenWith(t, store.Options{DSN: storetest.Postgres(t)}, storetest.Keys(t))
	share := func(all ...store.Shared) []error {
		t.Helper()
		return store.Share(db, all...)
	}
	is := func(when, want string) {
		t.Helper()
		var got []string
		rows, err := db.Query(ctx, "select subject, count from guess order by subject")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var subject string
			var n int64
			if err := rows.Scan(&subject, &n); err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(subject, n))
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
	all := func(when, want string, changes ...store.Shared) {
		t.Helper()
		if err := errors.Join(share(changes...)...); err != nil {
			t.Errorf("%s: %v", when, err)
		}
		is(when, want)
	}
	all("added", "a1 b2 c3", written(1, add, "a", 1), written(1, add, "b", int32(2)), written(1, add, "c", int64(3)))
	all("set", "a10 b20 c30", written(1, set, 10, "a"), written(1, set, 20, "b"), written(1, set, 30, "c"))
	all("of one row twice", "a15 b20 c30", written(1, more, 2, "a"), written(1, more, 3, "a"))
	all("of no row", "a15 b21 c30", written(1, set, 9, "nobody"), written(1, set, 21, "b"))
	all("taken twice", "a15 b21 c30 d1", written(1, take, "d", 1), written(1, take, "d", 2), written(1, take, "a", 3))
	all("removed and added between", "a16 b22 c30 d7", written(1, set, 16, "a"), written(1, remove, "d"), written(1, add, "d", 7), written(1, set, 22, "b"))
	all("added, removed, added", "a16 b22 c30 d9 e1", written(1, remove, "d"), written(1, add, "d", 9), written(1, add, "e", 1))
	all("set behind another write of the row", "a17 b5 c30 d9 e1", written(1, set, 17, "a"), written(1, more, 10, "b"), written(1, set, 5, "b"))
	all("removed", "d9 e1", written(1, remove, "a"), written(1, remove, "b"), written(1, remove, "c"))
	if errs := share(written(1, add, "f", 1), written(1, add, "d", 1)); errs[0] != nil || !errors.Is(errs[1], store.ErrConflict) {
		t.Errorf("a row that is there was added: %v", errs)
	}
	is("one that is there", "d9 e1 f1")
}

// A write that affects too many rows does not stand for one that affects none, and one that reads
// what the others of its text write reads that.
func TestAlikeOnlyInTheirText(t *testing.T) {
	db := storetest.OpenWith(t, store.Options{DSN: storetest.Postgres(t)}, storetest.Keys(t))
	exactly := func(query string, args ...any) store.Shared {
		return store.Shared{Do: func(tx *store.Tx) error {
			n, err := tx.Expect(ctx, 1, query, args...)
			if err == nil && n != 1 {
				err = fmt.Errorf("%d rows", n)
			}
			return errors.Join(err, tx.Record(entry("exactly")))
		}}
	}
	const add = "insert into guess (subject, count, since) values ($1, $2, $3)"
	if err := errors.Join(store.Share(db, exactly(add, "a", 1, 1), exactly(add, "b", 1, 1), exactly(add, "c", 1, 2))...); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{"update guess set count = 9 where since = $1", "delete from guess where since = $1"} {
		errs := store.Share(db, exactly(query, 1), exactly(query, 7))
		if fmt.Sprint(errs) != "[2 rows 0 rows]" {
			t.Errorf("%s: %v", query, errs)
		}
	}
	if n := count(t, db, "select sum(count) from guess"); n != 3 {
		t.Errorf("what was refused was written: the counts are %d together", n)
	}
	const next = "insert into guess (subject, count, since) values ($1, (select count(*) from guess), 1)"
	if err := errors.Join(store.Share(db, exactly(next, "d"), exactly(next, "e"))...); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db, "select count from guess where subject = 'e'"); n != 4 {
		t.Errorf("the second of two counted %d rows; want 4", n)
	}
}

// What PostgreSQL does not understand for several at once is sent for each, from then on.
func TestWhatIsNotUnderstoodForSeveral(t *testing.T) {
	const add = "insert into guess (subject, count, since, retry) values ($1, $2, 1, default)" // there is no default in a select
	dsn := storetest.Postgres(t)
	f := storetest.NewFaults(t, dsn)
	db := storetest.OpenWith(t, store.Options{DSN: dsn, Driver: f.Driver}, storetest.Keys(t))
	for round, want := range []int{3, 2} {
		sent := sentWith(f, "guess", func() {
			err := errors.Join(store.Share(db, written(1, add, fmt.Sprint("a", round), 1), written(1, add, fmt.Sprint("b", round), 2))...)
			if err != nil {
				t.Fatal(err)
			}
		})
		if len(sent) != want {
			t.Errorf("%d statements; want %d:\n%s", len(sent), want, strings.Join(sent, "\n"))
		}
	}
	if n := count(t, db, "select sum(count) from guess"); n != 6 {
		t.Errorf("the counts are %d together, want 6", n)
	}
}
