package lite

import (
	"context"
	"fmt"
	"strings"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// Around runs a statement. A test's may watch it, or break it before or after.
type Around func(query string, run func() error) error

// Conn is one connection to an SQLite file. It is for one goroutine at a time.
type Conn struct {
	tls   *libc.TLS
	db    uintptr // sqlite3*
	cell  uintptr // where SQLite writes the address of a statement
	stmts map[string]*stmt
	most  int
	// asked ends the query that runs; nil if nothing does. going is what SQLite calls to ask
	// whether to go on. It is kept here, because SQLite's memory keeps nothing alive.
	asked context.Context
	going func(*libc.TLS, uintptr) int32

	around Around
	// Free, if not nil, is called when the rows of a query are closed, with what ended them.
	Free func(error)
}

// statements is the most prepared statements of a connection. Further ones replace all.
const statements = 512

// patience is how many steps of its machine SQLite runs until it asks whether to go on.
const patience = 2000

// Open opens the file, made if it does not exist, and runs the pragmas in turn, such as
// "busy_timeout(10000)".
func Open(path string, pragmas []string) (*Conn, error) {
	c := &Conn{tls: libc.NewTLS(), stmts: make(map[string]*stmt), most: statements}
	if c.cell = sqlite3.Xsqlite3_malloc(c.tls, int32(unsafe.Sizeof(uintptr(0)))); c.cell == 0 {
		c.tls.Close()
		return nil, noMemory
	}
	name, err := libc.CString(path)
	if err != nil {
		c.Close()
		return nil, err
	}
	defer libc.Xfree(c.tls, name)
	// No mutex of its own, because no two goroutines use it at once.
	rc := sqlite3.Xsqlite3_open_v2(c.tls, name, c.cell, sqlite3.SQLITE_OPEN_READWRITE|sqlite3.SQLITE_OPEN_CREATE|sqlite3.SQLITE_OPEN_NOMUTEX, 0)
	c.db = *(*uintptr)(at(c.cell))
	if rc == sqlite3.SQLITE_OK {
		rc = sqlite3.Xsqlite3_extended_result_codes(c.tls, c.db, 1)
	}
	if rc != sqlite3.SQLITE_OK {
		err := c.failed(rc)
		c.Close()
		return nil, err
	}
	c.going = func(*libc.TLS, uintptr) int32 {
		if c.asked != nil && c.asked.Err() != nil {
			return 1
		}
		return 0
	}
	sqlite3.Xsqlite3_progress_handler(c.tls, c.db, patience, *(*uintptr)(unsafe.Pointer(&c.going)), 0)
	for _, p := range pragmas {
		if err := c.Pragma(p); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

// at is an address in SQLite's memory, which no garbage collector moves.
func at(p uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&p)) }

// memory are n octets of SQLite's memory. They are valid as long as it says.
func memory(p uintptr, n int) []byte { return unsafe.Slice((*byte)(at(p)), n) }

// Watch has every later statement run by around.
func (c *Conn) Watch(around Around) { c.around = around }

// Pragma runs a pragma, such as "query_only=1". Nothing watches it.
func (c *Conn) Pragma(text string) error {
	s, err := c.prepare("pragma " + text)
	if err != nil {
		return err
	}
	defer func() { s.close(); delete(c.stmts, "pragma "+text) }()
	_, err = s.exec(nil)
	return err
}

// Exec runs a statement to its end, and returns the number of rows that it inserted, changed or
// deleted.
func (c *Conn) Exec(query string, args []any) (n int64, err error) {
	s, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	if c.around == nil {
		return s.exec(args)
	}
	err = c.around(query, func() error {
		n, err = s.exec(args)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// Query runs a statement, whose rows must be closed before the connection is used again. If the
// context ends so does the query, with the context's error.
func (c *Conn) Query(ctx context.Context, query string, args []any) (*Rows, error) {
	s, err := c.prepare(query)
	if err != nil {
		return nil, err
	}
	c.asked = nil
	if ctx.Done() != nil {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c.asked = ctx
	}
	r := &Rows{c: c, s: s, asked: c.asked}
	if c.around == nil {
		err = r.begin(args)
	} else {
		err = c.around(query, func() error { return r.begin(args) })
	}
	if err != nil {
		s.reset()
		c.asked = nil
		return nil, err
	}
	return r, nil
}

// prepare returns the prepared statement of this text.
func (c *Conn) prepare(query string) (*stmt, error) {
	if s, ok := c.stmts[query]; ok {
		return s, nil
	}
	if len(c.stmts) >= c.most {
		c.forget()
	}
	text, err := libc.CString(query)
	if err != nil {
		return nil, err
	}
	defer libc.Xfree(c.tls, text)
	rc := sqlite3.Xsqlite3_prepare_v3(c.tls, c.db, text, int32(len(query)+1), sqlite3.SQLITE_PREPARE_PERSISTENT, c.cell, 0)
	if rc != sqlite3.SQLITE_OK {
		return nil, c.failed(rc)
	}
	s, err := newStmt(c, *(*uintptr)(at(c.cell)))
	if err != nil {
		return nil, err
	}
	c.stmts[strings.Clone(query)] = s
	return s, nil
}

func (c *Conn) forget() {
	for _, s := range c.stmts {
		s.close()
	}
	clear(c.stmts)
}

// Close closes the connection. A transaction that it is in is rolled back.
func (c *Conn) Close() error {
	c.forget()
	rc := sqlite3.Xsqlite3_close_v2(c.tls, c.db)
	sqlite3.Xsqlite3_free(c.tls, c.cell)
	c.tls.Close()
	if rc != sqlite3.SQLITE_OK {
		return &Error{Code: int(rc), text: "closing the database"}
	}
	return nil
}

// Error is what SQLite answers with.
type Error struct {
	// Code is the extended result code (sqlite.org/rescode.html).
	Code int
	text string
}

func (e *Error) Error() string { return fmt.Sprintf("%s (%d)", e.text, e.Code) }

var noMemory = &Error{Code: sqlite3.SQLITE_NOMEM, text: "out of memory"}

// failed is the error of a call that has just returned this code.
func (c *Conn) failed(rc int32) error {
	text := libc.GoString(sqlite3.Xsqlite3_errstr(c.tls, rc))
	if c.db != 0 {
		if more := libc.GoString(sqlite3.Xsqlite3_errmsg(c.tls, c.db)); more != text {
			text += ": " + more
		}
	}
	return &Error{Code: int(rc), text: text}
}
