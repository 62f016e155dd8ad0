package store_test

import (
	"strings"
	"testing"

	"countersign/internal/audit"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

func TestHousekeepWritesOnlyWhatGrantsNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		do := func(query string, args ...any) error {
			return db.Housekeep(ctx, "testing", func(tx *store.Tx) error {
				_, err := tx.Exec(ctx, query, args...)
				return err
			})
		}
		if err := do("insert into guess (subject, count, since) values ('a', 1, 1)"); err != nil {
			t.Error(err)
		}
		err := do("insert into spent (credential, once, at) values (1, 'a', 1)")
		if err == nil || !strings.HasPrefix(err.Error(), "testing: ") {
			t.Errorf("refused with %v", err)
		}
		// A write hidden in a query is a write, and an overlooked refusal refuses.
		err = db.Housekeep(ctx, "", func(tx *store.Tx) error {
			if _, err := tx.Exec(ctx, "insert into guess (subject, count, since) values ('b', 1, 1)"); err != nil {
				return err
			}
			tx.QueryRow(ctx, "delete from team returning id")
			return nil
		})
		if err == nil {
			t.Error("a refusal was overlooked")
		}
		err = db.Housekeep(ctx, "", func(tx *store.Tx) error { return tx.Record(entry("a")) })
		if err == nil {
			t.Error("housekeeping recorded an entry")
		}
		if n := count(t, db, "select count(*) from guess"); n != 1 {
			t.Errorf("%d rows", n)
		}
		verify(t, db)
	})
}

func TestChangeCannotTouchTheLog(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		if err := change(db, "a"); err != nil {
			t.Fatal(err)
		}
		for _, q := range []string{"delete from audit_entry", "update audit_tree set size = 0", "delete from audit_inbox", "delete from feed"} {
			err := db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
				if err := tx.Record(audit.Entry{Event: "test.tamper", Outcome: audit.OK}); err != nil {
					return err
				}
				_, err := tx.Exec(ctx, q)
				return err
			})
			if err == nil {
				t.Errorf("%s: ran", q)
			}
		}
		verify(t, db)
	})
}
