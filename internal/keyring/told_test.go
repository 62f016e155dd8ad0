package keyring

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// A server reads its keys again when it is told that they changed, or that the log says so
// of their rows.
func TestAServerReadsItsKeysWhenItIsTold(t *testing.T) {
	for _, told := range []string{topic, rowKind} {
		t.Run(told, func(t *testing.T) {
			for try := 0; !readsWhenTold(t, told); try++ {
				if try == 20 {
					t.Fatal("it hears of every change by itself before it is told")
				}
			}
		})
	}
}

// readsWhenTold reports whether a server was told of a change before it had heard of it by
// reading the log, which it does each second.
func readsWhenTold(t *testing.T, told string) bool {
	t.Helper()
	db, root := database(t), NewRoot()
	k, other := open(t, db, root), open(t, db, root)
	place := AAD{Table: "ticket", Column: "sealed"}
	old := other.Seal(Ticket, place, []byte("old"))
	heard := make(chan struct{}, 8)
	other.db.Feed().Subscribe(func(t string) {
		if t == "nothing of keys" {
			heard <- struct{}{}
		}
	})
	tell := func(what string) {
		if err := other.db.Housekeep(t.Context(), "test", func(tx *store.Tx) error { tx.Announce(what); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	unheard(t, k, Ticket, place)
	tell("nothing of keys")
	<-heard
	for range 20 { // whoever read the keys because of that would have them soon
		if _, err := other.OpenCurrent(Ticket, place, old); err != nil {
			return false
		}
		time.Sleep(time.Millisecond)
	}
	tell(told)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := other.OpenCurrent(Ticket, place, old); errors.Is(err, ErrSealed) {
			return true
		}
		if time.Now().After(deadline) {
			t.Fatal("it believes the old key")
		}
	}
}

// However many values name the next generation, the keys are read no more often than that
// allows: whoever asks waits for its turn.
func TestNextGenerationsAreNoFlood(t *testing.T) {
	k := open(t, database(t), NewRoot())
	k.reload(0)
	for range 5 {
		k.mu.Lock()
		before := k.loaded
		k.mu.Unlock()
		k.reload(nextAfter)
		k.mu.Lock()
		if after := k.loaded.Sub(before); after < nextAfter {
			t.Errorf("read again after %s", after)
		}
		k.mu.Unlock()
	}
}

// A key that is missing when it is looked for, and there once the log was heard, is no
// alarm.
func TestAKeyThatIsThereAtTheSecondLook(t *testing.T) {
	dsn := database(t)
	faults := storetest.NewFaults(t, string(dsn))
	db, err := store.Open(t.Context(), store.Options{DSN: string(dsn), Driver: faults.Driver, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	k, err := Open(t.Context(), db, NewRoot())
	if err != nil {
		t.Fatal(err)
	}
	a := storetest.NewAttacker(t, string(dsn))
	row := a.Copy("wrapped_key", "purpose = 'token'")
	a.Do(`delete from wrapped_key where purpose = 'token'`)
	var looked, back atomic.Bool
	faults.AroundReads(func(query string) {
		if strings.HasPrefix(query, "select id, purpose, wrapped") {
			looked.Store(true)
		} else if strings.Contains(query, "from audit_inbox") && looked.Load() && back.CompareAndSwap(false, true) {
			a.PutBack(row, "id")
		}
	})
	if err := k.Inspect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !back.Load() {
		t.Error("the log was not heard")
	}
	db.Report(store.Finding{Table: "x", Row: "the next in line", Wrong: store.Missing})
	storetest.OneAlarm(t, db, "x", store.Missing)
}

// In a database that is in use and whose log is empty no key is made, whatever its tree
// says: somebody took the log away, and the keys.
func TestAnEmptyLogMakesNoKeys(t *testing.T) {
	dsn, root := database(t), NewRoot()
	k, err := openFor(t.Context(), dsn.server(t), root, nil)
	if err != nil {
		t.Fatal(err)
	}
	if made, err := k.madeBefore(t.Context()); err != nil || len(made) != 0 {
		t.Errorf("in a new database: %v, %v", made, err)
	}
	if tree, err := k.db.AuditLog().Tree(t.Context()); err == nil && tree.Size() != 0 {
		t.Fatalf("the log has %d entries", tree.Size())
	}
	storetest.NewAttacker(t, string(dsn)).Do(`insert into account (name, handle, created, mac) values ('ada', x'01', 1, x'00')`)
	if made, err := k.madeBefore(t.Context()); !errors.Is(err, errBegun) {
		t.Errorf("in one that is in use: %v, %v", made, err)
	}
	if err := k.db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := dsn.open(t, root); !errors.Is(err, errBegun) {
		t.Errorf("a start: %v", err)
	}
}

// Which keys were made is told from the whole log: not while entries wait for their
// numbers, and not from one whose end is missing.
func TestWhichKeysWereMadeIsToldFromTheWholeLog(t *testing.T) {
	dsn := database(t)
	k := open(t, dsn, NewRoot())
	made, err := k.madeBefore(t.Context())
	if err != nil || !made[Token] || !made[HostCodes] {
		t.Fatalf("%v, %v", made, err)
	}
	a := storetest.NewAttacker(t, string(dsn))
	a.Do(`insert into audit_inbox (body, mac) values (x'00', x'00')`)
	soon, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if made, err := k.madeBefore(soon); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while one waits for its number: %v, %v", made, err)
	}
	a.Do(`delete from audit_inbox`)
	err = k.db.Change(t.Context(), operator, func(tx *store.Tx) error {
		return tx.Record(audit.Entry{Event: "test.last", Outcome: audit.OK})
	})
	if err != nil {
		t.Fatal(err)
	}
	if made, err := k.madeBefore(t.Context()); err != nil || !made[Token] {
		t.Errorf("%v, %v", made, err)
	}
	a.Do(`delete from audit_entry where seq = (select max(seq) from audit_entry)`)
	if made, err := k.madeBefore(t.Context()); err == nil || !strings.Contains(err.Error(), "ends at entry") {
		t.Errorf("without its end: %v, %v", made, err)
	}
}
