package store

import (
	"context"
	"database/sql"

	"countersign/internal/store/lite"
)

// Reader reads rows. [DB] reads committed rows, and [Tx] also those that it wrote
// itself.
type Reader interface {
	Query(ctx context.Context, query string, args ...any) (*Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) Row
}

// cursor is where rows come from: the database, or what was read ahead.
type cursor interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
	Close() error
}

var (
	_ cursor = (*sql.Rows)(nil)
	_ cursor = (*lite.Rows)(nil)
)

// Rows is the result of a query. It must be closed; reading it to its end also
// closes it.
type Rows struct {
	rows  cursor
	ended bool
	// fail, in a transaction, is told an error and returns what the caller gets.
	fail func(error) error
}

// Next moves to the next row. It returns false at the end and on an error: see Err.
func (r *Rows) Next() bool {
	if r.rows.Next() {
		return true
	}
	r.ended = true
	return false
}

// Scan copies the row's columns into dest: *int64, *string, *[]byte (a copy),
// *bool, *float64, pointers to types made of those, or a pointer to a pointer
// where a column may be null.
func (r *Rows) Scan(dest ...any) error {
	if err := r.rows.Scan(dest...); err != nil {
		return classify(err)
	}
	return nil
}

// Err returns the error that ended the rows, or nil. It must be checked after a loop
// over Next.
func (r *Rows) Err() error { return r.settle(r.rows.Err()) }

// Close ends the rows early. It may be called again.
func (r *Rows) Close() error {
	r.ended = true
	return r.settle(r.rows.Close())
}

func (r *Rows) settle(err error) error {
	if err == nil {
		return nil
	}
	if r.fail != nil {
		return r.fail(err)
	}
	return classify(err)
}

// Row is the result of a query for one row.
type Row struct {
	rows *Rows
	err  error
}

// Scan is [Rows.Scan] of the first row; it returns ErrNotFound if there is none.
func (r Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return ErrNotFound
	}
	if err := r.rows.Scan(dest...); err != nil {
		return err
	}
	return r.rows.Close()
}
