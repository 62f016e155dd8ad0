package directory

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"countersign/internal/assurance"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// kept is where the rows are, and what their MACs and seals are made with.
type kept struct {
	db   *store.DB
	keys *keyring.Keyring
}

func keptBy(p Parts) kept { return kept{p.DB, p.Keys} }

// ErrTampered is a row that is not as it was left, and must be refused as a whole. It is a
// breakdown, never a refusal that somebody could get around, and it is an alarm in the log.
var ErrTampered = errors.New("directory: a row failed its integrity check (MAC)")

func (k kept) tampered(table string, id int64, of assurance.AccountID) error {
	k.report(table, strconv.FormatInt(id, 10), store.Altered, of)
	return fmt.Errorf("%w: %s %d", ErrTampered, table, id)
}

func (k kept) report(table, row, wrong string, of assurance.AccountID) {
	k.db.Report(store.Finding{Table: table, Row: row, Wrong: wrong, Account: int64(of)})
}

// again reads the version of a row once more.
var again = map[string]string{
	"account":    `select version from account where id = $1`,
	"credential": `select version from credential where id = $1`,
	"team":       `select version from team where id = $1`,

	"external_id": `select version from external_id where id = $1`,
}

// newest returns an error for a row that is older than one that was committed. One that
// is not there any more is unknown: it was removed since it was read.
func (k kept) newest(ctx context.Context, kind string, number, version int64, of assurance.AccountID) error {
	newest := k.db.Newest(kind, number) // once: it may be changed again while it is read again
	if version >= newest {
		return nil
	}
	if k.db.View().Overtaken(kind, number) {
		var now int64
		err := k.db.QueryRow(ctx, again[kind], number).Scan(&now)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return unknown
		case err != nil:
			return err
		case now >= newest:
			k.db.View().Doubt(kind, number)
			return nil
		}
	}
	k.report(kind, strconv.FormatInt(number, 10), store.Older, of)
	return fmt.Errorf("%w: %s %d is older than it was", ErrTampered, kind, number)
}
