package store_test

import (
	"errors"
	"testing"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

func TestChangeWritesWithItsEntry(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		if err := change(db, "a"); err != nil {
			t.Fatal(err)
		}
		if !spent(t, db)["a"] {
			t.Error("the row is not there")
		}
		verify(t, db)
	})
}

func TestNoEntryNoWrite(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		err := db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
			_, err := tx.Exec(ctx, "insert into spent (credential, once, at) values (1, 'a', 1)")
			return err
		})
		if err == nil {
			t.Error("a change without an entry was accepted")
		}
		err = db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
			if _, err := tx.Exec(ctx, "insert into spent (credential, once, at) values (1, 'b', 1)"); err != nil {
				return err
			}
			return tx.Record(audit.Entry{Event: "test.change", Outcome: "unknown"})
		})
		if err == nil {
			t.Error("an entry that cannot be written was accepted")
		}
		err = db.Change(ctx, audit.Actor{}, func(tx *store.Tx) error { return put(tx, "c") })
		if err == nil {
			t.Error("a change by nobody was accepted")
		}
		if rows := spent(t, db); len(rows) > 0 {
			t.Errorf("written: %v", rows)
		}
		verify(t, db)
	})
}

func TestNoChangeBeforeTheKeys(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		db, err := store.Open(ctx, store.Options{DSN: dsn})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := change(db, "a"); err == nil {
			t.Error("changed without audit keys")
		}
		if err := db.Condition().Health(ctx); err == nil {
			t.Error("healthy without audit keys")
		}
		for name, spoil := range map[string]func(*store.AuditKeys){
			"short MAC":   func(k *store.AuditKeys) { k.MAC = k.MAC[:31] },
			"no signer":   func(k *store.AuditKeys) { k.Signer = nil },
			"no verifier": func(k *store.AuditKeys) { k.Verifier = nil },
			"no origin":   func(k *store.AuditKeys) { k.Origin = "" },
		} {
			k := storetest.Keys(t)
			spoil(&k)
			if err := db.UseAuditKeys(ctx, k); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
		if err := db.UseAuditKeys(ctx, storetest.Keys(t)); err != nil {
			t.Fatal(err)
		}
		if err := change(db, "a"); err != nil {
			t.Error(err)
		}
		if err := db.Condition().Health(ctx); err != nil {
			t.Error(err)
		}
		if err := db.UseAuditKeys(ctx, storetest.Keys(t)); err == nil {
			t.Error("other keys were accepted afterwards")
		}
	})
}

func TestAFailedChangeWritesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		mine := errors.New("my own")
		err := db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
			if err := put(tx, "a"); err != nil {
				return err
			}
			tx.AfterCommit(func() { t.Error("called although nothing was committed") })
			tx.Announce("never")
			return mine
		})
		if err != mine {
			t.Errorf("got %v", err)
		}
		if rows := spent(t, db); len(rows) > 0 {
			t.Errorf("written: %v", rows)
		}
		verify(t, db)
	})
}

func TestKeepCommitsAndReturnsItsError(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		refused := failure.Refuse("wrong", "No.")
		called := false
		err := db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
			called = false
			tx.AfterCommit(func() { called = true })
			if err := put(tx, "counted"); err != nil {
				return err
			}
			return store.Keep(refused)
		})
		if err != error(refused) {
			t.Errorf("got %#v", err)
		}
		if !called || !spent(t, db)["counted"] {
			t.Error("not committed")
		}
		if err := db.Change(ctx, storetest.Actor, func(*store.Tx) error { return store.Keep(refused) }); err == error(refused) {
			t.Error("kept without an entry")
		}
		if store.Keep(nil) != nil {
			t.Error("Keep(nil) is an error")
		}
		verify(t, db)
	})
}

func TestAnOverlookedErrorStillFails(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		for name, end := range map[string]error{"nil": nil, "kept": store.Keep(errors.New("refused"))} {
			err := db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
				if err := put(tx, "a"); err != nil {
					return err
				}
				put(tx, "a") // a conflict, overlooked
				return end
			})
			if !errors.Is(err, store.ErrConflict) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if rows := spent(t, db); len(rows) > 0 {
			t.Errorf("written: %v", rows)
		}
		verify(t, db)
	})
}

func TestTxSeesItsOwnWritesAndOneMoment(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		err := db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
			if err := put(tx, "a"); err != nil {
				return err
			}
			if n := count(t, tx, "select count(*) from spent"); n != 1 {
				t.Errorf("sees %d", n)
			}
			if n := count(t, db, "select count(*) from spent"); n != 0 {
				t.Errorf("others see %d before the commit", n)
			}
			if a, b := tx.Now(), tx.Now(); a != b || a.IsZero() {
				t.Error(a, b)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestOneStatementAtATime(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		for _, key := range []string{"a", "b", "c"} {
			if err := change(db, key); err != nil {
				t.Fatal(err)
			}
		}
		err := db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
			rows, err := tx.Query(ctx, "select once from spent")
			if err != nil {
				return err
			}
			rows.Next()
			return put(tx, "d") // while they are open
		})
		if err == nil {
			t.Error("a statement ran while rows were open")
		}
		var leaked *store.Tx
		err = db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
			leaked = tx
			if err := put(tx, "e"); err != nil {
				return err
			}
			_, err := tx.Query(ctx, "select once from spent") // left open
			return err
		})
		if err != nil {
			t.Error(err)
		}
		if err := put(leaked, "f"); err == nil {
			t.Error("a transaction was used after its end")
		}
		if rows := spent(t, db); rows["d"] || !rows["e"] || rows["f"] {
			t.Error(rows)
		}
		verify(t, db)
	})
}
