package storetest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/store"
	"countersign/internal/store/lite"

	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"
)

// ErrInjected is what a broken statement fails with.
var ErrInjected = errors.New("storetest: injected fault")

// Faults breaks a database below database/sql: it is a driver around the real
// one. Only connections that write are broken.
type Faults struct {
	// Driver is its name, for store.Options.
	Driver string

	mu     sync.Mutex
	left   int    // statements until the fault; negative when disarmed
	only   string // what they begin with
	writes bool   // those that only read do not count
	when   When
	fired  bool
	pragma string
	turn   int // which pragma that is
	around func(query string)
	waits  func(conn int64, together []string)
	reads  *Faults // of the connections that only read: never broken, but watched
}

// When says on which side of a statement the fault is.
type When int

const (
	Before When = iota // the statement is not run
	After              // it is run, and its answer is lost
)

var drivers, connections atomic.Int64

// NewFaults registers a driver around the one that the DSN is for.
func NewFaults(tb testing.TB, dsn string) *Faults {
	tb.Helper()
	var under driver.Driver = new(sqlite.Driver)
	if strings.HasPrefix(dsn, "postgres") {
		under = stdlib.GetDefaultDriver()
	}
	f := &Faults{Driver: fmt.Sprintf("faults-%d", drivers.Add(1)), left: -1, reads: &Faults{left: -1}}
	sql.Register(f.Driver, faultyDriver{under, f})
	return f
}

// Arm breaks the n-th statement from now, begin and commit included, from 0.
func (f *Faults) Arm(n int, when When) { f.ArmAt("", n, when) }

// ArmAt is Arm among the statements that begin with these words.
func (f *Faults) ArmAt(begin string, n int, when When) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.only, f.writes, f.left, f.when, f.fired = begin, false, n, when, false
}

// ArmWrites is Arm among the statements that do not only read.
func (f *Faults) ArmWrites(n int, when When) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.only, f.writes, f.left, f.when, f.fired = "", true, n, when, false
}

// Disarm breaks nothing more, and reports whether something broke since Arm.
func (f *Faults) Disarm() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = -1
	return f.fired
}

// Pragma runs an SQLite pragma on the writing connection before its next
// statement, and on each one that takes its place, such as "query_only=1" or
// "max_page_count=1": that is a disk that is read-only or full, as SQLite itself
// knows it.
func (f *Faults) Pragma(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pragma = text
	f.turn++
}

