package main

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
			sealed := keys.Seal(keyring.Push, pushPlace, []byte("another of ours"))
			storetest.Sabotage(t, db, `update push_key set payload = $1`, sealed)
		}, store.Older, false},
		"its time": {func(t *testing.T, db *store.DB, _ *keyring.Keyring) {
			storetest.Sabotage(t, db, `update push_key set created = 0`)
		}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			dsn, root := filepath.Join(t.TempDir(), "test.db"), keyring.NewRoot()
			open := func() (*pusher, error) {
				db, err := store.Open(t.Context(), store.Options{DSN: dsn, Log: slog.New(slog.DiscardHandler)})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { db.Close() })
				keys, err := keyring.Open(t.Context(), db, root)
				if err != nil {
					t.Fatal(err)
				}
				key, err := pushKey(t.Context(), db, keys)
				if err != nil {
					return &pusher{db: db, keys: keys}, err
				}
				scalar, err := key.Bytes()
				return &pusher{db: db, keys: keys, scalar: scalar}, err
			}
			p, err := open()
			if err != nil || p.Inspect(t.Context()) != nil {
				t.Fatal(err)
			}
			storetest.Quiet(t, p.db)
			c.do(t, p.db, p.keys)
			for range 2 {
				if err := p.Inspect(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if c.wrong != "" {
				storetest.Alarmed(t, p.db, "push_key", "1", c.wrong)
			}
			p.db.Close()
			again, err := open()
			if (err == nil) != c.starts {
				t.Errorf("the next start: %v", err)
			}
			if c.wrong != "" {
				storetest.Alarmed(t, again.db, "push_key", "1", c.wrong)
			} else {
				storetest.Quiet(t, again.db)
			}
		})
	}
}
