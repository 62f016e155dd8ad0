package store_test

import (
	"testing"

	"countersign/internal/audit"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// A row that was read just before it was changed is not believed, and not reported either;
// minutes later nobody can have read it before, and what is committed by then is not asked.
func TestReadBeforeItWasChanged(t *testing.T) {
	for _, kind := range []string{"team", "account"} {
		db := storetest.Open(t)
		err := db.Change(t.Context(), storetest.Actor, func(tx *store.Tx) error {
			tx.Anchor(kind, 1, 2)
			return tx.Record(audit.Entry{Event: "test.change", Outcome: audit.OK})
		})
		if err != nil {
			t.Fatal(err)
		}
		older := func(version int64) bool {
			return db.View().Older(t.Context(), kind, 1, version, "select cast($1 as bigint) + 1")
		}
		if !older(1) || !db.View().Overtaken(kind, 1) || db.View().Overtaken(kind, 2) {
			t.Errorf("%s: read before it was changed, it is believed", kind)
		}
		db.Report(store.Finding{Table: kind, Row: "1", Wrong: store.Older})
		if all, err := db.Alarms().Unseen(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("%s: read before it was changed, it is reported: %v, %v", kind, all, err)
		}
		if !db.View().Older(t.Context(), kind, 1, 1, "select cast($1 as bigint)") {
			t.Errorf("%s: what is committed is older, and it is not", kind)
		}
		db.Age()
		if !older(1) || older(2) || db.View().Overtaken(kind, 1) {
			t.Errorf("%s: changed to and fro, it is not older", kind)
		}
	}
}
