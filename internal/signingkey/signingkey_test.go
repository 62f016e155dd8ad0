package signingkey

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// clock is a test's.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func open(t *testing.T, c *clock) (*Keys, *store.DB) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{DSN: filepath.Join(t.TempDir(), "test.db"), Log: slog.New(slog.DiscardHandler), Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	keys, err := keyring.Open(t.Context(), db, keyring.NewRoot())
	if err != nil {
		t.Fatal(err)
	}
	return New(db, keys, c.now), db
}

func ids(all []Key) (out []string) {
	for _, k := range all {
		out = append(out, k.ID)
	}
	return out
}

// signing is the key that signs now, with all that are published beside it.
func signing(t *testing.T, k *Keys) (string, []string) {
	t.Helper()
	key, err := k.Signer(t.Context(), ES256)
	if err != nil {
		t.Fatal(err)
	}
	all, err := k.Published(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(ids(all), key.ID) {
		t.Errorf("the key that signs is not published")
	}
	return key.ID, ids(all)
}

// The promise: a key is published two days before it signs and two days after its last
// signature, and is gone then.
func TestKeysAreAnnounced(t *testing.T) {
	c := &clock{time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)}
	k, _ := open(t, c)
	first, all := signing(t, k)
	if len(all) != 1 {
		t.Fatalf("%v", all)
	}
	later := func(d time.Duration) (string, []string) {
		t.Helper()
		c.t = c.t.Add(d)
		if err := k.Keep(t.Context()); err != nil {
			t.Fatal(err)
		}
		return signing(t, k)
	}
	if signs, all := later(Signs - Announced - time.Hour); signs != first || len(all) != 1 {
		t.Errorf("too early: %s of %v", signs, all)
	}
	signs, all := later(2 * time.Hour)
	if signs != first || len(all) != 2 {
		t.Fatalf("announced: %s of %v", signs, all)
	}
	if signs, again := later(time.Hour); signs != first || !slices.Equal(again, all) {
		t.Errorf("it is announced twice: %s of %v", signs, again)
	}
	second, _ := later(Announced)
	if second == first {
		t.Fatal("the first signs still")
	}
	if signs, all := later(Kept - 2*time.Hour); signs != second || len(all) != 2 {
		t.Errorf("kept: %s of %v", signs, all)
	}
	if signs, all := later(3 * time.Hour); signs != second || len(all) != 1 {
		t.Errorf("gone: %s of %v", signs, all)
	}
}

// step does one step of a roll-over by hand.
func step(t *testing.T, db *store.DB, do func(tx *store.Tx) error) error {
	t.Helper()
	return db.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error {
		if err := do(tx); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "key.cert-switched", Outcome: audit.OK})
	})
}

// announced announces the next key by hand.
func announced(t *testing.T, k *Keys, db *store.DB) {
	t.Helper()
	fresh, err := k.Make(t.Context(), ES256)
	if err != nil {
		t.Fatal(err)
	}
	if err := step(t, db, func(tx *store.Tx) error { return k.AnnounceTx(t.Context(), tx, fresh) }); err != nil {
		t.Fatal(err)
	}
}

// The promise: by hand a key is announced, signs when that is said, and the former one goes when
// that is said. The key that signs never goes, and none signs that was not announced.
func TestKeysRollOverByHand(t *testing.T) {
	c := &clock{time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)}
	k, db := open(t, c)
	first, _ := signing(t, k)
	does := func(what func(*Keys, context.Context, *store.Tx, string) error) error {
		return step(t, db, func(tx *store.Tx) error { return what(k, t.Context(), tx, ES256) })
	}
	if err := does((*Keys).SwitchTx); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("nothing is announced: %v", err)
	}
	if err := does((*Keys).RetireTx); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("one key: %v", err)
	}
	announced(t, k, db)
	if signs, all := signing(t, k); signs != first || len(all) != 2 {
		t.Fatalf("announced: %s of %v", signs, all)
	}
	if fresh, err := k.Make(t.Context(), ES256); err != nil {
		t.Error(err)
	} else if err := step(t, db, func(tx *store.Tx) error { return k.AnnounceTx(t.Context(), tx, fresh) }); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("a second one is announced: %v", err)
	}
	c.t = c.t.Add(time.Minute)
	if err := does((*Keys).SwitchTx); err != nil {
		t.Fatal(err)
	}
	second, all := signing(t, k)
	if second == first || len(all) != 2 {
		t.Fatalf("switched: %s of %v", second, all)
	}
	if err := k.Keep(t.Context()); err != nil { // which keeps the former one for a while
		t.Fatal(err)
	}
	if _, all := signing(t, k); len(all) != 2 {
		t.Errorf("kept: %v", all)
	}
	if err := does((*Keys).RetireTx); err != nil {
		t.Fatal(err)
	}
	if signs, all := signing(t, k); signs != second || len(all) != 1 {
		t.Errorf("retired: %s of %v", signs, all)
	}
	if err := k.Inspect(t.Context()); err != nil {
		t.Fatal(err)
	}
	storetest.Quiet(t, db)
}

