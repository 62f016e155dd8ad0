package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// Of twenty changes that send their statements as one, one may ask or write what PostgreSQL
// refuses, or expect what does not happen: it alone is told, and each of the others is made once.
func TestOneOfTwentyIsSpoiled(t *testing.T) {
	const (
		add    = "insert into guess (subject, count, since) values ($1, $2, 1)"
		divide = "select count / (1 - $2) from guess where subject = $1"
	)
	db := storetest.OpenWith(t, store.Options{DSN: storetest.Postgres(t)}, storetest.Keys(t))
	// asking is a change that asks by a divisor and a text, and adds a row.
	asking := func(row, subject string, n int64) store.Shared {
		args := []any{subject, n}
		return store.Shared{Ahead: []store.Ask{{Query: divide, Args: args}}, Do: func(tx *store.Tx) error {
			rows, err := tx.Query(ctx, divide, args...)
			if err != nil {
				return err
			}
			for rows.Next() {
			}
			if err := rows.Err(); err != nil {
				return err
			}
			_, err = tx.Expect(ctx, 1, add, row, int64(7))
			return errors.Join(err, tx.Record(entry(row)))
		}}
	}
	if err := errors.Join(store.Share(db, asking("there", "there", 0))...); err != nil {
		t.Fatal(err)
	}
	for name, spoilt := range map[string]store.Shared{
		"an ask that fails":         asking("an ask", "there", 1),
		"an ask of no UTF-8":        asking("an ask", "\xff", 0),
		"an ask of a zero byte":     asking("an ask", "a\x00b", 0),
		"a row that is there":       asking("there", "there", 0),
		"an insert of no UTF-8":     asking("\xff", "there", 0),
		"an insert of a zero byte":  asking("a\x00b", "there", 0),
		"an insert too long for it": asking(strings.Repeat("0123456789abcdef", 1<<20)+dense(1<<20), "there", 0),
	} {
		all := make([]store.Shared, 20)
		for i := range all {
			all[i] = asking(fmt.Sprint(name, i), "there", 0)
		}
		all[7] = spoilt
		for i, err := range store.Share(db, all...) {
			if (err != nil) != (i == 7) {
				t.Errorf("%s: change %d: %v", name, i, err)
			}
		}
		if n := count(t, db, "select count(*) from guess where subject like $1", name+"%"); n != 19 {
			t.Errorf("%s: %d rows of 19", name, n)
		}
	}
}

// dense is a text of so many octets that cannot be compressed.
func dense(n int) string {
	var b strings.Builder
	for x := uint64(1); b.Len() < n; x = x*6364136223846793005 + 1442695040888963407 {
		fmt.Fprintf(&b, "%016x", x)
	}
	return b.String()
}

// A change that is run again, because a write did not do what was expected, reads what another
// server has written since it read ahead.
func TestWhatWasReadAheadOfAnEarlierTry(t *testing.T) {
	dsn, k := storetest.Postgres(t), storetest.Keys(t)
	db, other := storetest.OpenWith(t, store.Options{DSN: dsn}, k), storetest.OpenWith(t, store.Options{DSN: dsn}, k)
	set := func(n int64) {
		t.Helper()
		if err := other.Housekeep(ctx, "test", func(tx *store.Tx) error {
			_, err := tx.Exec(ctx, setCount, "all", n)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	set(1)
	var found []int64
	err := store.Share(db, store.Shared{Ahead: []store.Ask{{Query: countOf, Args: []any{"all"}}}, Do: func(tx *store.Tx) error {
		n, err := readNumber(tx, countOf, "all")
		if err != nil {
			return err
		}
		if found = append(found, n); len(found) == 1 {
			set(2)
		}
		_, err = tx.Expect(ctx, 2, "insert into guess (subject, count, since) values ('mine', 1, 1)") // 2 is wrong
		return errors.Join(err, tx.Record(entry("again")))
	}})[0]
	if err != nil || fmt.Sprint(found) != "[1 2]" {
		t.Errorf("it read %v, %v", found, err)
	}
}
