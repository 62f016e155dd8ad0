package directory

import (
	"log/slog"
	"path/filepath"
	"testing"

	"countersign/internal/audit"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

type rig struct{ *Directory }

func setUp(t *testing.T) *rig {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{DSN: filepath.Join(t.TempDir(), "directory.db"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	keys, err := keyring.Open(t.Context(), db, keyring.NewRoot())
	if err != nil {
		t.Fatal(err)
	}
	return &rig{&Directory{DB: db, Keys: keys, Log: slog.New(slog.DiscardHandler)}}
}

// try runs one audited change and returns its error.
func (r *rig) try(t *testing.T, fn func(tx *store.Tx) error) error {
	t.Helper()
	return r.DB.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.change", Outcome: audit.OK})
	})
}

func (r *rig) change(t *testing.T, fn func(tx *store.Tx) error) {
	t.Helper()
	if err := r.try(t, fn); err != nil {
		t.Fatal(err)
	}
}

// sabotage runs plain SQL, as somebody with write access to the database would.
func (r *rig) sabotage(t *testing.T, query string, args ...any) {
	t.Helper()
	r.change(t, func(tx *store.Tx) error { _, err := tx.Exec(t.Context(), query, args...); return err })
}

func (r *rig) account(t *testing.T, n NewAccount) (a Account) {
	t.Helper()
	r.change(t, func(tx *store.Tx) (err error) { a, err = r.Create(t.Context(), tx, n); return err })
	return a
}

func (r *rig) group(t *testing.T, name string, privileged bool, members ...Account) (g Group) {
	t.Helper()
	r.change(t, func(tx *store.Tx) (err error) {
		if g, err = r.CreateGroup(t.Context(), tx, name, name, privileged); err != nil {
			return err
		}
		for _, a := range members {
			if err := r.AddMember(t.Context(), tx, g, a); err != nil {
				return err
			}
		}
		return nil
	})
	return g
}

func (r *rig) credential(t *testing.T, c Credential) (out Credential) {
	t.Helper()
	r.change(t, func(tx *store.Tx) (err error) { out, err = r.AddCredential(t.Context(), tx, c); return err })
	return out
}
