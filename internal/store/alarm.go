package store

import (
	"cmp"
	"context"
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"countersign/internal/audit"
)

// What can be wrong with a row.
const (
	// Altered is a row without a valid MAC, or with a sealed value that does not open:
	// it was changed from outside, or moved from another place.
	Altered = "altered"
	// Older is a row that was put back from an older copy.
	Older = "older"
	// Missing is a row that was removed from outside.
	Missing = "missing"
	// Returned is a row that exists again, though it was removed, ended or used up.
	Returned = "returned"
)

// Finding is a row that failed its integrity check. The row is ignored.
type Finding struct {
	Table string
	Row   string // its key, as somebody would look for it
	Wrong string // Altered, Older, Missing or Returned
	// Account is the account that it belongs to, or 0.
	Account int64
}

func (f Finding) name() string { return f.Table + "/" + f.Row + "/" + f.Wrong }

// TamperedEvent is the entry for a row that failed its integrity check.
const TamperedEvent = "database.tampered"

// SeenEvent is the entry for alarms that an administrator acknowledged.
const SeenEvent = "database.alarm-seen"

// alarmTopic has every server look at the alarms again.
const alarmTopic = "alarm"

// Alarm is a finding and its time.
type Alarm struct {
	Finding
	At time.Time
}

const (
	// findingsMost bounds how many findings are kept in mind. Whoever alters more rows has
	// one alarm more for each table, which stands for the rest.
	findingsMost = 10_000
	// Rest is the row of the alarm that stands for all further ones.
	Rest = "more"
	// alarmAgain is how long an alarm that could not be recorded waits.
	alarmAgain = 10 * time.Second
)

// alarms is what this server found.
type alarms struct {
	queue chan Finding
	look  chan bool

	mu    sync.Mutex
	found map[string]*found
	// log and rows say that a whole round has gone by since the start.
	log, rows bool
}

// found is a finding of this server's.
type found struct {
	Alarm
	last     time.Time // when it was found last
	recorded bool
	seen     bool
	anew     bool // it was not there in between
}

// Report records a finding in the log as an alarm, once for all servers. It returns
// at once and records in the background.
func (db *DB) Report(f Finding) {
	if db.doubts.about(f) || !db.alarms.add(&f, db.now()) {
		return
	}
	db.log.Error("ALARM: row failed its integrity check; ignored", "table", f.Table, "row", f.Row, "wrong", f.Wrong, "account", f.Account)
	select {
	case db.alarms.queue <- f:
	default: // it is tried again
	}
}

// add keeps a finding in mind, and reports whether it is news.
func (a *alarms) add(f *Finding, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.found == nil {
		a.found = make(map[string]*found)
	}
	old := a.found[f.name()]
	if old == nil && len(a.found) >= findingsMost {
		*f = Finding{Table: f.Table, Row: Rest, Wrong: f.Wrong}
		old = a.found[f.name()]
	}
	if old != nil {
		old.last = time.Now()
		return false
	}
	whole := a.rows
	if ofLog(f.Table) {
		whole = a.log
	}
	a.found[f.name()] = &found{Alarm: Alarm{*f, now}, last: time.Now(), anew: whole}
	return true
}

// ofLog reports whether the watch looks at a table.
func ofLog(table string) bool { return strings.HasPrefix(table, "audit_") }

// Swept ends a round over all rows that began at this time. Findings that were reported
// before and not in this round are over: the next one of the same row is a new alarm.
func (db *DB) Swept(began time.Time) { db.alarms.swept(false, began) }

func (a *alarms) swept(log bool, began time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if log {
		a.log = true
	} else {
		a.rows = true
	}
	for name, f := range a.found {
		if ofLog(f.Table) == log && f.recorded && f.last.Before(began) {
			delete(a.found, name)
		}
	}
}

// sound records findings until the database is closed.
func (db *DB) sound() {
	ticker := time.NewTicker(alarmAgain)
	defer ticker.Stop()
	for {
		select {
		case <-db.life.stop:
			return
		case f := <-db.alarms.queue:
			db.record(f)
		case <-db.alarms.look:
			db.lookAtAlarms()
		case <-ticker.C:
			for _, f := range db.alarms.due() {
				db.record(f)
			}
		}
	}
}

// due lists what could not be recorded.
func (a *alarms) due() (out []Finding) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, f := range a.found {
		if !f.recorded {
			out = append(out, f.Finding)
		}
	}
	return out
}

func (db *DB) record(f Finding) {
	if db.head.refusal() != nil { // it is shown from memory
		return
	}
	ctx, cancel := context.WithTimeout(db.life.ctx, 30*time.Second)
	defer cancel()
	found := db.alarms.named(f.name())
	if found == nil {
		return // it was well, and recorded, before its turn came once more
	}
	seen, err := db.alarm(ctx, f, found.anew)
	if err != nil {
		if ctx.Err() == nil && db.head.refusal() == nil {
			db.log.Error("an alarm cannot be recorded", "table", f.Table, "row", f.Row, "error", err)
		}
		return
	}
	db.alarms.mu.Lock()
	defer db.alarms.mu.Unlock()
	found.recorded, found.seen, found.anew = true, found.seen || seen, false
}

func (a *alarms) note(name string, set func(*found)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f := a.found[name]; f != nil {
		set(f)
	}
}

// named returns a finding, and nil for none. What it holds changes only under the lock, and
// anew only by whoever records it.
func (a *alarms) named(name string) *found {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.found[name]
}

