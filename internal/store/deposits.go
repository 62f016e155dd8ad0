package store

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"countersign/internal/audit"
)

const (
	// depositWait is how long an entry may wait for its number before it is looked for.
	depositWait = 30 * time.Second
	// depositKept is how long a numbered entry is remembered, to notice when it is numbered
	// again, and depositsKept how many of those are remembered.
	depositKept  = 10 * time.Minute
	depositsKept = 50_000
	// depositsAtOnce limits how many are looked for at a time.
	depositsAtOnce = 50
)

// deposits are the entries that this server left in the inbox for the sequencer. Until an
// entry is numbered, an attacker who can write to the database can remove or repeat it.
type deposits struct {
	rows    *reads
	changes *changes
	alarms  *Alarms
	seq     *sequencer

	mu   sync.Mutex
	left map[deposited]*deposit
	done int // number of numbered entries
}

// deposited identifies a body.
type deposited [16]byte

type deposit struct {
	body       []byte // nil once it is numbered as often as it was left
	left, seen int
	unsure     bool // its commit may have failed
	since      time.Time
}

func bodyKey(body []byte) deposited {
	h := sha256.Sum256(body)
	return deposited(h[:16])
}

// leave notes entries before they are committed and can be numbered.
func (d *deposits) leave(entries []recorded) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left == nil {
		d.left = make(map[deposited]*deposit)
	}
	for _, e := range entries {
		one := d.left[bodyKey(e.body)]
		if one == nil {
			one = &deposit{}
			d.left[bodyKey(e.body)] = one
		}
		if one.left > 0 && one.seen == one.left {
			d.done--
		}
		one.left++
		one.body, one.since = e.body, time.Now()
	}
}

// withdraw notes that entries were not committed, or that this is unknown.
func (d *deposits) withdraw(entries []recorded, unsure bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range entries {
		key := bodyKey(e.body)
		one := d.left[key]
		switch {
		case one == nil:
		case unsure:
			one.unsure = true
		default:
			if one.left--; one.left <= 0 && one.seen == 0 {
				delete(d.left, key)
			}
		}
	}
}

// saw notes a numbered entry, and reports whether it was numbered more often than it was
// left.
func (d *deposits) saw(body []byte) (repeated bool) {
	if d == nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.left) == 0 {
		return false
	}
	key := bodyKey(body)
	one := d.left[key]
	if one == nil {
		return false
	}
	one.seen++
	switch {
	case one.seen > one.left:
		return !one.unsure
	case one.seen == one.left:
		one.body, one.since = nil, time.Now()
		if d.done++; d.done > depositsKept {
			d.drop(key)
		}
	}
	return false
}

// drop forgets any numbered entry except this one.
func (d *deposits) drop(but deposited) {
	for key, one := range d.left {
		if key != but && one.body == nil {
			delete(d.left, key)
			d.done--
			return
		}
	}
}

// overdue lists entries that should be numbered by now, and forgets old ones.
func (d *deposits) overdue(now time.Time) (out []*deposit) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, one := range d.left {
		switch age := now.Sub(one.since); {
		case one.body == nil && age > depositKept:
			delete(d.left, key)
			d.done--
		case one.body != nil && one.unsure && age > depositWait:
			delete(d.left, key)
		case one.body != nil && age > depositWait && len(out) < depositsAtOnce:
			out = append(out, one)
		}
	}
	return out
}

// still reports whether an entry is not numbered yet, and restarts its waiting time.
func (d *deposits) still(one *deposit) ([]byte, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	one.since = time.Now()
	return one.body, one.body != nil
}

// look looks for overdue entries: they wait in the inbox, or were numbered meanwhile, or
// somebody removed them. Those that were removed are left again. Fresh reads the new
// entries of the log.
func (d *deposits) look(ctx context.Context, fresh func(context.Context) error) error {
	if d == nil {
		return nil
	}
	var gone []*deposit
	for _, one := range d.overdue(time.Now()) {
		body, due := d.still(one)
		if !due {
			continue
		}
		var n int64
		if err := d.rows.QueryRow(ctx, "select count(*) from audit_inbox where body = $1", body).Scan(&n); err != nil {
			return err
		}
		if n == 0 {
			gone = append(gone, one)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	if err := fresh(ctx); err != nil { // an entry that was numbered is in the log by now
		return err
	}
	for _, one := range gone {
		if body, due := d.still(one); due {
			if err := d.leaveAgain(ctx, body); err != nil {
				return err
			}
		}
	}
	return nil
}

// leaveAgain writes an entry that somebody removed before it was numbered.
func (d *deposits) leaveAgain(ctx context.Context, body []byte) error {
	e, err := audit.Decode(body)
	if err != nil {
		return err
	}
	d.alarms.Report(Finding{Table: "audit_inbox", Row: e.Event + " " + e.At.UTC().Format(time.RFC3339Nano), Wrong: Missing, Account: e.Account})
	return d.changes.housekeep(ctx, "an entry that was removed", func(tx *Tx) error {
		s := d.seq.depositing([]recorded{{body: body}})
		_, err := tx.run.ExecContext(ctx, s.Query, s.Args...)
		return tx.fail(err)
	})
}
