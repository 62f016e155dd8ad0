package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
)

// reads reads committed rows, and can write nothing. It is a [Reader].
type reads struct {
	often *readers
	quiet *readers // for background reads of whole tables, with a small cache; nil with PostgreSQL
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

// readers is a pool of reading connections, with a prepared statement for each text.
type readers struct {
	pool    *sql.DB
	prepare bool     // false if the driver caches statements itself
	stmts   sync.Map // query -> *sql.Stmt
	count   atomic.Int32
}

// maxStatements limits the number of prepared statements, so that texts made at run time
// cannot fill the memory. Further texts are prepared each time.
const maxStatements = 512

func (r *readers) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	if !r.prepare {
		return r.pool.QueryContext(ctx, query, args...)
	}
	if s, ok := r.stmts.Load(query); ok {
		return s.(*sql.Stmt).QueryContext(ctx, args...)
	}
	if r.count.Load() >= maxStatements {
		return r.pool.QueryContext(ctx, query, args...)
	}
	s, err := r.pool.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if old, loaded := r.stmts.LoadOrStore(strings.Clone(query), s); loaded {
		s.Close()
		s = old.(*sql.Stmt)
	} else {
		r.count.Add(1)
	}
	return s.QueryContext(ctx, args...)
}

// pooled runs statements of a reader. It writes nothing.
type pooled struct{ *readers }

func (p pooled) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return p.query(ctx, query, args)
}

func (p pooled) ExecContext(context.Context, string, ...any) (sql.Result, error) {
	return nil, errors.New("store: a write on a connection that only reads")
}

func (r *readers) close() error {
	for _, s := range r.stmts.Range {
		s.(*sql.Stmt).Close()
	}
	return r.pool.Close()
}
