package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

const (
	countOf  = "select count from guess where subject = $1"
	setCount = "insert into guess (subject, count, since) values ($1, $2, 1) on conflict (subject) do update set count = excluded.count"
	seenOf   = "select seen from known_source where account = $1"
	setSeen  = "insert into known_source (account, source, seen) values ($1, 'here', $2) on conflict (account, source) do update set seen = excluded.seen"
)

func readNumber(tx *store.Tx, query string, arg any) (n int64, err error) {
	err = tx.QueryRow(ctx, query, arg).Scan(&n)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return n, err
}

// counted adds one to a count, which it reads ahead.
func counted(name string, rows int64) store.Shared {
	return store.Shared{Ahead: []store.Ask{{Query: countOf, Args: []any{name}}}, Do: func(tx *store.Tx) error {
		n, err := readNumber(tx, countOf, name)
		if err == nil {
			_, err = tx.Expect(ctx, rows, setCount, name, n+1)
		}
		return errors.Join(err, tx.Record(entry("counted")))
	}}
}

// What several changes of one transaction read ahead, write and read again counts as if each
// had been alone, whatever was expected of the writes.
func TestWhatIsReadAheadIsNotOld(t *testing.T) {
	db := storetest.OpenWith(t, store.Options{DSN: storetest.Postgres(t)}, storetest.Keys(t))
	for _, rows := range []int64{1, 2} { // 2 is wrong
		before := count(t, db, "select coalesce(max(count), 0) from guess")
		if err := errors.Join(store.Share(db, counted("all", rows), counted("all", rows), counted("all", rows))...); err != nil {
			t.Fatal(err)
		}
		if n := count(t, db, countOf, "all") - before; n != 3 {
			t.Errorf("expecting %d rows: three changes counted %d", rows, n)
		}
	}
}

