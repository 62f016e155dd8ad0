package store_test

import (
	"context"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/store"
	"countersign/internal/store/storetest"

	"github.com/jackc/pgx/v5"
)

// numbering keeps every server from numbering, until what it returns is called.
func numbering(t *testing.T, dsn string) (goOn func()) {
	t.Helper()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock(hashtext('countersign ' || current_schema()), 2)"); err != nil {
		t.Fatal(err)
	}
	var once bool
	goOn = func() {
		if !once {
			once = true
			tx.Rollback(ctx)
			conn.Close(ctx)
		}
	}
	t.Cleanup(goOn)
	return goOn
}

// said counts the entries about a row of the tests'.
func said(t *testing.T, db *store.DB, name string) (n int) {
	t.Helper()
	all, err := db.AuditLog().Entries(ctx, store.Filter{Event: "test.change", Limit: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.AccountName == name {
			n++
		}
	}
	return n
}

// An entry that somebody removes before it is numbered is written again, and is an alarm;
// what only waits for long is none.
func TestAnEntryIsRemovedBeforeItsNumber(t *testing.T) {
	dsn := storetest.Postgres(t)
	db := storetest.OpenWith(t, store.Options{DSN: dsn}, storetest.Keys(t))
	goOn := numbering(t, dsn)
	for _, name := range []string{"removed", "waits"} {
		if err := change(db, name); err != nil {
			t.Fatal(err)
		}
	}
	intruder(t, dsn, `delete from audit_inbox where body like '%"removed"%'::bytea`)
	store.Overdue(db)
	h := &house{t: t, db: db}
	eventually(t, "an alarm", func() bool { return len(h.findings()) > 0 })
	goOn()
	eventually(t, "it is numbered after all", func() bool { return said(t, db, "removed") == 1 && said(t, db, "waits") == 1 })
	if _, err := db.Checkpoint(ctx); err != nil {
		t.Fatal(err)
	}
	for what := range h.findings() {
		if what[:len("audit_inbox test.change ")] != "audit_inbox test.change " || what[len(what)-len(" missing"):] != " missing" {
			t.Error(what)
		}
	}
	if n := len(h.findings()); n != 1 {
		t.Errorf("%d alarms: %v", n, h.findings())
	}
}

func TestAnEntryIsRepeatedBeforeItsNumber(t *testing.T) {
	dsn := storetest.Postgres(t)
	db := storetest.OpenWith(t, store.Options{DSN: dsn}, storetest.Keys(t))
	goOn := numbering(t, dsn)
	if err := change(db, "once"); err != nil {
		t.Fatal(err)
	}
	intruder(t, dsn, "insert into audit_inbox (body, mac) select body, mac from audit_inbox")
	goOn()
	(&house{t: t, db: db}).finds("audit_inbox entry 1 returned")
}

// Changes that say the same word for word, and such as are run again, are no alarm.
func TestEqualEntriesAreNone(t *testing.T) {
	dsn := storetest.Postgres(t)
	now := time.Now()
	db := storetest.OpenWith(t, store.Options{DSN: dsn, Now: func() time.Time { return now }}, storetest.Keys(t))
	for range 3 {
		err := db.Change(context.Background(), storetest.Actor, func(tx *store.Tx) error {
			for range 2 {
				if err := tx.Record(audit.Entry{Event: "test.change", Outcome: audit.OK, AccountName: "the same"}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all are numbered and read", func() bool { return store.ReadTo(db) == 6 })
	store.Overdue(db)
	eventually(t, "they were looked at", func() bool { return store.Left(db) == 0 })
	storetest.Quiet(t, db)
}
