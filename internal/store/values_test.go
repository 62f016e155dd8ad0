package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"countersign/internal/failure"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

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
		for range 20 { // a turn may be free each time
			if err := db.Change(gone, storetest.Actor, func(tx *store.Tx) error { return put(tx, "b") }); !errors.Is(err, context.Canceled) {
				t.Fatalf("canceled: %v", err)
			}
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
