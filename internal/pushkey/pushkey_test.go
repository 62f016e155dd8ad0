package pushkey

import (
	"log/slog"
	"path/filepath"
	"testing"

	"countersign/internal/keyring"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// Whatever somebody does to the key that push services know us by, nobody else's is used,
// and the log says so once: by the sweep, and at a start that finds none.
func TestThePushKeyIsOurs(t *testing.T) {
	for name, c := range map[string]struct {
		do     func(t *testing.T, db *store.DB, keys *keyring.Keyring)
		wrong  string
		starts bool
	}{
		"deleted": {func(t *testing.T, db *store.DB, _ *keyring.Keyring) {
			storetest.Sabotage(t, db, `delete from push_key`)
		}, store.Missing, true},
		"altered": {func(t *testing.T, db *store.DB, keys *keyring.Keyring) {
			sealed := keys.Seal(keyring.Push, keyring.AAD{Table: "other", Column: "payload"}, make([]byte, 32))
			storetest.Sabotage(t, db, `update push_key set payload = $1`, sealed)
		}, store.Altered, false},
		"put back from before it was made anew": {func(t *testing.T, db *store.DB, keys *keyring.Keyring) {
			sealed := keys.Seal(keyring.Push, place, []byte("another of ours"))
			storetest.Sabotage(t, db, `update push_key set payload = $1`, sealed)
		}, store.Older, false},
		"its time": {func(t *testing.T, db *store.DB, _ *keyring.Keyring) {
			storetest.Sabotage(t, db, `update push_key set created = 0`)
		}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			dsn, root := filepath.Join(t.TempDir(), "test.db"), keyring.NewRoot()
			open := func() (*store.DB, *keyring.Keyring, *Kept, error) {
				db, err := store.Open(t.Context(), store.Options{DSN: dsn, Log: slog.New(slog.DiscardHandler)})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { db.Close() })
				keys, err := keyring.Open(t.Context(), db, root)
				if err != nil {
					t.Fatal(err)
				}
				k, err := Open(t.Context(), db, keys)
				return db, keys, k, err
			}
			db, keys, k, err := open()
			if err != nil || k.Inspect(t.Context()) != nil {
				t.Fatal(err)
			}
			storetest.Quiet(t, db)
			c.do(t, db, keys)
			for range 2 {
				if err := k.Inspect(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if c.wrong != "" {
				storetest.Alarmed(t, db, "push_key", "1", c.wrong)
			}
			db.Close()
			db, _, _, err = open()
			if (err == nil) != c.starts {
				t.Errorf("the next start: %v", err)
			}
			if c.wrong != "" {
				storetest.Alarmed(t, db, "push_key", "1", c.wrong)
			} else {
				storetest.Quiet(t, db)
			}
		})
	}
}
