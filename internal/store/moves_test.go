package store_test

import (
	"testing"

	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// What was read after a place stands until one of its topics moves, or one that is
// everybody's; others' topics leave it alone, and what moved before the place does too.
func TestStill(t *testing.T) {
	db := storetest.OpenWith(t, store.Options{DSN: t.TempDir() + "/still.db"}, storetest.Keys(t))
	announce(t, db, "account/1")
	place := db.Feed().Place()
	hers, his := db.Feed().Still(place, "account/1", "session/a"), db.Feed().Still(place, "account/2")
	if !hers.Unchanged() || !his.Unchanged() {
		t.Error("what moved before counts")
	}
	announce(t, db, "session/a")
	if hers.Unchanged() || !his.Unchanged() {
		t.Errorf("hers stands %t, his %t", hers.Unchanged(), his.Unchanged())
	}
	if db.Feed().Still(place, "session/a").Unchanged() {
		t.Error("what moved after the place stands for who asks later")
	}
	if !db.Feed().Still(db.Feed().Place(), "session/a").Unchanged() {
		t.Error("what moved before a new place counts")
	}
	his = db.Feed().Still(db.Feed().Place(), "account/2")
	announce(t, db, "policy")
	if his.Unchanged() {
		t.Error("what is everybody's does not count")
	}
	if (store.Still{}).Unchanged() {
		t.Error("the zero Still stands")
	}
	// A subscriber that works something out while it is told sees the place of before.
	var seen store.Place
	before := db.Feed().Place()
	db.Feed().Subscribe(func(string) { seen = db.Feed().Place() })
	announce(t, db, "account/3")
	if seen != before || db.Feed().Place() == before {
		t.Error("the place moved before everybody had heard")
	}
}
