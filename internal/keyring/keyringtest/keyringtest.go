// Package keyringtest opens a database with its keys as a server does, for tests of
// packages that store rows. It closes what it opened when the test ends.
package keyringtest

import (
	"log/slog"
	"testing"

	"countersign/internal/keyring"
	"countersign/internal/store"
)

// Open opens a database and its keys. Without a log nothing is logged.
func Open(tb testing.TB, o store.Options, root keyring.Root) (*store.DB, *keyring.Keyring) {
	tb.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	db, err := store.Open(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { db.Close() })
	keys, err := keyring.Open(tb.Context(), db, root)
	if err != nil {
		tb.Fatal(err)
	}
	return db, keys
}