// A key that was announced and is left alone signs after two days; one that is retired never does.
func TestAnnouncedByHand(t *testing.T) {
	for name, retired := range map[string]bool{"left alone": false, "retired": true} {
		t.Run(name, func(t *testing.T) {
			c := &clock{time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)}
			k, db := open(t, c)
			first, _ := signing(t, k)
			announced(t, k, db)
			if retired {
				if err := step(t, db, func(tx *store.Tx) error { return k.RetireTx(t.Context(), tx, ES256) }); err != nil {
					t.Fatal(err)
				}
			}
			c.t = c.t.Add(Announced)
			if signs, _ := signing(t, k); (signs == first) != retired {
				t.Errorf("%s signs", signs)
			}
		})
	}
}

// Whoever puts the row of an announced key back, after it began to sign, is found.
func TestAnAnnouncementIsPutBack(t *testing.T) {
	c := &clock{time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)}
	k, db := open(t, c)
	signing(t, k)
	announced(t, k, db)
	var name, algorithm string
	var payload, mac []byte
	var created, starts int64
	if err := db.QueryRow(t.Context(), `select name, algorithm, payload, created, starts, mac from signing_key where id = 2`).Scan(&name, &algorithm, &payload, &created, &starts, &mac); err != nil {
		t.Fatal(err)
	}
	if err := step(t, db, func(tx *store.Tx) error { return k.SwitchTx(t.Context(), tx, ES256) }); err != nil {
		t.Fatal(err)
	}
	storetest.Sabotage(t, db, `delete from signing_key where id = 3`)
	storetest.Sabotage(t, db, `insert into signing_key (id, name, algorithm, payload, created, starts, mac) values (2, $1, $2, $3, $4, $5, $6)`, name, algorithm, payload, created, starts, mac)
	k.gen.Add(1)
	if err := k.Inspect(t.Context()); err != nil {
		t.Fatal(err)
	}
	storetest.Alarmed(t, db, table, "2", store.Returned)
	storetest.Alarmed(t, db, table, "3", store.Missing)
}

// Each algorithm has its own key, which signs by it; another algorithm is none.
func TestAlgorithms(t *testing.T) {
	c := &clock{time.Now()}
	k, db := open(t, c)
	digest := sha256.Sum256([]byte("x"))
	for _, a := range Algorithms() {
		key, err := k.Signer(t.Context(), a)
		if err != nil || key.Algorithm != a {
			t.Fatalf("%s: %+v, %v", a, key, err)
		}
		if _, err := key.Private.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
			t.Error(err)
		}
		if again, err := k.Signer(t.Context(), a); err != nil || again.ID != key.ID {
			t.Errorf("%s: another key", a)
		}
	}
	for _, a := range []string{"", "none", "HS256", "es256"} {
		if _, err := k.Signer(t.Context(), a); err == nil {
			t.Errorf("there is a key for %q", a)
		}
	}
	storetest.Quiet(t, db)
}

// Many who ask first at once get one key.
func TestOneKeyForMany(t *testing.T) {
	c := &clock{time.Now()}
	k, _ := open(t, c)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			if _, err := k.Signer(t.Context(), ES256); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if all, err := k.Published(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", ids(all), err)
	}
}

// Whatever somebody does to the keys, none of theirs signs or is published, and the log says so.
func TestTheKeysAreOurs(t *testing.T) {
	for name, c := range map[string]struct{ do, wrong string }{
		"another algorithm": {`update signing_key set algorithm = 'RS256'`, store.Altered},
		"another name":      {`update signing_key set name = 'other'`, store.Altered},
		"signing earlier":   {`update signing_key set starts = starts - 1`, store.Altered},
		"another key":       {`update signing_key set payload = mac`, store.Altered},
		"removed":           {`delete from signing_key`, store.Missing},
	} {
		t.Run(name, func(t *testing.T) {
			clock := &clock{time.Now()}
			k, db := open(t, clock)
			first, _ := signing(t, k)
			storetest.Sabotage(t, db, c.do)
			k.gen.Add(1) // as after any change
			if err := k.Inspect(t.Context()); err != nil {
				t.Fatal(err)
			}
			storetest.Alarmed(t, db, table, "1", c.wrong)
			if all, err := k.Published(t.Context()); err != nil || slices.Contains(ids(all), first) || slices.Contains(ids(all), "other") {
				t.Errorf("%v, %v", ids(all), err)
			}
		})
	}
}
