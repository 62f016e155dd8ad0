package events

import (
	"context"
	"errors"
	"strconv"
	"time"

	"countersign/internal/audit"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// positions is the table destination. A MAC covers all columns, so that somebody with write
// access to the database cannot move a destination past entries that it does not have. An
// older row that is put back sends entries again, which receivers drop by their numbers.
type positions struct {
	db   *store.DB
	keys *keyring.Keyring
	now  func() time.Time
}

const table = "destination"

// begunEvent is the entry of a destination that begins, or begins again.
const begunEvent = "destination.begun"

// position is a row.
type position struct {
	name        string
	begun, next int64
	holder      string
	until       int64
	mac         []byte
}

func (p position) fields() *keyring.Fields {
	return keyring.NewFields().String(table).String(p.name).Int(p.begun).Int(p.next).String(p.holder).Int(p.until)
}

const positionColumns = `select name, begun, next, holder, until, mac from destination`

func (t *positions) scan(scan func(...any) error) (position, error) {
	var p position
	if err := scan(&p.name, &p.begun, &p.next, &p.holder, &p.until, &p.mac); err != nil {
		return p, err
	}
	if !t.keys.VerifyMAC(keyring.Destination, p.fields(), p.mac) {
		t.report(p.name, store.Altered)
		return p, errAltered
	}
	return p, nil
}

var errAltered = errors.New("events: a position that we did not write")

func (t *positions) report(name, wrong string) {
	t.db.Report(store.Finding{Table: table, Row: name, Wrong: wrong})
}

// read returns the position of a destination: store.ErrNotFound for none, and errAltered,
// reported, for one that we did not write.
func (t *positions) read(ctx context.Context, name string) (position, error) {
	return t.scan(t.db.QueryRow(ctx, positionColumns+` where name = $1`, name).Scan)
}

// begin makes the row of a destination that has none, or none that we wrote. One that had
// one begins where it began the first time.
func (t *positions) begin(ctx context.Context, d Destination) (position, error) {
	p, err := t.read(ctx, d.Name)
	if err == nil || !errors.Is(err, store.ErrNotFound) && !errors.Is(err, errAltered) {
		return p, err
	}
	known := t.db.Newest(table, store.NumberOf(d.Name)) > 0
	if errors.Is(err, store.ErrNotFound) && known {
		t.report(d.Name, store.Missing)
	}
	from, err := t.start(ctx, d, known || errors.Is(err, errAltered))
	if err != nil {
		return p, err
	}
	err = t.db.Change(ctx, audit.System("events"), func(tx *store.Tx) error {
		p = position{name: d.Name, begun: from, next: from}
		p.mac = t.keys.MAC(keyring.Destination, p.fields())
		tx.Anchor(table, store.NumberOf(d.Name), store.Unix(tx.Now()))
		if err := tx.Record(audit.Entry{Event: begunEvent, Outcome: audit.OK, Application: audit.Self, Detail: map[string]string{"destination": d.Name, "from": strconv.FormatInt(from, 10)}}); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `insert into destination (name, begun, next, holder, until, mac) values ($1,$2,$3,$4,$5,$6)
			on conflict (name) do update set begun = excluded.begun, next = excluded.next, holder = excluded.holder, until = excluded.until, mac = excluded.mac`, p.name, p.begun, p.next, p.holder, p.until, p.mac)
		return err
	})
	return p, err
}

// start returns the number of the entry that a destination begins with.
func (t *positions) start(ctx context.Context, d Destination, again bool) (int64, error) {
	if again {
		said, err := t.db.AuditLog().Entries(ctx, store.Filter{Event: begunEvent, Limit: 10_000})
		if err != nil {
			return 0, err
		}
		for _, e := range said {
			if n, err := strconv.ParseInt(e.Detail["from"], 10, 64); e.Detail["destination"] == d.Name && err == nil {
				return n, nil
			}
		}
		return 0, nil
	}
	if d.FromBeginning {
		return 0, nil
	}
	return t.end(ctx)
}

// end is the number after the newest entry.
func (t *positions) end(ctx context.Context) (n int64, err error) {
	err = t.db.QueryRow(ctx, `select coalesce(max(seq), -1) + 1 from audit_entry`).Scan(&n)
	return n, err
}

// oldest is the time of the first entry that a destination does not have, and zero if it has all.
func (t *positions) oldest(ctx context.Context, p position) (time.Time, error) {
	var at int64
	err := t.db.QueryRow(ctx, `select at from audit_entry where seq >= $1 order by seq limit 1`, p.next).Scan(&at)
	if errors.Is(err, store.ErrNotFound) {
		return time.Time{}, nil
	}
	return store.Time(at), err
}

// move writes a row anew if it is still as it was read, and reports whether it was: another
// server may have been first.
func (t *positions) move(ctx context.Context, was, is position) (position, bool, error) {
	is.mac = t.keys.MAC(keyring.Destination, is.fields())
	var n int64
	err := t.db.Housekeep(ctx, "events.position", func(tx *store.Tx) (err error) {
		n, err = tx.Exec(ctx, `update destination set next = $2, holder = $3, until = $4, mac = $5 where name = $1 and mac = $6`, is.name, is.next, is.holder, is.until, is.mac, was.mac)
		return err
	})
	return is, err == nil && n == 1, err
}

// inspect checks all rows, and looks for those of these destinations.
func (t *positions) inspect(ctx context.Context, all []Destination) error {
	rows, err := t.db.Query(ctx, positionColumns+` order by name`)
	if err != nil {
		return err
	}
	defer rows.Close()
	there := map[string]bool{}
	for rows.Next() {
		p, err := t.scan(rows.Scan)
		if err != nil && !errors.Is(err, errAltered) {
			return err
		}
		there[p.name] = true
	}
	for _, d := range all {
		if !there[d.Name] {
			t.report(d.Name, store.Missing)
		}
	}
	return rows.Err()
}
