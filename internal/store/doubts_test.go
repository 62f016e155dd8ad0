package store_test

import (
	"context"
	"errors"
	"testing"

	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// What the log explains once all of it is heard is no alarm, and all else is one, once. While
// it cannot be heard the doubts wait.
func TestDoubtsAreSettled(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := store.NewDoubts(db.View())
		if err := d.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		asked := 0
		add := func(row string, ended bool) {
			d.Add("guess/"+row, store.Finding{Table: "guess", Row: row, Wrong: store.Missing}, func() bool { asked++; return ended })
		}
		add("explained", true)
		add("missing", false)
		add("missing", false)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := d.Settle(gone); !errors.Is(err, context.Canceled) || asked != 0 {
			t.Fatalf("settled without the log: %v, %d asked", err, asked)
		}
		for range 2 {
			if err := d.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if asked != 2 {
			t.Errorf("%d were asked", asked)
		}
		if all, err := db.Alarms().Unseen(t.Context()); err != nil || len(all) != 1 || all[0].Row != "missing" {
			t.Errorf("reported: %+v, %v", all, err)
		}
		storetest.OneAlarm(t, db, "guess", store.Missing)
	})
}

// There is room for so many doubts, and what finds none is told of by whoever looks again.
func TestDoubtsAreBounded(t *testing.T) {
	db := storetest.Open(t)
	d := store.NewDoubts(db.View())
	asked := 0
	for i := range 1100 {
		d.Add(string(rune('a'+i)), store.Finding{Table: "guess", Row: "x", Wrong: store.Missing}, func() bool { asked++; return true })
	}
	if err := d.Settle(t.Context()); err != nil || asked != 1000 {
		t.Errorf("%d were asked, %v", asked, err)
	}
}
