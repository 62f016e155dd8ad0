package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// Every statement of a change, begin and commit and those of the log among them,
// breaks once before it is run and once after. Whatever happens, there is no
// row without its entry and no entry without its row, the log verifies, and what
// was confirmed is there.
func TestEveryStatementMayBreak(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		f := storetest.NewFaults(t, dsn)
		k := storetest.Keys(t)
		db := storetest.OpenWith(t, store.Options{DSN: dsn, Driver: f.Driver}, k)
		broke := 0
		for _, when := range []storetest.When{storetest.Before, storetest.After} {
			for n := 0; ; n++ {
				row := key(when, "/", n)
				f.Arm(n, when)
				err := db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
					tx.Announce("something")
					return put(tx, row)
				})
				fired := f.Disarm()
				if err == nil && !spent(t, db)[row] {
					t.Errorf("%s: confirmed and not there", row)
				}
				if err != nil && !errors.Is(err, storetest.ErrInjected) {
					t.Errorf("%s: %v", row, err)
				}
				if when == storetest.Before && err != nil && spent(t, db)[row] {
					t.Errorf("%s: refused and there", row)
				}
				// What broke must leave nothing behind that spoils the next.
				if err := change(db, row+" next"); err != nil {
					t.Errorf("after %s: %v", row, err)
				}
				verify(t, db)
				if !fired {
					break
				}
				broke++
			}
		}
		t.Logf("%d statements broke", broke)
		if broke < 10 {
			t.Errorf("only %d statements broke", broke)
		}
		if err := change(db, "in the end"); err != nil {
			t.Error(err)
		}
		if err := db.Condition().Health(ctx); err != nil {
			t.Error(err)
		}
	})
}

// The same with many clients, whose changes share their commits.
func TestBreakdownsUnderLoad(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		f := storetest.NewFaults(t, dsn)
		k := storetest.Keys(t)
		db := storetest.OpenWith(t, store.Options{DSN: dsn, Driver: f.Driver}, k)
		var mu sync.Mutex
		confirmed := make(map[string]bool)
		var wg sync.WaitGroup
		for c := range 16 {
			wg.Go(func() {
				for i := range 20 {
					f.Arm((c*7+i*13)%40, storetest.When(i%2))
					row := fmt.Sprint(c, "/", i)
					if err := change(db, row); err == nil {
						mu.Lock()
						confirmed[row] = true
						mu.Unlock()
					}
				}
			})
		}
		wg.Wait()
		f.Disarm()
		rows := spent(t, db)
		for row := range confirmed {
			if !rows[row] {
				t.Errorf("%s: confirmed and not there", row)
			}
		}
		t.Logf("%d confirmed, %d there", len(confirmed), len(rows))
		verify(t, db)
	})
}
