package throttle

import (
	"testing"
	"time"

	"countersign/internal/store"
)

// Budgets whose window is over are looked for every ten minutes, of each kind, and also
// where the clock was put back; what a credential used up stays.
func TestBudgetsThatAreOverAreSwept(t *testing.T) {
	r := newRig(t)
	fill := func() {
		t.Helper()
		r.change(func(tx *store.Tx) error {
			for kind, after := range worn {
				subject := kind + "/x"
				if kind == installation {
					subject = kind
				}
				for subject, since := range map[string]time.Time{subject: r.clock.Now().Add(-after - time.Second), subject + "/new": r.clock.Now().Add(-after + time.Second)} {
					if _, err := tx.Exec(t.Context(), `insert into guess (subject, count, since) values ($1, 1, $2) on conflict (subject) do update set since = excluded.since`, subject, store.Unix(since)); err != nil {
						return err
					}
				}
			}
			if _, err := tx.Exec(t.Context(), `insert into guess (subject, count, since) values ('credential/7', 20, 1) on conflict do nothing`); err != nil {
				return err
			}
			for i, seen := range []time.Time{r.clock.Now().Add(-30*day - time.Second), r.clock.Now().Add(-30*day + time.Second)} {
				if _, err := tx.Exec(t.Context(), `insert into known_source (account, source, seen) values ($1, 'source/x', $2) on conflict (account, source) do update set seen = excluded.seen`, i+1, store.Unix(seen)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	// left are how many rows there are, and whether these are those that are not over.
	left := func() (budgets, places int64) {
		t.Helper()
		if err := r.db.QueryRow(t.Context(), `select (select count(*) from guess), (select count(*) from known_source)`).Scan(&budgets, &places); err != nil {
			t.Fatal(err)
		}
		return budgets, places
	}
	all, kept := int64(2*len(worn)+1), int64(len(worn)+1)
	for _, c := range []struct {
		after time.Duration
		swept bool
	}{{0, true}, {sweepEvery - 1, false}, {1, true}, {time.Second, false}, {-time.Minute, true}, {time.Minute, false}} {
		r.clock.Later(c.after)
		fill()
		if n, m := left(); n != all || m != 2 {
			t.Fatalf("%d budgets, %d places to begin with", n, m)
		}
		if err := r.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		n, m := left()
		if swept := n == kept && m == 1; swept != c.swept || !swept && (n != all || m != 2) {
			t.Errorf("%s later: %d budgets and %d places are left", c.after, n, m)
		}
	}
	var overdue int64
	if err := r.db.QueryRow(t.Context(), `select count(*) from guess where subject = 'credential/7' and count = 20`).Scan(&overdue); err != nil || overdue != 1 {
		t.Error("what a credential used up is forgotten", err)
	}
}
