package store

import (
	"context"
	"errors"
	"time"

	"countersign/internal/audit"
)

// recorder writes alarms into the log and into their table, in the background.
type recorder struct {
	alarms  *Alarms
	changes *changes
	head    *head
	life    *life
}

// sound records findings until the database is closed.
func (r *recorder) sound() {
	ticker := time.NewTicker(alarmAgain)
	defer ticker.Stop()
	for {
		select {
		case <-r.life.stop:
			return
		case f := <-r.alarms.queue:
			r.record(f)
		case <-r.alarms.look:
			r.lookAgain()
		case <-ticker.C:
			for _, f := range r.alarms.found.due() {
				r.record(f)
			}
		}
	}
}

// record writes a finding down, unless the log is halted.
func (r *recorder) record(f Finding) {
	if r.head.refusal() != nil { // Unseen shows it from memory
		return
	}
	ctx, cancel := context.WithTimeout(r.life.ctx, 30*time.Second)
	defer cancel()
	found := r.alarms.found.named(f.name())
	if found == nil {
		return // it was recorded and over before its turn came again
	}
	seen, err := r.write(ctx, f, found.anew)
	if err != nil {
		if ctx.Err() == nil && r.head.refusal() == nil {
			r.alarms.log.Error("an alarm cannot be recorded", "table", f.Table, "row", f.Row, "error", err)
		}
		return
	}
	r.alarms.found.mu.Lock()
	defer r.alarms.found.mu.Unlock()
	found.recorded, found.seen, found.anew = true, found.seen || seen, false
}

// write records a finding, and reports whether an administrator has seen it. A row without
// a valid MAC does not suppress it, nor does one that was seen before the row was found
// anew.
func (r *recorder) write(ctx context.Context, f Finding, anew bool) (seen bool, err error) {
	err = r.changes.change(ctx, audit.System("watch"), func(tx *Tx) error {
		seen = false
		old, err := r.alarms.table.named(ctx, tx, f.name())
		switch {
		case err == nil && (old.seen == 0 || !anew):
			seen = old.seen != 0
			return errKnown
		case err != nil && !errors.Is(err, ErrNotFound):
			return err
		}
		if err := r.alarms.table.put(ctx, tx, alarmRow{Finding: f, at: Unix(tx.Now())}); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: TamperedEvent, Outcome: audit.Failed, Reason: f.Wrong, Account: f.Account, Detail: map[string]string{"table": f.Table, "row": f.Row}})
	})
	if errors.Is(err, errKnown) {
		err = nil
	}
	return seen, err
}

var errKnown = errors.New("store: the alarm exists")

// lookAgain asks which of this server's findings were seen.
func (r *recorder) lookAgain() {
	ctx, cancel := context.WithTimeout(r.life.ctx, 30*time.Second)
	defer cancel()
	for name := range r.alarms.found.unseen() {
		if row, err := r.alarms.table.named(ctx, r.alarms.rows, name); err == nil && row.seen != 0 {
			r.alarms.found.note(name, func(f *found) { f.seen = f.recorded })
		}
	}
}
