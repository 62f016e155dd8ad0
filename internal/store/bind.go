package store

import (
	"context"

	"countersign/internal/audit"
)

// BindPages binds the rows that a release before wrote to a table without a MAC, one page
// after the other, each in a change of its own. Read returns how many rows the next page has
// and what binds them; a page of none is the end.
func BindPages(ctx context.Context, db *DB, table string, read func(ctx context.Context) (rows int, bind func(*Tx) error, err error)) error {
	for {
		n, bind, err := read(ctx)
		if err != nil || n == 0 {
			return err
		}
		err = db.Change(ctx, audit.System("start"), func(tx *Tx) error {
			if err := bind(tx); err != nil {
				return err
			}
			return tx.RecordBound(table, n)
		})
		if err != nil {
			return err
		}
	}
}
