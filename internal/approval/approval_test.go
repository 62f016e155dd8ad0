package approval

import (
	"testing"

	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// What is kept of an account goes with it.
func TestUpkeepForgets(t *testing.T) {
	b := withBells(t)
	b.waits()
	storetest.Sabotage(t, b.db, `insert into quiet (account, begins, ends, zone) values ($1, 0, 60, 'UTC')`, int64(b.ada.ID))
	storetest.Sabotage(t, b.db, `insert into app_count (credential, account, count, last) values ($1, $2, 1, x'00')`, int64(b.app.ID), int64(b.ada.ID))
	count := func() (wakes, counted, quiet, apps int64) {
		t.Helper()
		if err := b.db.QueryRow(t.Context(), `select (select count(*) from wake), (select count(*) from prompted), (select count(*) from quiet), (select count(*) from app_count)`).Scan(&wakes, &counted, &quiet, &apps); err != nil {
			t.Fatal(err)
		}
		return wakes, counted, quiet, apps
	}
	if w, n, q, a := count(); w != 1 || n != 1 || q != 1 || a != 1 {
		t.Fatalf("%d to be woken, %d counted, %d quiet hours, %d counts of apps", w, n, q, a)
	}
	b.change(func(tx *store.Tx) error { return b.Upkeep.Forget(t.Context(), tx, b.ada.ID+1) })
	if w, n, q, a := count(); w != 1 || n != 1 || q != 1 || a != 1 {
		t.Errorf("with another: %d to be woken, %d counted, %d quiet hours, %d counts of apps", w, n, q, a)
	}
	b.change(func(tx *store.Tx) error { return b.Upkeep.Forget(t.Context(), tx, b.ada.ID) })
	if w, n, q, a := count(); w != 0 || n != 0 || q != 0 || a != 0 {
		t.Errorf("%d to be woken, %d counted, %d quiet hours, %d counts of apps", w, n, q, a)
	}
}
