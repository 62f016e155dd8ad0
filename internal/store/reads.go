package store

import (
	"context"
	"database/sql"
	"errors"
)

// reads reads committed rows, and can write nothing. It is a [Reader].
type reads struct {
	often querier
	quiet querier // for background reads of whole tables, with a small cache; nil with PostgreSQL
}

// Query reads committed rows. The statement may not write.
func (r *reads) Query(ctx context.Context, query string, args ...any) (*Rows, error) {
	if err := checkArgs(args); err != nil {
		return nil, err
	}
	from := r.often
	if r.quiet != nil && ctx.Value(inBackground{}) != nil {
		from = r.quiet
	}
	rows, err := from.query(ctx, query, args)
	if err != nil {
		return nil, classify(err)
	}
	return &Rows{rows: rows}, nil
}

// QueryRow is Query for one row; the error comes from its Scan.
func (r *reads) QueryRow(ctx context.Context, query string, args ...any) Row {
	rows, err := r.Query(ctx, query, args...)
	return Row{rows: rows, err: err}
}

// runner reads as a transaction's statements are run.
func (r *reads) runner() runner { return pooled{r.often} }

func (r *reads) close() error {
	err := r.often.close()
	if r.quiet != nil {
		err = errors.Join(err, r.quiet.close())
	}
	return err
}

// inBackground marks the context of a caller that reads whole tables repeatedly.
type inBackground struct{}

func background(ctx context.Context) context.Context {
	return context.WithValue(ctx, inBackground{}, true)
}

// querier is a pool of connections that read.
type querier interface {
	query(ctx context.Context, query string, args []any) (cursor, error)
	close() error
}

// readers are the connections to PostgreSQL that read. The driver keeps prepared statements.
type readers struct{ pool *sql.DB }

func (r *readers) query(ctx context.Context, query string, args []any) (cursor, error) {
	return r.pool.QueryContext(ctx, query, args...)
}

func (r *readers) close() error { return r.pool.Close() }

// pooled runs statements of connections that read. It writes nothing.
type pooled struct{ querier }

func (p pooled) QueryContext(ctx context.Context, query string, args ...any) (cursor, error) {
	return p.query(ctx, query, args)
}

func (p pooled) ExecContext(context.Context, string, ...any) (sql.Result, error) {
	return nil, errors.New("store: a write on a connection that only reads")
}
