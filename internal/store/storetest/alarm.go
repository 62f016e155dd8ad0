package storetest

import (
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/store"
)

// Sabotage runs a statement as somebody does who can write to the database.
func Sabotage(tb testing.TB, db *store.DB, query string, args ...any) {
	tb.Helper()
	err := db.Change(tb.Context(), Actor, func(tx *store.Tx) error {
		if _, err := tx.Exec(tb.Context(), query, args...); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.sabotage", Outcome: audit.OK})
	})
	if err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
}

// Alarmed waits until the log says of a row that something is wrong with it, and fails
// where it says so twice or not at all. The row empty is any of the table.
func Alarmed(tb testing.TB, db *store.DB, table, row, wrong string) {
	tb.Helper()
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		n := alarms(tb, db, func(e audit.Entry) bool {
			return e.Detail["table"] == table && (row == "" || e.Detail["row"] == row) && e.Reason == wrong
		})
		if n > 1 {
			tb.Errorf("%d alarms that %s %s is %s", n, table, row, wrong)
		}
		if n > 0 {
			return
		}
		if time.Now().After(until) {
			tb.Errorf("no alarm that %s %s is %s", table, row, wrong)
			return
		}
	}
}

// Quiet fails where the log has any alarm about a row.
func Quiet(tb testing.TB, db *store.DB) {
	tb.Helper()
	if n := alarms(tb, db, func(audit.Entry) bool { return true }); n > 0 {
		tb.Errorf("%d alarms, and nobody did anything", n)
	}
}

func alarms(tb testing.TB, db *store.DB, which func(audit.Entry) bool) (n int) {
	tb.Helper()
	said, err := db.AuditLog().Entries(tb.Context(), store.Filter{Event: store.TamperedEvent, Limit: 10_000})
	if err != nil {
		tb.Fatal(err)
	}
	for _, e := range said {
		if which(e) {
			tb.Logf("alarm: %s %s is %s", e.Detail["table"], e.Detail["row"], e.Reason)
			n++
		}
	}
	return n
}

// OneAlarm waits until the log says that a row of a table is wrong in this way, and fails
// where it says anything else of rows, or that twice.
func OneAlarm(tb testing.TB, db *store.DB, table, wrong string) {
	tb.Helper()
	for until := time.Now().Add(20 * time.Second); len(Alarms(tb, db)) == 0 && time.Now().Before(until); {
		time.Sleep(5 * time.Millisecond)
	}
	if said := Alarms(tb, db); len(said) != 1 || said[0] != table+" "+wrong {
		tb.Errorf("the alarms are %q, and not one of a %s that is %s", said, table, wrong)
	}
}

// Alarms are the tables of which the log has alarms, each with what is wrong.
func Alarms(tb testing.TB, db *store.DB) (out []string) {
	tb.Helper()
	alarms(tb, db, func(e audit.Entry) bool {
		out = append(out, e.Detail["table"]+" "+e.Reason)
		return false
	})
	return out
}
