package store

import (
	"context"
	"time"

	"countersign/internal/audit"
)

const (
	// roundBudget is the part of each second in which old entries are read again. An
	// eightieth of a core reads about a hundred thousand entries a minute.
	roundBudget = watchEvery / 80
	// roundSteps is the least number of seconds that a round takes, and roundLeast the
	// lowest limit on the entries of one second.
	roundSteps = 30
	roundLeast = 200
	// roundLate is the number of newest entries that are read again within a minute,
	// however long the log is.
	roundLate = 50_000
)

// round is one reading of old entries.
type round struct {
	tree  audit.Tree // of the entries that were read; valid while none is bad and the round began with entry 0
	goal  audit.Tree // the tree that they must lead to
	next  int64
	began time.Time
	bad   bool
}

// old continues the rounds over the entries that were read before. After the last entry a
// round starts again.
func (w *watch) old(ctx context.Context) error {
	size := w.read.Size()
	if size > roundLate {
		if err := w.again(ctx, &w.late, size-roundLate); err != nil {
			return err
		}
	}
	return w.again(ctx, &w.all, 0)
}

// again continues a round over the entries from a number on.
func (w *watch) again(ctx context.Context, r *round, from int64) error {
	if r.next >= r.goal.Size() {
		*r = round{goal: w.read, next: from, began: time.Now()}
	}
	began, end := time.Now(), r.goal.Size()
	most := max(roundLeast, (end-from)/roundSteps)
	for n := int64(0); r.next < end && n < most && time.Since(began) < roundBudget/2; {
		before := r.next
		if err := w.reread(ctx, r, min(end, r.next+most-n)); err != nil {
			return err
		}
		n += r.next - before
	}
	if r.next < end || from > 0 {
		return nil
	}
	w.inspector.alarms.found.swept(true, r.began)
	return w.compare(ctx, r)
}

// compare returns an error if the entries of a complete round are not those that were
// written. If an administrator accepted that, only the entries since then count.
func (w *watch) compare(ctx context.Context, r *round) (err error) {
	if !r.bad && r.tree.Root() == r.goal.Root() {
		return nil
	}
	if w.accepted == nil {
		w.accepted, err = lastAccepted(ctx, w.entries.rows.runner(), w.auth, r.goal.Size())
		if w.accepted != nil || err != nil {
			return err // the next round knows
		}
	}
	if r.bad {
		return nil // the entries were reported one by one
	}
	return notOurs("its %d entries are not those that were written", r.goal.Size())
}

// reread reads a page of a round, up to a number.
func (w *watch) reread(ctx context.Context, r *round, before int64) error {
	leaves, err := w.entries.stored(ctx, r.next, before)
	if err != nil {
		return err
	}
	for _, l := range leaves {
		w.lack(r, l.Seq)
		r.next = l.Seq + 1
		if w.accepted != nil && w.accepted.Size() == l.Seq {
			r.tree, r.bad = w.accepted.Tree, false
		}
		if r.bad = !w.inspector.check(ctx, l) || r.bad; !r.bad {
			r.tree.Append(l.Body)
		}
	}
	if len(leaves) < watchPage {
		w.lack(r, before)
	}
	return nil
}

// lack reports the entries that are missing up to a number.
func (w *watch) lack(r *round, before int64) {
	for ; r.next < before; r.next++ {
		r.bad = true
		w.inspector.missing(r.next)
	}
}
