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
	"slices"
	"strings"
	"sync"
	"time"

	"countersign/internal/store/lite"

	"modernc.org/sqlite" // also the driver named "sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqlitePragmas hold for every connection. A commit is on disk when it returns
// (synchronous FULL). The log is folded back into the file every 16 MB rather
// than every 4, and no connection maps the file into memory.
var sqlitePragmas = []string{"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)",
	"foreign_keys(1)", "trusted_schema(0)", "cell_size_check(1)", "temp_store(memory)",
	"cache_size(-8000)", "wal_autocheckpoint(4000)", "journal_size_limit(67108864)"}

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
	file := &liteFile{path: path, driver: o.driver("sqlite")}
	if err := file.migrate(ctx, db.now()); err != nil {
		return err
	}
	size := max(4, 2*runtime.GOMAXPROCS(0))
	db.reads.often = newLitePool(size, size, func() (*lite.Conn, error) { return file.connect(true, "query_only(1)") })
	db.reads.quiet = newLitePool(size, 1, func() (*lite.Conn, error) { return file.connect(true, "query_only(1)", "cache_size(-256)") })
	db.feed.alone = true
	w := &writer{commits: db.commits, head: db.head, keys: &db.keys, file: file}
	if err := w.start(); err != nil {
		return errors.Join(fmt.Errorf("store: %w", err), db.reads.close())
	}
	db.changes.engine = w
	return nil
}

// liteFile is an SQLite file, and how it is opened.
type liteFile struct {
	path   string
	driver string // for database/sql
}

// pool opens the file with database/sql, for what is rare.
func (f *liteFile) pool() (*sql.DB, error) {
	var pragmas string
	for _, p := range sqlitePragmas {
		pragmas += "&_pragma=" + p
	}
	return sql.Open(f.driver, (&url.URL{Scheme: "file", Path: f.path}).String()+"?_txlock=immediate"+pragmas)
}

func (f *liteFile) migrate(ctx context.Context, now time.Time) error {
	pool, err := f.pool()
	if err != nil {
		return fmt.Errorf("store: opening %s: %w", f.path, err)
	}
	pool.SetMaxOpenConns(1)
	err = patiently(ctx, func() error { return migrate(ctx, pool, liteDialect, now) })
	if err != nil {
		err = fmt.Errorf("store: %s: %w", f.path, err)
	}
	return errors.Join(err, pool.Close())
}

// watcher is a driver of tests, which watches the statements of connections below database/sql.
type watcher interface {
	Watch(c *lite.Conn, reads bool)
}

// connect opens a connection below database/sql.
func (f *liteFile) connect(reads bool, more ...string) (*lite.Conn, error) {
	c, err := lite.Open(f.path, slices.Concat(sqlitePragmas, more))
	if err != nil {
		return nil, err
	}
	if f.driver != "sqlite" {
		pool, err := f.pool()
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		defer pool.Close()
		if w, ok := pool.Driver().(watcher); ok {
			w.Watch(c, reads)
		}
	}
	return c, nil
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

// liteRunner is the writing connection. It ignores the contexts of statements: one that is
// torn off in its middle would take the whole batch with it.
type liteRunner struct{ *lite.Conn }

func (c liteRunner) ExecContext(_ context.Context, query string, args ...any) (sql.Result, error) {
	n, err := c.Exec(query, args)
	return driver.RowsAffected(n), err
}

func (c liteRunner) QueryContext(_ context.Context, query string, args ...any) (cursor, error) {
	rows, err := c.Query(context.Background(), query, args)
	if err != nil {
		return nil, err
	}
	return rows, nil
}

func (c liteRunner) do(query string) error {
	_, err := c.Exec(query, nil)
	return err
}

// litePool is a few connections that read the file. The one that was used last is used next,
// because it has pages of the file in its memory.
type litePool struct {
	open func() (*lite.Conn, error)
	busy chan struct{} // one for each connection that is in use
	keep int           // how many are kept that are not

	mu     sync.Mutex
	idle   []*lite.Conn
	closed bool
}

func newLitePool(size, keep int, open func() (*lite.Conn, error)) *litePool {
	return &litePool{open: open, busy: make(chan struct{}, size), keep: keep}
}

func (p *litePool) query(ctx context.Context, query string, args []any) (cursor, error) {
	c, err := p.take(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := c.Query(ctx, query, args)
	if err != nil {
		p.give(c, err)
		return nil, err
	}
	return rows, nil
}

// take waits until a connection is not in use.
func (p *litePool) take(ctx context.Context) (*lite.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case p.busy <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p.mu.Lock()
	n := len(p.idle)
	if p.closed || n > 0 {
		defer p.mu.Unlock()
		if p.closed {
			<-p.busy
			return nil, errClosed
		}
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return c, nil
	}
	p.mu.Unlock()
	c, err := p.open()
	if err != nil {
		<-p.busy
		return nil, err
	}
	c.Free = func(err error) { p.give(c, err) }
	return c, nil
}

// give takes a connection back. One that failed, and not by its statement, is closed.
func (p *litePool) give(c *lite.Conn, err error) {
	p.mu.Lock()
	keep := (err == nil || kindOf(err) != ErrUnavailable) && !p.closed && len(p.idle) < p.keep
	if keep {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if !keep {
		c.Close()
	}
	<-p.busy
}

// close closes what is not in use, and the rest when its rows are closed.
func (p *litePool) close() error {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	var all error
	for _, c := range idle {
		all = errors.Join(all, c.Close())
	}
	return all
}
