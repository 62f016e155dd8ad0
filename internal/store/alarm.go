package store

import (
	"context"
	"crypto/hmac"
	"errors"
	"time"

	"countersign/internal/audit"
)

// What can be wrong with a row.
const (
	// Altered is a row that does not bear our MAC, or whose seal does not open: somebody
	// else wrote it, or moved it from another place.
	Altered = "altered"
	// Older is a row that was put back from an older copy.
	Older = "older"
	// Missing is a row that somebody removed.
	Missing = "missing"
	// Returned is a row that is there again, though it was removed, ended or taken.
	Returned = "returned"
)

// Finding is a row that is not as this installation left it. It is not believed.
type Finding struct {
	Table string
	Row   string // its key, as somebody would look for it
	Wrong string // Altered, Older, Missing or Returned
	// Account is whose it is, and 0 for nobody's.
	Account int64
}

func (f Finding) name() string { return f.Table + "/" + f.Row + "/" + f.Wrong }

// TamperedEvent is the entry of a row that is not as this installation left it.
const TamperedEvent = "database.tampered"

// Report has a finding written into the log, once for all servers, as an alarm. It does
// not wait, so that whoever refuses a row does not.
func (db *DB) Report(f Finding) {
	if _, known := db.reported.LoadOrStore(f.name(), true); known {
		return
	}
	db.log.Error("ALARM: a row was changed behind our back; it is not believed", "table", f.Table, "row", f.Row, "wrong", f.Wrong, "account", f.Account)
	select {
	case db.findings <- f:
	default: // whoever looks again finds it again
		db.reported.Delete(f.name())
	}
}

// sound records findings until the database is closed.
func (db *DB) sound() {
	for {
		select {
		case <-db.stop:
			return
		case f := <-db.findings:
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			err := db.alarm(ctx, f)
			cancel()
			if err != nil {
				db.reported.Delete(f.name())
				db.log.Error("an alarm cannot be recorded", "table", f.Table, "row", f.Row, "error", err)
			}
		}
	}
}

var errKnown = errors.New("store: the alarm is there")

// alarm records a finding. A row of another's making does not silence it.
func (db *DB) alarm(ctx context.Context, f Finding) error {
	err := db.Change(ctx, audit.System("watch"), func(tx *Tx) error {
		var at int64
		var mac []byte
		err := tx.QueryRow(ctx, "select at, mac from alarm where name = $1", f.name()).Scan(&at, &mac)
		switch {
		case err == nil && hmac.Equal(db.alarmMAC(f, at), mac):
			return errKnown
		case err != nil && !errors.Is(err, ErrNotFound):
			return err
		}
		at = Unix(tx.Now())
		_, err = tx.Exec(ctx, `insert into alarm (name, tbl, row_key, wrong, account, at, mac) values ($1,$2,$3,$4,$5,$6,$7)
			on conflict (name) do update set tbl = excluded.tbl, row_key = excluded.row_key, wrong = excluded.wrong, account = excluded.account, at = excluded.at, mac = excluded.mac`,
			f.name(), f.Table, f.Row, f.Wrong, f.Account, at, db.alarmMAC(f, at))
		if err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: TamperedEvent, Outcome: audit.Failed, Reason: f.Wrong, Account: f.Account, Detail: map[string]string{"table": f.Table, "row": f.Row}})
	})
	if errors.Is(err, errKnown) {
		return nil
	}
	return err
}

func (db *DB) alarmMAC(f Finding, at int64) []byte {
	return sum(db.shelf.key, "alarm/"+f.name(), at, []byte(number(f.Account)))
}

// Alarm is a finding and when it was made.
type Alarm struct {
	Finding
	At time.Time
}

// Alarms returns what was found to be changed behind our back, the newest first. A row of
// the table that is not ours is left out.
func (db *DB) Alarms(ctx context.Context) ([]Alarm, error) {
	rows, err := db.Query(ctx, "select tbl, row_key, wrong, account, at, mac from alarm order by at desc, name limit 1000")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Alarm
	for rows.Next() {
		var a Alarm
		var at int64
		var mac []byte
		if err := rows.Scan(&a.Table, &a.Row, &a.Wrong, &a.Account, &at, &mac); err != nil {
			return nil, err
		}
		if a.At = Time(at); hmac.Equal(db.alarmMAC(a.Finding, at), mac) {
			out = append(out, a)
		}
	}
	return out, rows.Err()
}
