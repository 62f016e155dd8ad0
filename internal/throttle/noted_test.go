package throttle

import (
	"net/netip"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/store"
)

// A server remembers so many places at most, and forgets all when there are more.
func TestNotesAreBounded(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	var m noted
	for i := range manyNotes {
		m.keep(note{assurance.AccountID(i + 1), "x"}, now)
	}
	first, last := note{1, "x"}, note{manyNotes, "x"}
	if !m.within(first, now) || !m.within(last, now) || m.within(note{1, "y"}, now) {
		t.Error("what fits is not remembered")
	}
	m.keep(note{1, "y"}, now)
	if m.within(first, now) || m.within(last, now) || !m.within(note{1, "y"}, now) || len(m.last) != 1 {
		t.Errorf("%d are remembered", len(m.last))
	}
}

// A place is an account's own, for thirty days after it was let in from there; nobody and
// nowhere have none.
func TestWhosePlaceItIs(t *testing.T) {
	r := newRig(t)
	const bob = assurance.AccountID(8)
	r.note(ada, home)
	r.note(ada, netip.Addr{})
	var rows int64
	if err := r.db.QueryRow(t.Context(), `select count(*) from known_source`).Scan(&rows); err != nil || rows != 1 {
		t.Errorf("%d places, %v", rows, err)
	}
	r.change(func(tx *store.Tx) error { // somebody else's rows, and what is nobody's
		for _, n := range []note{{0, "source/" + home.String()}, {ada, "source/"}, {bob, "source/198.51.100.7"}} {
			if err := r.places.writePlace(t.Context(), tx, n, store.Unix(r.clock.Now())); err != nil {
				return err
			}
		}
		return nil
	})
	for _, c := range []struct {
		name    string
		account assurance.AccountID
		source  netip.Addr
		after   time.Duration
		want    bool
	}{
		{"hers", ada, home, 0, true},
		{"hers, written otherwise", ada, netip.MustParseAddr("::ffff:192.0.2.7"), 0, true},
		{"bob's, there", bob, home, 0, false},
		{"hers, where bob was", ada, netip.MustParseAddr("198.51.100.7"), 0, false},
		{"nobody's", 0, home, 0, false},
		{"from nowhere", ada, netip.Addr{}, 0, false},
		{"a month later", ada, home, placeLife - time.Microsecond, true},
		{"after that", ada, home, time.Microsecond, false},
	} {
		r.clock.Later(c.after)
		if got, err := r.KnownSource(t.Context(), r.db, c.account, c.source); err != nil || got != c.want {
			t.Errorf("%s: %t, %v", c.name, got, err)
		}
	}
}

// What is kept of an account's places is forgotten with it, and nobody else's.
func TestPlacesAreForgotten(t *testing.T) {
	r := newRig(t)
	r.note(ada, home)
	r.note(8, home)
	r.change(func(tx *store.Tx) error { return r.Forget(t.Context(), tx, ada) })
	for account, want := range map[assurance.AccountID]bool{ada: false, 8: true} {
		if is, err := r.KnownSource(t.Context(), r.db, account, home); err != nil || is != want {
			t.Errorf("account %d: %t, %v", account, is, err)
		}
	}
}
