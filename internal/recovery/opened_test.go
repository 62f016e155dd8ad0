package recovery

import (
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/store/storetest"
)

// Whoever deletes cases opens no more of them in a day.
func TestDeletedCasesAreCounted(t *testing.T) {
	r := setUp(t)
	for _, name := range []string{"bob", "dora"} {
		r.person(name, "password", "totp")
	}
	for range mostOpened - 1 {
		r.opened.note(r.account("hugo").ID, r.now)
	}
	r.opens("hugo", "bob", false)
	storetest.NewAttacker(t, r.dsn).Do(`delete from recovery`)
	try := func() string {
		_, number := r.asks("dora")
		_, err := r.tryOpen("hugo", "dora", Opening{Number: number, Check: "video", Note: "x"})
		return reason(err)
	}
	if why := try(); why != "too-many-recoveries" {
		t.Errorf("%q", why)
	}
	r.later(24 * time.Hour)
	if why := try(); why != "" {
		t.Errorf("a day later: %q", why)
	}
}

// What is remembered is bounded, and whoever opened nothing for a day makes room.
func TestOpenersAreBounded(t *testing.T) {
	var o opened
	for id := range assurance.AccountID(mostOpeners + 1) {
		o.note(id, began)
	}
	if o.note(3, began); len(o.by) != mostOpeners || o.count(3, began) != 2 || o.count(mostOpeners, began) != 0 {
		t.Errorf("%d, %d, %d", len(o.by), o.count(3, began), o.count(mostOpeners, began))
	}
	o.note(mostOpeners, began.Add(24*time.Hour))
	if len(o.by) != 1 || o.count(mostOpeners, began.Add(24*time.Hour)) != 1 {
		t.Errorf("a day later: %d", len(o.by))
	}
}