// alarm records a finding, and says whether an administrator has seen it. A row of
// another's making does not silence it, and neither does one that was seen before the
// finding was made anew.
func (db *DB) alarm(ctx context.Context, f Finding, anew bool) (seen bool, err error) {
	err = db.Change(ctx, audit.System("watch"), func(tx *Tx) error {
		seen = false
		old, err := db.alarmNamed(ctx, tx, f.name())
		switch {
		case err == nil && (old.seen == 0 || !anew):
			seen = old.seen != 0
			return errKnown
		case err != nil && !errors.Is(err, ErrNotFound):
			return err
		}
		if err := db.putAlarm(ctx, tx, alarmRow{Finding: f, at: Unix(tx.Now())}); err != nil {
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

// alarmRow is a row of the table.
type alarmRow struct {
	Finding
	at, seen int64
}

// version counts up with each time that it is written.
func (r alarmRow) version() int64 { return max(r.at, r.seen) }

func (db *DB) alarmMAC(r alarmRow) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(r.Account))
	return sum(db.shelf.key, "alarm/"+r.name(), r.at, binary.BigEndian.AppendUint64(b, uint64(r.seen)))
}

const alarmColumns = "select tbl, row_key, wrong, account, at, seen, mac from alarm"

// readAlarm scans alarmColumns. A row that is not ours, or older than the newest, is ErrNotFound.
func (db *DB) readAlarm(scan func(...any) error) (r alarmRow, err error) {
	var mac []byte
	if err := scan(&r.Table, &r.Row, &r.Wrong, &r.Account, &r.at, &r.seen, &mac); err != nil {
		return r, err
	}
	if !hmac.Equal(db.alarmMAC(r), mac) || r.version() < db.Newest("alarm", NumberOf(r.name())) {
		return r, ErrNotFound
	}
	return r, nil
}

func (db *DB) alarmNamed(ctx context.Context, r Reader, name string) (alarmRow, error) {
	row, err := db.readAlarm(r.QueryRow(ctx, alarmColumns+" where name = $1", name).Scan)
	if err == nil && row.name() != name {
		err = ErrNotFound
	}
	return row, err
}

func (db *DB) putAlarm(ctx context.Context, tx *Tx, r alarmRow) error {
	_, err := tx.Exec(ctx, `insert into alarm (name, tbl, row_key, wrong, account, at, seen, mac) values ($1,$2,$3,$4,$5,$6,$7,$8)
		on conflict (name) do update set tbl = excluded.tbl, row_key = excluded.row_key, wrong = excluded.wrong, account = excluded.account, at = excluded.at, seen = excluded.seen, mac = excluded.mac`,
		r.name(), r.Table, r.Row, r.Wrong, r.Account, r.at, r.seen, db.alarmMAC(r))
	tx.Anchor("alarm", NumberOf(r.name()), r.version())
	return err
}

// alarmsMost bounds how many alarms are shown, and alarmsRead how many rows are read for it.
const (
	alarmsMost = 1000
	alarmsRead = 20_000
)

// Alarms returns the findings that no administrator has acknowledged yet, the newest
// first. It leaves out rows of the table of alarms without a valid MAC, and includes this
// server's own findings even if their rows are gone.
func (db *DB) Alarms(ctx context.Context) ([]Alarm, error) {
	out := db.alarms.unseen()
	rows, err := db.Query(ctx, alarmColumns+" where seen = 0 order by at desc, name limit $1", alarmsRead)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() && len(out) < alarmsMost {
		switch r, err := db.readAlarm(rows.Scan); {
		case err == nil:
			out[r.name()] = Alarm{r.Finding, Time(r.at)}
		case !errors.Is(err, ErrNotFound):
			return nil, err
		}
	}
	all := make([]Alarm, 0, len(out))
	for _, a := range out {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b Alarm) int {
		return cmp.Or(b.At.Compare(a.At), strings.Compare(a.name(), b.name()))
	})
	return all, rows.Err()
}

// unseen are this server's findings that nobody has seen.
func (a *alarms) unseen() map[string]Alarm {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make(map[string]Alarm)
	for name, f := range a.found {
		if !f.seen {
			out[name] = f.Alarm
		}
	}
	return out
}

// SeeAlarms acknowledges all alarms up to a time, in a change, and returns their number.
// A row that was correct in between and fails again is a new alarm.
func (db *DB) SeeAlarms(ctx context.Context, tx *Tx, until time.Time) (int, error) {
	all, err := db.Alarms(ctx)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, a := range all {
		if a.At.After(until) {
			continue
		}
		r := alarmRow{Finding: a.Finding, at: Unix(a.At), seen: Unix(tx.Now())}
		if err := db.putAlarm(ctx, tx, r); err != nil {
			return 0, err
		}
		tx.AfterCommit(func() { db.alarms.note(r.name(), func(f *found) { f.recorded, f.seen = true, true }) })
		n++
	}
	tx.Announce(alarmTopic)
	return n, nil
}

// hearAlarms has this server look which of its findings were seen, wherever that was.
func (db *DB) hearAlarms(topic string) {
	if topic == alarmTopic || topic == Missed {
		select {
		case db.alarms.look <- true:
		default:
		}
	}
}

func (db *DB) lookAtAlarms() {
	ctx, cancel := context.WithTimeout(db.life.ctx, 30*time.Second)
	defer cancel()
	for name := range db.alarms.unseen() {
		if r, err := db.alarmNamed(ctx, db, name); err == nil && r.seen != 0 {
			db.alarms.note(name, func(f *found) { f.seen = f.recorded })
		}
	}
}