// Around has g called with each statement before it runs, to hold it up or to
// count it.
func (f *Faults) Around(g func(query string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.around = g
}

// AroundReads is Around on the connections that only read.
func (f *Faults) AroundReads(g func(query string)) { f.reads.Around(g) }

// Waits has g called each time that somebody waits for the database: with a number of the
// connection, and the statements that were sent together. Connections that only read are
// among them.
func (f *Faults) Waits(g func(conn int64, together []string)) {
	for _, f := range []*Faults{f, f.reads} {
		f.mu.Lock()
		f.waits = g
		f.mu.Unlock()
	}
}

// waited tells of one wait.
func (c *place) waited(together ...string) {
	c.f.mu.Lock()
	g := c.f.waits
	c.f.mu.Unlock()
	if g != nil {
		g(c.number, together)
	}
}

// place is one connection, as the faults know it.
type place struct {
	f      *Faults
	turn   int // the last pragma that it ran
	number int64
	pragma func(text string) error
}

// Watch has the statements of a connection below database/sql pass.
func (d faultyDriver) Watch(c *lite.Conn, reads bool) {
	p := &place{f: d.f, number: connections.Add(1), pragma: c.Pragma}
	if reads {
		p.f = d.f.reads
	}
	c.Watch(func(query string, run func() error) error {
		p.waited(query)
		return p.f.pass(query, p, run)
	})
}

// pass runs one statement, or breaks it.
func (f *Faults) pass(query string, c *place, run func() error) error {
	f.mu.Lock()
	pragma, around := "", f.around
	if c.turn != f.turn {
		c.turn, pragma = f.turn, f.pragma
	}
	now := false
	if strings.HasPrefix(query, f.only) && f.left >= 0 && !(f.writes && strings.HasPrefix(strings.TrimSpace(query), "select")) {
		now = f.left == 0
		f.left--
	}
	f.fired = f.fired || now
	when := f.when
	f.mu.Unlock()
	if around != nil {
		around(query)
	}
	if pragma != "" {
		if err := c.pragma(pragma); err != nil {
			return err
		}
	}
	if now && when == Before {
		return ErrInjected
	}
	err := run()
	if now && err == nil {
		return ErrInjected
	}
	return err
}

type faultyDriver struct {
	driver.Driver
	f *Faults
}

func (d faultyDriver) Open(name string) (driver.Conn, error) {
	c, err := d.Driver.Open(name)
	return d.wrap(c, err)
}

// OpenConnector keeps the caller's context where the driver below knows it: a
// server that is frozen is waited for no longer than that.
func (d faultyDriver) OpenConnector(name string) (driver.Connector, error) {
	c := faultyConnector{d: d, name: name}
	under, ok := d.Driver.(driver.DriverContext)
	if !ok {
		return c, nil
	}
	var err error
	c.under, err = under.OpenConnector(name)
	return c, err
}

func (d faultyDriver) wrap(c driver.Conn, err error) (driver.Conn, error) {
	if err != nil {
		return c, err
	}
	under := c.(full)
	p := &place{f: d.f, number: connections.Add(1), pragma: func(text string) error {
		_, err := under.ExecContext(context.Background(), "pragma "+text, nil)
		return err
	}}
	if reads(c) {
		p.f = d.f.reads
	}
	return &faultyConn{full: under, place: p}, nil
}

// reads reports whether a new connection is one of those that only read. On PostgreSQL that is
// said by a statement, and not in its name.
func reads(c driver.Conn) bool {
	pg, ok := c.(*stdlib.Conn)
	if !ok {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var only string
	err := pg.Conn().QueryRow(ctx, "show default_transaction_read_only").Scan(&only)
	return err == nil && only == "on"
}

type faultyConnector struct {
	d     faultyDriver
	name  string
	under driver.Connector // nil where the driver has none
}

func (c faultyConnector) Connect(ctx context.Context) (driver.Conn, error) {
	if c.under == nil {
		return c.d.Open(c.name)
	}
	conn, err := c.under.Connect(ctx)
	return c.d.wrap(conn, err)
}

func (c faultyConnector) Driver() driver.Driver { return c.d }

// full is what both drivers' connections can do.
type full interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.SessionResetter
}

type faultyConn struct {
	full
	*place
}

func (c *faultyConn) BeginTx(ctx context.Context, o driver.TxOptions) (tx driver.Tx, err error) {
	c.waited("begin")
	err = c.f.pass("begin", c.place, func() error {
		tx, err = c.full.BeginTx(ctx, o)
		return err
	})
	if err != nil && tx != nil {
		tx.Rollback()
		return nil, err
	}
	return faultyTx{tx, c}, err
}

func (c *faultyConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s, err := c.full.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return faultyStmt{s, query, c}, nil
}

func (c *faultyConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (res driver.Result, err error) {
	c.waited(query)
	err = c.f.pass(query, c.place, func() error {
		res, err = c.full.ExecContext(ctx, query, args)
		return err
	})
	return res, err
}

func (c *faultyConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.query(query, func() (driver.Rows, error) { return c.full.QueryContext(ctx, query, args) })
}

func (c *faultyConn) query(query string, run func() (driver.Rows, error)) (rows driver.Rows, err error) {
	c.waited(query)
	err = c.f.pass(query, c.place, func() error {
		rows, err = run()
		return err
	})
	if err != nil && rows != nil {
		rows.Close()
		rows = nil
	}
	return rows, err
}

// Exchange passes each statement. What was sent before the one that breaks was run; that one
// itself where its answer is lost; and nothing behind it.
func (c *faultyConn) Exchange(ctx context.Context, all []store.Statement) ([]store.Result, error) {
	n, broken := 0, error(nil)
	for n < len(all) && broken == nil {
		ran := false
		broken = c.f.pass(all[n].Query, c.place, func() error { ran = true; return nil })
		if broken == nil || ran {
			n++
		}
	}
	if n == 0 {
		return nil, broken
	}
	together := make([]string, n)
	for i, s := range all[:n] {
		together[i] = s.Query
	}
	c.waited(together...)
	results, err := store.Exchange(ctx, c.full, all[:n])
	if err == nil && broken != nil {
		results, err = nil, broken
	}
	return results, err
}

// CheckNamedValue lets the driver below judge arguments, if it wants to.
func (c *faultyConn) CheckNamedValue(v *driver.NamedValue) error {
	if n, ok := c.full.(driver.NamedValueChecker); ok {
		return n.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

type faultyTx struct {
	driver.Tx
	c *faultyConn
}

func (t faultyTx) Commit() error {
	t.c.waited("commit")
	return t.c.f.pass("commit", t.c.place, t.Tx.Commit)
}

type faultyStmt struct {
	driver.Stmt
	query string
	c     *faultyConn
}

func (s faultyStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (res driver.Result, err error) {
	s.c.waited(s.query)
	err = s.c.f.pass(s.query, s.c.place, func() error {
		res, err = s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
		return err
	})
	return res, err
}

func (s faultyStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.c.query(s.query, func() (driver.Rows, error) { return s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args) })
}
