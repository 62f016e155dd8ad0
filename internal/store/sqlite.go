package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"modernc.org/sqlite" // also the driver named "sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqlitePragmas hold for every connection. A commit is on disk when it returns
// (synchronous FULL). The log is folded back into the file every 16 MB rather
// than every 4, and no connection maps the file into memory.
const sqlitePragmas = "_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)" +
	"&_pragma=foreign_keys(1)&_pragma=trusted_schema(0)&_pragma=cell_size_check(1)&_pragma=temp_store(memory)" +
	"&_pragma=cache_size(-8000)&_pragma=wal_autocheckpoint(4000)&_pragma=journal_size_limit(67108864)"

// openSQLite opens the file, made readable to its owner only, with one
// connection that writes and a few that read.
func openSQLite(ctx context.Context, db *DB, o Options) error {
	path, err := filepath.Abs(strings.TrimPrefix(o.DSN, "file:"))
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("store: opening the database: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("store: opening the database: %w", err)
	}
	pool := func(extra string) (*sql.DB, error) {
		base := (&url.URL{Scheme: "file", Path: path}).String() + "?" + sqlitePragmas
		return sql.Open(o.driver("sqlite"), base+extra)
	}
	writes, err := pool("&_txlock=immediate")
	if err != nil {
		return fmt.Errorf("store: opening %s: %w", path, err)
	}
	writes.SetMaxOpenConns(1)
	err = patiently(ctx, func() error { return migrate(ctx, writes, liteDialect, db.now()) })
	if err != nil {
		return errors.Join(fmt.Errorf("store: %s: %w", path, err), writes.Close())
	}
	reads, err := pool("&_pragma=query_only(1)")
	if err != nil {
		return errors.Join(fmt.Errorf("store: opening %s: %w", path, err), writes.Close())
	}
	size := max(4, 2*runtime.GOMAXPROCS(0))
	reads.SetMaxOpenConns(size)
	reads.SetMaxIdleConns(size)
	quiet, err := pool("&_pragma=query_only(1)&_pragma=cache_size(-256)")
	if err != nil {
		return errors.Join(fmt.Errorf("store: opening %s: %w", path, err), reads.Close(), writes.Close())
	}
	quiet.SetMaxOpenConns(size)
	quiet.SetMaxIdleConns(1)
	db.reads.often, db.reads.quiet = &readers{pool: reads, prepare: true}, &readers{pool: quiet}
	db.feed.alone = true
	w := &writer{commits: db.commits, head: db.head, keys: &db.keys, pool: writes, file: path}
	if err := w.start(); err != nil {
		return errors.Join(fmt.Errorf("store: %w", err), reads.Close(), writes.Close())
	}
	w.spare = func() (*sql.DB, error) { return pool("") }
	db.changes.engine = w
	return nil
}

// patiently tries again while another process has the file. SQLite itself waits
// for that, but not when a new file is switched to its write-ahead log.
func patiently(ctx context.Context, try func() error) error {
	for end := time.Now().Add(10 * time.Second); ; {
		err := try()
		var lite *sqlite.Error
		if !errors.As(err, &lite) || lite.Code()&0xff != sqlite3.SQLITE_BUSY || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// liteConn is the writing connection with its prepared statements. It ignores
// the contexts of statements: one that is torn off in its middle would take the
// whole batch with it.
type liteConn struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

func openLiteConn(pool *sql.DB) (*liteConn, error) {
	c, err := pool.Conn(context.Background())
	if err != nil {
		return nil, err
	}
	return &liteConn{conn: c, stmts: make(map[string]*sql.Stmt)}, nil
}

func (c *liteConn) prepare(query string) (*sql.Stmt, error) {
	if s, ok := c.stmts[query]; ok {
		return s, nil
	}
	if len(c.stmts) >= maxStatements {
		c.forget()
	}
	s, err := c.conn.PrepareContext(context.Background(), ordinal(query))
	if err != nil {
		return nil, err
	}
	c.stmts[strings.Clone(query)] = s
	return s, nil
}

func (c *liteConn) ExecContext(_ context.Context, query string, args ...any) (sql.Result, error) {
	s, err := c.prepare(query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(context.Background(), args...)
}

func (c *liteConn) QueryContext(_ context.Context, query string, args ...any) (*sql.Rows, error) {
	s, err := c.prepare(query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(context.Background(), args...)
}

func (c *liteConn) do(query string) error {
	_, err := c.ExecContext(context.Background(), query)
	return err
}

func (c *liteConn) forget() {
	for _, s := range c.stmts {
		s.Close()
	}
	clear(c.stmts)
}

func (c *liteConn) close() {
	c.forget()
	c.conn.Close()
}

// discard closes the connection itself, not only our hold on it, so that
// whatever transaction it was in is gone.
func (c *liteConn) discard() {
	c.forget()
	_ = c.conn.Raw(func(any) error { return driver.ErrBadConn })
	c.conn.Close()
}
