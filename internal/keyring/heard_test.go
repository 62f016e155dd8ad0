package keyring

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// unheard makes a new key of a purpose that no server is told of, and returns what was
// sealed under it.
func unheard(t *testing.T, k *Keyring, p Purpose, place AAD) []byte {
	t.Helper()
	under, err := k.root.wrapper()
	if err != nil {
		t.Fatal(err)
	}
	if err := k.db.Housekeep(t.Context(), "test", func(tx *store.Tx) error { return insertKey(t.Context(), tx, under, p, k.newest(p).generation+1) }); err != nil {
		t.Fatal(err)
	}
	k.reload(0)
	return k.Seal(p, place, []byte("new"))
}

// longAgo has a server's keys have been read an hour ago.
func longAgo(k *Keyring) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.loaded = time.Now().Add(-time.Hour)
}

// What another server sealed a moment ago opens before this one is told of its key.
func TestAKeyThatNobodyWasToldOf(t *testing.T) {
	db, root := database(t), NewRoot()
	k, other := open(t, db, root), open(t, db, root)
	place := AAD{Table: "ticket", Column: "payload"}
	fresh := unheard(t, k, Ticket, place)
	longAgo(other)
	if got, err := other.Open(Ticket, place, fresh); err != nil || string(got) != "new" {
		t.Errorf("%q, %v", got, err)
	}
}

// A server that was away for long reads its keys again: it stops to believe what was
// sealed under one that was replaced meanwhile.
func TestAServerThatWasAwayReadsItsKeys(t *testing.T) {
	db, root := database(t), NewRoot()
	k, other := open(t, db, root), open(t, db, root)
	place := AAD{Table: "ticket", Column: "sealed"}
	old := other.Seal(Ticket, place, []byte("old"))
	unheard(t, k, Ticket, place)
	if _, err := other.OpenCurrent(Ticket, place, old); err != nil {
		t.Fatalf("it was told: %v", err)
	}
	if err := other.db.Housekeep(t.Context(), "test", func(tx *store.Tx) error { tx.Announce(store.Missed); return nil }); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		if _, err := other.OpenCurrent(Ticket, place, old); errors.Is(err, ErrSealed) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("it believes the old key")
		}
		time.Sleep(time.Millisecond)
	}
}

// Of two servers of a new release that start in the same moment the slower finds the
// keys made, and starts; one that can make none does not.
func TestNewPurposesAtOnce(t *testing.T) {
	root := NewRoot()
	dsn := file(filepath.Join(t.TempDir(), "keyring.db"))
	dsn.before(t, root, HostCodes)
	faults := storetest.NewFaults(t, string(dsn))
	server := func() *store.DB {
		db, err := store.Open(t.Context(), store.Options{DSN: string(dsn), Driver: faults.Driver, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	}

	faults.ArmAt("insert into wrapped_key", 0, storetest.Before)
	if got, err := Open(t.Context(), server(), root); !faults.Disarm() || !errors.Is(err, storetest.ErrInjected) || got != nil {
		t.Errorf("a key that cannot be made: %v", err)
	}

	slow := server()
	var once sync.Once
	faults.Around(func(query string) {
		if strings.HasPrefix(query, "begin") {
			once.Do(func() { open(t, dsn, root) })
		}
	})
	late, err := Open(t.Context(), slow, root)
	if err != nil || late.MAC(HostCodes, NewFields()) == nil {
		t.Errorf("the slower of two: %v", err)
	}
	made := 0
	all, err := slow.AuditLog().Entries(t.Context(), store.Filter{Event: "keyring.made"})
	for _, en := range all {
		if en.Outcome == audit.OK && en.Detail["purposes"] == string(HostCodes) {
			made++
		}
	}
	if err != nil || made != 1 {
		t.Errorf("it was made %d times: %v", made, err)
	}
}
