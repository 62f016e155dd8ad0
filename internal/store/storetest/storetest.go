// Package storetest opens real databases for tests: an SQLite file always, and
// PostgreSQL as well for tests of both engines. It fakes nothing of store: it
// injects faults below database/sql.
package storetest

import (
	"context"
	"crypto/rand"
	"log/slog"
	"path/filepath"
	"testing"

	"countersign/internal/audit"
	"countersign/internal/store"

	"golang.org/x/mod/sumdb/note"
)

// Actor is who acts in tests that do not care.
var Actor = audit.Actor{Name: "system", Via: "test"}

// Keys makes fresh audit keys.
func Keys(tb testing.TB) store.AuditKeys {
	tb.Helper()
	const origin = "countersign.test/log"
	skey, vkey, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		tb.Fatal(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		tb.Fatal(err)
	}
	mac := make([]byte, 32)
	rand.Read(mac)
	return store.AuditKeys{MAC: mac, Signer: signer, Verifier: verifier, Origin: origin, Fresh: true}
}

// Open opens a fresh SQLite database with its audit keys, closed when the test
// ends.
func Open(tb testing.TB) *store.DB {
	tb.Helper()
	return OpenWith(tb, store.Options{DSN: filepath.Join(tb.TempDir(), "test.db")}, Keys(tb))
}

// OpenWith opens a database with these options and keys, closed when the test
// ends.
func OpenWith(tb testing.TB, o store.Options, k store.AuditKeys) *store.DB {
	tb.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(logWriter{tb}, nil))
	}
	db, err := store.Open(context.Background(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { db.Close() })
	if err := db.UseAuditKeys(context.Background(), k); err != nil {
		tb.Fatal(err)
	}
	return db
}

// Long skips a long test in a run with -short, and says why: "starts PostgreSQL".
func Long(tb testing.TB, why string) {
	tb.Helper()
	if testing.Short() {
		tb.Skip("-short: " + why)
	}
}

// logWriter sends the store's log to the test's.
type logWriter struct{ tb testing.TB }

func (w logWriter) Write(b []byte) (int, error) {
	w.tb.Logf("%s", b)
	return len(b), nil
}
