package approval

import (
	"testing"

	"countersign/internal/store"
)

// What is kept of an account goes with it.
func TestUpkeepForgets(t *testing.T) {
	b := withBells(t)
	b.waits()
	count := func() (wakes, counted int64) {
		t.Helper()
		if err := b.db.QueryRow(t.Context(), `select (select count(*) from wake), (select count(*) from prompted)`).Scan(&wakes, &counted); err != nil {
			t.Fatal(err)
		}
		return wakes, counted
	}
	if w, n := count(); w != 1 || n != 1 {
		t.Fatalf("%d to be woken, %d counted", w, n)
	}
	b.change(func(tx *store.Tx) error { return b.Upkeep.Forget(t.Context(), tx, b.ada.ID+1) })
	if w, n := count(); w != 1 || n != 1 {
		t.Errorf("with another: %d to be woken, %d counted", w, n)
	}
	b.change(func(tx *store.Tx) error { return b.Upkeep.Forget(t.Context(), tx, b.ada.ID) })
	if w, n := count(); w != 0 || n != 0 {
		t.Errorf("%d to be woken, %d counted", w, n)
	}
}
