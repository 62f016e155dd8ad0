package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

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
		if err := db.Health(ctx); err == nil {
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
			if err := db.UseAuditKeys(k); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
		if err := db.UseAuditKeys(storetest.Keys(t)); err != nil {
			t.Fatal(err)
		}
		if err := change(db, "a"); err != nil {
			t.Error(err)
		}
		if err := db.Health(ctx); err != nil {
			t.Error(err)
		}
		if err := db.UseAuditKeys(storetest.Keys(t)); err == nil {
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

func TestErrorsHaveClasses(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		if err := change(db, "a"); err != nil {
			t.Fatal(err)
		}
		if err := change(db, "a"); !errors.Is(err, store.ErrConflict) || failure.ClassOf(err) != failure.Conflict {
			t.Errorf("twice: %v", err)
		}
		team := func(tx *store.Tx) error {
			_, err := tx.Exec(ctx, "insert into team (name, created, mac) values ('ops', 1, $1)", []byte("m"))
			return errors.Join(err, tx.Record(entry("a")))
		}
		db.Change(ctx, storetest.Actor, team)
		if err := db.Change(ctx, storetest.Actor, team); !errors.Is(err, store.ErrConflict) {
			t.Errorf("a name twice: %v", err)
		}
		var s string
		if err := db.QueryRow(ctx, "select once from spent where once = 'none'").Scan(&s); !errors.Is(err, store.ErrNotFound) || failure.ClassOf(err) != failure.NotFound {
			t.Errorf("no row: %v", err)
		}
		for name, text := range map[string]string{"not UTF-8": "\xff", "a zero byte": "a\x00"} {
			if err := db.QueryRow(ctx, "select once from spent where once = $1", text).Scan(&s); failure.ClassOf(err) != failure.Invalid {
				t.Errorf("%s, read: %v", name, err)
			}
			if err := change(db, text); failure.ClassOf(err) != failure.Invalid {
				t.Errorf("%s, written: %v", name, err)
			}
		}
		for _, odd := range []any{true, time.Now(), 1.5, time.Second} {
			if err := db.QueryRow(ctx, "select once from spent where at = $1", odd).Scan(&s); err == nil || errors.Is(err, store.ErrNotFound) {
				t.Errorf("%T: %v", odd, err)
			}
		}
		if err := db.QueryRow(ctx, "select nothing from nowhere").Scan(&s); err == nil || errors.Is(err, store.ErrUnavailable) {
			t.Errorf("a mistake in SQL: %v", err)
		}
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if err := db.Change(gone, storetest.Actor, func(tx *store.Tx) error { return put(tx, "b") }); !errors.Is(err, context.Canceled) {
			t.Errorf("canceled: %v", err)
		}
		if spent(t, db)["b"] {
			t.Error("canceled and written")
		}
	})
}

func TestReadersCannotWrite(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		if err := change(db, "a"); err != nil {
			t.Fatal(err)
		}
		var s string
		for _, q := range []string{"delete from spent returning once", "insert into spent (credential, once, at) values (2, 'x', 1) returning once"} {
			if err := db.QueryRow(ctx, q).Scan(&s); err == nil || errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: %v", q, err)
			}
		}
		if n := count(t, db, "select count(*) from spent"); n != 1 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestValuesComeBackAsTheyWere(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		now := time.Date(2026, 11, 24, 19, 40, 31, 123456000, time.UTC)
		var id int64
		err := db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
			var none *string
			err := tx.QueryRow(ctx, "insert into credential (account, kind, handle, traits, state, created, used, mac) "+
				"values ($1, $2, $3, $4, $5, $6, $7, $8) returning id", 7, "totp", none, "", []byte{}, store.Unix(now), store.Unix(time.Time{}), []byte{0, 255}).Scan(&id)
			if err != nil {
				return err
			}
			return tx.Record(entry("x"))
		})
		if err != nil || id == 0 {
			t.Fatal(id, err)
		}
		var account, created, used int64
		var kind, traits string
		var handle *string
		var state, mac []byte
		err = db.QueryRow(ctx, "select account, kind, handle, traits, state, created, used, mac from credential where id = $1", id).
			Scan(&account, &kind, &handle, &traits, &state, &created, &used, &mac)
		if err != nil {
			t.Fatal(err)
		}
		if account != 7 || kind != "totp" || handle != nil || traits != "" || len(state) != 0 || string(mac) != "\x00\xff" ||
			!store.Time(created).Equal(now) || !store.Time(used).IsZero() {
			t.Error(account, kind, handle, traits, state, mac, created, used)
		}
		if !strings.HasSuffix(store.Time(created).String(), "UTC") {
			t.Error("not in UTC")
		}
	})
}

// A number that an account once had is never given to another.
func TestNumbersAreNotGivenAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		add := func(name string) (id int64) {
			t.Helper()
			err := db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
				err := tx.QueryRow(ctx, "insert into team (name, created, mac) values ($1, 1, $2) returning id", name, []byte("m")).Scan(&id)
				return errors.Join(err, tx.Record(entry(name)))
			})
			if err != nil {
				t.Fatal(err)
			}
			return id
		}
		first := add("first")
		err := db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
			_, err := tx.Exec(ctx, "delete from team where id = $1", first)
			return errors.Join(err, tx.Record(entry("gone")))
		})
		if err != nil {
			t.Fatal(err)
		}
		if second := add("second"); second <= first {
			t.Errorf("%d after %d", second, first)
		}
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
