package signin

import (
	"net/netip"
	"testing"
	"time"

	"countersign/internal/directory"
	"countersign/internal/store"
)

// lastSeen is when the place of an address was last written down for an account; zero for
// never.
func lastSeen(r *rig, a directory.Account, source string) time.Time {
	r.t.Helper()
	var at int64
	if err := r.DB.QueryRow(r.t.Context(), `select coalesce(max(seen), 0) from known_source where account = $1 and source = $2`, int64(a.ID), source).Scan(&at); err != nil {
		r.t.Fatal(err)
	}
	return store.Time(at)
}

// letIn has somebody sign in to the end.
func (r *rig) letIn(q Request) {
	r.t.Helper()
	s := r.begin(q)
	if s.State != Granted {
		r.t.Fatalf("not let in: %v %s", s.State, s.Reason)
	}
	if q.Protocol == "browser" {
		if _, err := r.Claim(r.t.Context(), s.Ticket, q.Application, "", ""); err != nil {
			r.t.Fatal(err)
		}
	}
}

// Where somebody was let in is written down once a day, by whichever server; a server
// that wrote it does not look again within the day, unless its clock was put back.
func TestAPlaceIsNotedOnceADay(t *testing.T) {
	r, ada, _ := withTouch(t)
	q, place := browses("wiki", "ada", typed("passkey", "x")), "source/"+home.String()
	for _, c := range []struct {
		name  string
		after time.Duration
		note  bool
	}{{"the first time", 0, true}, {"within the day", day - 1, false}, {"a day later", 1, true}, {"a moment later", time.Second, false}, {"with the clock put back", -time.Hour, true}} {
		r.clock.Later(c.after)
		// The row is gone: who does not look does not write it.
		if r.change(func(tx *store.Tx) error { _, err := tx.Exec(t.Context(), `delete from known_source`); return err }); !lastSeen(r, ada, place).IsZero() {
			t.Fatal("it is there still")
		}
		r.letIn(q)
		if at := lastSeen(r, ada, place); at.Equal(r.Now()) != c.note || !c.note && !at.IsZero() {
			t.Errorf("%s: seen %s, at %s", c.name, at, r.Now())
		}
	}

	// What another server wrote is left as it is until its day is over.
	other := netip.MustParseAddr("198.51.100.7")
	q.Source, place = other, "source/"+other.String()
	wrote := r.Now().Add(-20 * time.Hour)
	notePlace(r, ada, other, wrote)
	for _, c := range []struct {
		after time.Duration
		want  time.Time
	}{{0, wrote}, {4*time.Hour - 1, wrote}, {1, r.Now().Add(4 * time.Hour)}} {
		r.clock.Later(c.after)
		r.letIn(q)
		if at := lastSeen(r, ada, place); !at.Equal(c.want) {
			t.Errorf("%s later: seen %s, want %s", c.after, at, c.want)
		}
	}
}

// A place is written down for whoever was let in from there, and nowhere is none.
func TestWhosePlaceItIs(t *testing.T) {
	r, ada, _ := withTouch(t)
	q := browses("wiki", "ada", typed("passkey", "x"))
	r.letIn(q)
	nowhere := q
	nowhere.Source, nowhere.Partner = netip.Addr{}, ""
	r.letIn(nowhere)
	var rows int64
	if err := r.DB.QueryRow(t.Context(), `select count(*) from known_source`).Scan(&rows); err != nil || rows != 1 {
		t.Errorf("%d places, %v", rows, err)
	}
	for source, want := range map[netip.Addr]bool{home: true, home.Next(): false, {}: false} {
		if got, err := r.throttle.KnownSource(t.Context(), r.DB, ada.ID, source); err != nil || got != want {
			t.Errorf("from %s: %t, %v", source, got, err)
		}
	}
}
