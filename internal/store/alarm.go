package store

import (
	"cmp"
	"context"
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"
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

// alarmTopic makes every server read the alarms again.
const alarmTopic = "alarm"

// Alarm is a finding and its time.
type Alarm struct {
	Finding
	At time.Time
}

// alarmAgain is how long an alarm that could not be recorded waits.
const alarmAgain = 10 * time.Second

// Alarms are the findings of this server, and the table of all servers' alarms. It is safe
// for concurrent use.
type Alarms struct {
	log    *slog.Logger
	now    func() time.Time
	rows   *reads
	doubts *doubts
	table  alarmTable
	found  findings
	queue  chan Finding // to be recorded
	look   chan bool    // an administrator has seen some
}

// Alarms returns what was found wrong with rows.
func (db *DB) Alarms() *Alarms { return db.alarms }

// Report is [Alarms.Report].
func (db *DB) Report(f Finding) { db.alarms.Report(f) }

// Report records a finding in the log as an alarm, once for all servers. It returns
// at once and records in the background.
func (a *Alarms) Report(f Finding) {
	if a.doubts.about(f) || !a.found.add(&f, a.now()) {
		return
	}
	a.log.Error("ALARM: row failed its integrity check; ignored", "table", f.Table, "row", f.Row, "wrong", f.Wrong, "account", f.Account)
	select {
	case a.queue <- f:
	default: // the recorder tries again later
	}
}

// Swept ends a round over all rows that began at this time. Findings that were reported
// before and not in this round are over: the next one of the same row is a new alarm.
func (a *Alarms) Swept(began time.Time) { a.found.swept(false, began) }

// alarmRow is a row of the table.
type alarmRow struct {
	Finding
	at, seen int64
}

// version grows with each write of the row.
func (r alarmRow) version() int64 { return max(r.at, r.seen) }

// alarmTable is the table of alarms. Its rows have MACs, and their versions are in the log,
// so that a forged row and one that was put back count as none.
type alarmTable struct {
	shelf  *shelf // its key is that of the MACs
	memory *memory
}

func (t alarmTable) mac(r alarmRow) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(r.Account))
	return sum(t.shelf.key, "alarm/"+r.name(), r.at, binary.BigEndian.AppendUint64(b, uint64(r.seen)))
}

const alarmColumns = "select tbl, row_key, wrong, account, at, seen, mac from alarm"

// read scans alarmColumns. It returns ErrNotFound for a row without a valid MAC or of an
// older version.
func (t alarmTable) read(scan func(...any) error) (r alarmRow, err error) {
	var mac []byte
	if err := scan(&r.Table, &r.Row, &r.Wrong, &r.Account, &r.at, &r.seen, &mac); err != nil {
		return r, err
	}
	if !hmac.Equal(t.mac(r), mac) || r.version() < t.memory.newest("alarm", NumberOf(r.name())) {
		return r, ErrNotFound
	}
	return r, nil
}

func (t alarmTable) named(ctx context.Context, r Reader, name string) (alarmRow, error) {
	row, err := t.read(r.QueryRow(ctx, alarmColumns+" where name = $1", name).Scan)
	if err == nil && row.name() != name {
		err = ErrNotFound
	}
	return row, err
}

func (t alarmTable) put(ctx context.Context, tx *Tx, r alarmRow) error {
	_, err := tx.Exec(ctx, `insert into alarm (name, tbl, row_key, wrong, account, at, seen, mac) values ($1,$2,$3,$4,$5,$6,$7,$8)
		on conflict (name) do update set tbl = excluded.tbl, row_key = excluded.row_key, wrong = excluded.wrong, account = excluded.account, at = excluded.at, seen = excluded.seen, mac = excluded.mac`,
		r.name(), r.Table, r.Row, r.Wrong, r.Account, r.at, r.seen, t.mac(r))
	tx.Anchor("alarm", NumberOf(r.name()), r.version())
	return err
}

// alarmsMost limits how many alarms are shown, and alarmsRead how many rows are read for that.
const (
	alarmsMost = 1000
	alarmsRead = 20_000
)

// Unseen returns the findings that no administrator has acknowledged yet, the newest
// first. It leaves out rows of the table of alarms without a valid MAC, and includes this
// server's own findings even if their rows are gone.
func (a *Alarms) Unseen(ctx context.Context) ([]Alarm, error) {
	out := a.found.unseen()
	rows, err := a.rows.Query(ctx, alarmColumns+" where seen = 0 order by at desc, name limit $1", alarmsRead)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() && len(out) < alarmsMost {
		switch r, err := a.table.read(rows.Scan); {
		case err == nil:
			out[r.name()] = Alarm{r.Finding, Time(r.at)}
		case !errors.Is(err, ErrNotFound):
			return nil, err
		}
	}
	all := make([]Alarm, 0, len(out))
	for _, one := range out {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b Alarm) int {
		return cmp.Or(b.At.Compare(a.At), strings.Compare(a.name(), b.name()))
	})
	return all, rows.Err()
}

// See acknowledges all alarms up to a time, in a change, and returns their number.
// A row that was correct in between and fails again is a new alarm.
func (a *Alarms) See(ctx context.Context, tx *Tx, until time.Time) (int, error) {
	all, err := a.Unseen(ctx)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, one := range all {
		if one.At.After(until) {
			continue
		}
		r := alarmRow{Finding: one.Finding, at: Unix(one.At), seen: Unix(tx.Now())}
		if err := a.table.put(ctx, tx, r); err != nil {
			return 0, err
		}
		tx.AfterCommit(func() { a.found.note(r.name(), func(f *found) { f.recorded, f.seen = true, true }) })
		n++
	}
	tx.Announce(alarmTopic)
	return n, nil
}

// hear makes this server ask which of its findings were seen on another server.
func (a *Alarms) hear(topic string) {
	if topic == alarmTopic || topic == Missed {
		select {
		case a.look <- true:
		default:
		}
	}
}
