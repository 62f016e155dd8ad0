package store_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

func TestMain(m *testing.M) {
	if os.Getenv(victimDSN) != "" {
		victim()
		return
	}
	storetest.Main(m)
}

var ctx = context.Background()

// entry is an entry that says which change it belongs to.
func entry(what string) audit.Entry {
	return audit.Entry{Event: "test.change", Outcome: audit.OK, AccountName: what}
}

// put inserts a row into spent, recorded under its key.
func put(tx *store.Tx, key string) error {
	if _, err := tx.Exec(ctx, "insert into spent (credential, once, at) values (1, $1, $2)", key, store.Unix(tx.Now())); err != nil {
		return err
	}
	return tx.Record(entry(key))
}

func change(db *store.DB, key string) error {
	return db.Change(ctx, storetest.Actor, func(tx *store.Tx) error { return put(tx, key) })
}

// count answers a query for one number.
func count(t testing.TB, r store.Reader, query string, args ...any) int64 {
	t.Helper()
	var n int64
	if err := r.QueryRow(ctx, query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// spent returns the keys that are in the table.
func spent(t testing.TB, db *store.DB) map[string]bool {
	t.Helper()
	rows, err := db.Query(ctx, "select once from spent")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	keys := make(map[string]bool)
	for rows.Next() {
		var k string
		if err := rows.Scan(&k); err != nil {
			t.Fatal(err)
		}
		keys[k] = true
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return keys
}

// verify numbers what waits, and checks that the log is whole, that every row in
// spent has exactly one entry, and every entry its row.
func verify(t testing.TB, db *store.DB) {
	t.Helper()
	note, err := db.Checkpoint(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r, err := db.AuditLog().Verify(ctx, note)
	if err != nil || !r.OK() {
		t.Fatalf("the log does not verify: %v, %v", r.Faults, err)
	}
	rows := spent(t, db)
	for leaf, err := range db.AuditLog().Leaves(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		e, err := audit.Decode(leaf.Body)
		if err != nil {
			t.Fatal(err)
		}
		if !rows[e.AccountName] {
			t.Errorf("entry %d tells of %q, which is not there, or was told before", leaf.Seq, e.AccountName)
		}
		delete(rows, e.AccountName)
	}
	if len(rows) > 0 {
		t.Errorf("rows without an entry: %v", rows)
	}
}

// eventually waits for what happens in the background.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never happened: %s", what)
		}
	}
}

func key(parts ...any) string { return fmt.Sprint(parts...) }
