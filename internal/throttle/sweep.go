package throttle

import (
	"context"
	"time"

	"countersign/internal/store"
)

// week is far longer than the window of any budget, so that a clock which was
// wrong for an hour or a day has refilled none when it is right again.
const week = 7 * day

// worn are the budgets that begin anew by themselves, by the kinds of their
// subjects, and after what time they are forgotten. What a credential has used up
// stays. A name that nobody has is kept as long as anybody may want to compare it
// with one that somebody has.
var worn = map[string]time.Duration{
	"account": week, "enroll": week, installation: week, "missing": week, "name": 30 * day, "none": 30 * day,
	"number": week, "source": week, "spray": week, "stuffing": week,
}

// sweepEvery is how often a server looks for them, and sweepMost how many rows
// of each it takes at a time.
const (
	sweepEvery = 10 * time.Minute
	sweepMost  = 20_000
)

// Sweep deletes budgets whose window is over, which count nothing any more, and sources from
// where nobody has come for a month. Called more often than every ten minutes it does nothing.
func (t *Throttle) Sweep(ctx context.Context) error {
	now := t.budgets.now()
	if last := t.swept.Load(); now.UnixNano()-last < int64(sweepEvery) && last <= now.UnixNano() {
		return nil
	}
	t.swept.Store(now.UnixNano())
	return t.db.Housekeep(ctx, "guess.sweep", func(tx *store.Tx) error {
		for kind, after := range worn {
			if _, err := tx.Exec(ctx, `delete from guess where subject in (select subject from guess where (subject = $1 or subject like $2) and since < $3 limit $4)`,
				kind, kind+"/%", store.Unix(now.Add(-after)), sweepMost); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `delete from known_source where seen < $1`, store.Unix(now.Add(-30*day)))
		return err
	})
}