// The same under load, on two servers.
func TestCollisionsWithWhatIsReadAhead(t *testing.T) {
	dsn, k := storetest.Postgres(t), storetest.Keys(t)
	servers := []*store.DB{storetest.OpenWith(t, store.Options{DSN: dsn}, k), storetest.OpenWith(t, store.Options{DSN: dsn}, k)}
	var all sync.WaitGroup
	for _, db := range servers {
		for range 16 {
			all.Go(func() {
				for i := range 5 {
					one := counted("all", 1+int64(i%4/3))
					if err := db.ChangeAhead(ctx, storetest.Actor, one.Ahead, one.Do); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	all.Wait()
	if n := count(t, servers[0], countOf, "all"); n != 160 {
		t.Errorf("counted %d of 160", n)
	}
}

// about notes a time for an account, which it reads ahead and says that it is about.
func about(account, seen int64, found *int64) store.Shared {
	return store.Shared{Ahead: []store.Ask{{Query: seenOf, Args: []any{account}}}, Do: func(tx *store.Tx) (err error) {
		if *found, err = readNumber(tx, seenOf, account); err != nil {
			return err
		}
		if err := tx.About(account); err != nil {
			return err
		}
		_, err = tx.Expect(ctx, 1, setSeen, account, seen)
		return errors.Join(err, tx.Record(entry("about")))
	}}
}

// waitsOf counts how often a server waits for PostgreSQL.
func waitsOf(f *storetest.Faults, do func()) (n int) {
	var mu sync.Mutex
	f.Waits(func(_ int64, together []string) {
		mu.Lock()
		defer mu.Unlock()
		if slices.ContainsFunc(together, func(q string) bool {
			return strings.Contains(q, "known_source") || strings.Contains(q, "guess") || strings.Contains(q, "into audit_inbox")
		}) {
			n++
		}
	})
	do()
	f.Waits(nil)
	mu.Lock()
	defer mu.Unlock()
	return n
}

// Changes that are about different accounts wait twice together. One that is about the same
// account as an earlier one reads what that has written, and so does everybody after a change
// that did not say whom it is about.
func TestAboutOneAccountEach(t *testing.T) {
	dsn := storetest.Postgres(t)
	f := storetest.NewFaults(t, dsn)
	db := storetest.OpenWith(t, store.Options{DSN: dsn, Driver: f.Driver}, storetest.Keys(t))
	var found [3]int64
	share := func(all ...store.Shared) int {
		t.Helper()
		return waitsOf(f, func() {
			if err := errors.Join(store.Share(db, all...)...); err != nil {
				t.Fatal(err)
			}
		})
	}
	if n := share(about(1, 10, &found[0]), about(2, 20, &found[1]), about(3, 30, &found[2])); n != 2 || found != [3]int64{} {
		t.Errorf("different accounts waited %d times and found %v", n, found)
	}
	if share(about(1, 11, &found[0]), about(2, 21, &found[1]), about(1, 12, &found[2])); found != [3]int64{10, 20, 11} {
		t.Errorf("the same account twice found %v", found)
	}
	silent := store.Shared{Do: func(tx *store.Tx) error {
		_, err := tx.Expect(ctx, 1, setSeen, int64(2), 22)
		return errors.Join(err, tx.Record(entry("silent")))
	}}
	if share(about(1, 13, &found[0]), silent, about(2, 23, &found[2])); found[2] != 22 {
		t.Errorf("after a change that said nothing of whom it is about: %v", found)
	}
	elsewhere := about(3, 31, &found[0])
	elsewhere.Do = func(tx *store.Tx) error {
		if err := tx.About(3); err != nil {
			return err
		}
		_, err := tx.Expect(ctx, 1, setSeen, int64(2), 24)
		return errors.Join(err, tx.About(2), tx.Record(entry("two")))
	}
	if share(elsewhere, about(2, 25, &found[2])); found[2] != 24 {
		t.Errorf("after a change that is about two accounts: %v", found)
	}
	late := store.Shared{Do: func(tx *store.Tx) error {
		_, err := tx.Expect(ctx, 1, setSeen, int64(2), 26)
		return errors.Join(err, tx.About(3), tx.Record(entry("late")))
	}}
	if share(late, about(2, 27, &found[2])); found[2] != 26 {
		t.Errorf("after a change that wrote before it said whom it is about: %v", found)
	}
	account := store.Shared{Do: func(tx *store.Tx) error {
		if err := tx.About(3); err != nil {
			return err
		}
		tx.Anchor("account", 2, 1)
		_, err := tx.Expect(ctx, 1, setSeen, int64(2), 28)
		return errors.Join(err, tx.Record(entry("account")))
	}}
	if share(account, about(2, 29, &found[2])); found[2] != 28 {
		t.Errorf("after a change that changed another account than that which it is about: %v", found)
	}
}

// A change reads what it has written itself, and not what it has read ahead.
func TestWhatAChangeWroteItself(t *testing.T) {
	db := storetest.OpenWith(t, store.Options{DSN: storetest.Postgres(t)}, storetest.Keys(t))
	one := counted("all", 1)
	err := store.Share(db, store.Shared{Ahead: one.Ahead, Do: func(tx *store.Tx) error { return errors.Join(one.Do(tx), one.Do(tx)) }})[0]
	if n := count(t, db, countOf, "all"); n != 2 || err != nil {
		t.Errorf("a change that counted twice counted %d, %v", n, err)
	}
}

// A function is told how many rows its write affected, and the error where it fails, as if it
// had waited; the others of its transaction go on.
func TestExpect(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		const take = "insert into spent (credential, once, at) values (1, $1, 1) on conflict do nothing"
		again := func(key string) (n int64, err error) {
			err = db.Change(ctx, storetest.Actor, func(tx *store.Tx) (err error) {
				n, err = tx.Expect(ctx, 1, take, key)
				return errors.Join(err, tx.Record(entry(key)))
			})
			return n, err
		}
		for i, want := range []int64{1, 0, 0} {
			if n, err := again("one"); n != want || err != nil {
				t.Errorf("time %d: %d rows, %v; want %d", i+1, n, err, want)
			}
		}
		err := db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
			_, err := tx.Expect(ctx, 1, "insert into spent (credential, once, at) values (1, $1, 1)", "one")
			return errors.Join(err, tx.Record(entry("one")))
		})
		if !errors.Is(err, store.ErrConflict) {
			t.Errorf("what exists was inserted with %v", err)
		}
		if n := count(t, db, "select count(*) from spent"); n != 1 {
			t.Errorf("%d rows", n)
		}
	})
}

// Of changes that share a transaction one may be refused, or expect what does not happen: the
// others are committed once, and it is told what happened.
func TestOneOfSeveralIsRefused(t *testing.T) {
	db := storetest.OpenWith(t, store.Options{DSN: storetest.Postgres(t)}, storetest.Keys(t))
	taking := func(key string) store.Shared {
		return store.Shared{Do: func(tx *store.Tx) error {
			n, err := tx.Expect(ctx, 1, "insert into spent (credential, once, at) values (1, $1, 1) on conflict do nothing", key)
			switch {
			case err != nil:
				return err
			case n == 0:
				return fmt.Errorf("%s was taken", key)
			}
			return tx.Record(entry(key))
		}}
	}
	own := errors.New("of its own")
	refused := store.Shared{Do: func(tx *store.Tx) error {
		_, err := tx.Expect(ctx, 1, "insert into spent (credential, once, at) values (1, 'refused', 1)")
		return errors.Join(own, err)
	}}
	errs := store.Share(db, taking("a"), refused, taking("b"))
	if errs[0] != nil || !errors.Is(errs[1], own) || errs[2] != nil {
		t.Errorf("%v", errs)
	}
	errs = store.Share(db, taking("c"), taking("a"), taking("d"))
	if errs[0] != nil || errs[1] == nil || errs[1].Error() != "a was taken" || errs[2] != nil {
		t.Errorf("%v", errs)
	}
	rows := spent(t, db)
	if len(rows) != 4 || !rows["a"] || !rows["b"] || !rows["c"] || !rows["d"] {
		t.Errorf("%v", rows)
	}
	verify(t, db)
}

// What was read ahead is read as the columns say, and refused where they cannot be.
func TestValuesReadAhead(t *testing.T) {
	db := storetest.OpenWith(t, store.Options{DSN: storetest.Postgres(t)}, storetest.Keys(t))
	const ask = "select cast($1 as bigint), cast($2 as text), cast($3 as bytea), cast(null as bytea), cast(null as bigint), 1, 1.5::float8"
	args := []any{int64(-7), "text", []byte{0, 1}}
	type number int64
	type name string
	do := func(tx *store.Tx) error {
		var n number
		var s name
		var b, none []byte
		var absent *int64
		var yes bool
		var f float64
		if err := tx.QueryRow(ctx, ask, args...).Scan(&n, &s, &b, &none, &absent, &yes, &f); err != nil {
			return err
		}
		if n != -7 || s != "text" || string(b) != "\x00\x01" || none != nil || absent != nil || !yes || f != 1.5 {
			return fmt.Errorf("%v %v %v %v %v %v %v", n, s, b, none, absent, yes, f)
		}
		var wrong int64
		err := tx.QueryRow(ctx, ask, args...).Scan(&wrong, &wrong, &b, &none, &absent, &yes, &f)
		if err == nil || !strings.Contains(err.Error(), "column 2") {
			return fmt.Errorf("a text was read as a number: %v", err)
		}
		err = tx.QueryRow(ctx, ask, args...).Scan(&n, &s, &b, &none, &wrong, &yes, &f)
		if err == nil || !strings.Contains(err.Error(), "column 5") {
			return fmt.Errorf("null was read as a number: %v", err)
		}
		return tx.Record(entry("values"))
	}
	if err := db.ChangeAhead(context.Background(), storetest.Actor, []store.Ask{{Query: ask, Args: args}}, do); err != nil {
		t.Error(err)
	}
}
