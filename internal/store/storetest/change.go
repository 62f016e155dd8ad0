package storetest

import (
	"maps"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/store"
)

// Try runs one audited change and returns its error.
func Try(tb testing.TB, db *store.DB, fn func(tx *store.Tx) error) error {
	tb.Helper()
	return db.Change(tb.Context(), audit.System("test"), func(tx *store.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.change", Outcome: audit.OK})
	})
}

// Change is [Try] of a change that must not fail.
func Change(tb testing.TB, db *store.DB, fn func(tx *store.Tx) error) {
	tb.Helper()
	if err := Try(tb, db, fn); err != nil {
		tb.Fatal(err)
	}
}

// Finds waits until the log has these alarms, each once and as the sweep reports it, and
// fails where it has others.
func Finds(tb testing.TB, db *store.DB, want ...store.Finding) {
	tb.Helper()
	wanted := map[store.Finding]int{}
	for _, f := range want {
		wanted[f] = 1
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		said, err := db.AuditLog().Entries(tb.Context(), store.Filter{Event: store.TamperedEvent, Limit: 1000})
		if err != nil {
			tb.Fatal(err)
		}
		found := map[store.Finding]int{}
		for _, e := range said {
			found[store.Finding{Table: e.Detail["table"], Row: e.Detail["row"], Wrong: e.Reason, Account: e.Account}]++
		}
		if maps.Equal(found, wanted) {
			return
		}
		if len(found) > len(want) || time.Now().After(deadline) {
			tb.Fatalf("the alarms are %v\nwant %v", found, wanted)
		}
	}
}
