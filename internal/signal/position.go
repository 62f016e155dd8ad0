package signal

import (
	"context"
	"errors"
	"strconv"
	"time"

	"countersign/internal/keyring"
	"countersign/internal/store"
)

// positions is the table signal_position. A MAC covers all columns, so that nobody with write
// access to the database moves a stream past what its receiver does not have. An older row that is
// put back, and one that is gone, have signals sent again, which receivers drop by their jti.
type positions struct {
	db   *store.DB
	keys *keyring.Keyring
}

const positionTable = "signal_position"

// position is a row.
type position struct {
	stream, begun, next int64
	acked               string
	told, failing       int64
	holder              string
	until               int64
	mac                 []byte
}

func (p position) fields() *keyring.Fields {
	return keyring.NewFields().String(positionTable).Int(p.stream).Int(p.begun).Int(p.next).String(p.acked).Int(p.told).Int(p.failing).String(p.holder).Int(p.until)
}

// end is the number after the newest entry of the log.
func end(ctx context.Context, r store.Reader) (n int64, err error) {
	err = r.QueryRow(ctx, `select coalesce(max(seq), -1) + 1 from audit_entry`).Scan(&n)
	return n, err
}

var errNoPosition = errors.New("signal: there is no position that we wrote")

const positionColumns = `stream, begun, next, acked, told, failing, holder, until, mac`

// scan reads a row. One that we did not write is reported, and is errNoPosition.
func (ps *positions) scan(scan func(...any) error) (position, error) {
	var p position
	if err := scan(&p.stream, &p.begun, &p.next, &p.acked, &p.told, &p.failing, &p.holder, &p.until, &p.mac); err != nil {
		return p, err
	}
	if !ps.keys.VerifyMAC(keyring.Signal, p.fields(), p.mac) {
		ps.report(p.stream, store.Altered)
		return p, errNoPosition
	}
	return p, nil
}

// read returns the position of a stream, or errNoPosition.
func (ps *positions) read(ctx context.Context, r store.Reader, stream int64) (position, error) {
	p, err := ps.scan(r.QueryRow(ctx, `select `+positionColumns+` from signal_position where stream = $1`, stream).Scan)
	if errors.Is(err, store.ErrNotFound) {
		err = errNoPosition
	}
	return p, err
}

func (ps *positions) report(stream int64, wrong string) {
	ps.db.Report(store.Finding{Table: positionTable, Row: strconv.FormatInt(stream, 10), Wrong: wrong})
}

// of returns the position of a stream, and makes it where there is none that we wrote.
func (ps *positions) of(ctx context.Context, one Stream) (position, error) {
	p, err := ps.read(ctx, ps.db, one.party.id)
	if err == nil && p.begun == one.Begun || err != nil && !errors.Is(err, errNoPosition) {
		return p, err
	}
	p = position{stream: one.party.id, begun: one.Begun, next: one.Begun}
	err = ps.db.Housekeep(ctx, "signal.begin", func(tx *store.Tx) error { return ps.put(ctx, tx, p) })
	if err == nil {
		p, err = ps.read(ctx, ps.db, one.party.id)
	}
	return p, err
}

// put writes a row, whatever is there.
func (ps *positions) put(ctx context.Context, tx *store.Tx, p position) error {
	p.mac = ps.keys.MAC(keyring.Signal, p.fields())
	_, err := tx.Exec(ctx, `insert into signal_position (stream, begun, next, acked, told, failing, holder, until, mac) values ($1,$2,$3,$4,$5,$6,$7,$8,$9)
		on conflict (stream) do update set begun = excluded.begun, next = excluded.next, acked = excluded.acked, told = excluded.told, failing = excluded.failing, holder = excluded.holder, until = excluded.until, mac = excluded.mac`,
		p.stream, p.begun, p.next, p.acked, p.told, p.failing, p.holder, p.until, p.mac)
	return err
}

// move writes a row anew if it is still as it was read, and reports whether it was.
func (ps *positions) move(ctx context.Context, was, is position) (position, bool, error) {
	is.mac = ps.keys.MAC(keyring.Signal, is.fields())
	var n int64
	err := ps.db.Housekeep(ctx, "signal.position", func(tx *store.Tx) (err error) {
		n, err = tx.Exec(ctx, `update signal_position set next = $2, acked = $3, told = $4, failing = $5, holder = $6, until = $7, mac = $8 where stream = $1 and mac = $9`,
			is.stream, is.next, is.acked, is.told, is.failing, is.holder, is.until, is.mac, was.mac)
		return err
	})
	return is, err == nil && n == 1, err
}

// held reports whether another server sends.
func (p position) held(me string, now time.Time) bool {
	return p.holder != "" && p.holder != me && store.Time(p.until).After(now)
}

// inspect checks all rows.
func (ps *positions) inspect(ctx context.Context) error {
	rows, err := ps.db.Query(ctx, `select `+positionColumns+` from signal_position order by stream`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if _, err := ps.scan(rows.Scan); err != nil && !errors.Is(err, errNoPosition) {
			return err
		}
	}
	return rows.Err()
}
