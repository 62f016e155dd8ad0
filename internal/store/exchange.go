package store

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// Statement is one statement with its arguments.
type Statement struct {
	Query string
	Args  []any
}

// Result is what a statement did: how many rows it affected, and those that it returned.
type Result struct {
	affected int64
	columns  []column
	rows     [][]byte // of each row its columns, one after the other
}

// Exchanger is a connection of a driver around PostgreSQL's own, such as one that injects
// faults in tests.
type Exchanger interface {
	driver.Conn
	// Exchange is [Exchange] on this connection.
	Exchange(ctx context.Context, all []Statement) ([]Result, error)
}

// Exchange sends statements together to PostgreSQL and waits once for all answers. After the
// first that fails none is run: there are as many results as statements were run, and the error
// is that of the next. Where the connection fails, any of the others may have been run too.
func Exchange(ctx context.Context, conn any, all []Statement) ([]Result, error) {
	switch c := conn.(type) {
	case Exchanger:
		return c.Exchange(ctx, all)
	case *stdlib.Conn:
		return exchange(ctx, c.Conn(), all)
	}
	return nil, fmt.Errorf("store: a connection of type %T cannot send several statements at once", conn)
}

func exchange(ctx context.Context, conn *pgx.Conn, all []Statement) ([]Result, error) {
	batch := &pgx.Batch{QueuedQueries: make([]*pgx.QueuedQuery, len(all))}
	queued := make([]pgx.QueuedQuery, len(all))
	for i, s := range all {
		queued[i].SQL, queued[i].Arguments = s.Query, s.Args
		batch.QueuedQueries[i] = &queued[i]
	}
	answers := conn.SendBatch(ctx, batch)
	results := make([]Result, 0, len(all))
	for range all {
		r, err := readResult(answers)
		if err != nil {
			answers.Close()
			return results, err
		}
		results = append(results, r)
	}
	return results, answers.Close()
}

// readResult reads the answer to the next statement.
func readResult(answers pgx.BatchResults) (r Result, err error) {
	rows, err := answers.Query()
	if err != nil {
		return r, err
	}
	for rows.Next() {
		if r.columns == nil {
			r.columns = columnsOf(rows.FieldDescriptions())
		}
		r.rows = append(r.rows, packRow(rows.RawValues()))
	}
	rows.Close()
	r.affected = rows.CommandTag().RowsAffected()
	return r, rows.Err()
}
