package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strings"

	"countersign/internal/failure"
	"countersign/internal/store/lite"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// The errors that a caller can distinguish, with errors.Is.
var (
	// ErrNotFound is returned when a query for one row finds none.
	ErrNotFound error = failure.New(failure.NotFound, "There is no such entry.")
	// ErrConflict is returned for a row that may exist only once and already does.
	ErrConflict error = failure.New(failure.Conflict, "That already exists.")
	// ErrUnavailable is returned if the database is gone, full, read-only, closed,
	// too busy, or its answer was lost. Only in the last case it is unknown whether
	// a change was made; the audit log tells.
	ErrUnavailable error = failure.New(failure.Unavailable, "The database is not available. Try again later.")
)

var errClosed = fmt.Errorf("store: the database is closed: %w", ErrUnavailable)

// errRetry marks a transaction that the database asks to run again.
var errRetry = errors.New("store: run the transaction again")

// classify turns an engine's error into ours and keeps its text. Errors of the
// caller's context stay what they are.
func classify(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return ErrNotFound
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, ErrConflict), errors.Is(err, ErrUnavailable), errors.Is(err, errRetry):
		return err
	}
	if kind := kindOf(err); kind != nil {
		return fmt.Errorf("store: %w: %w", kind, err)
	}
	return fmt.Errorf("store: %w", err)
}

func kindOf(err error) error {
	var above *sqlite.Error
	if errors.As(err, &above) {
		return liteKind(above.Code())
	}
	var below *lite.Error
	if errors.As(err, &below) {
		return liteKind(below.Code)
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pgKind(pg.Code)
	}
	var network net.Error
	var connect *pgconn.ConnectError
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, net.ErrClosed) ||
		errors.As(err, &network) || errors.As(err, &connect) || pgconn.Timeout(err) ||
		strings.Contains(err.Error(), "database is closed") || strings.Contains(err.Error(), "conn closed") {
		return ErrUnavailable
	}
	return nil
}

func liteKind(code int) error {
	switch code {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return ErrConflict
	}
	switch code & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN,
		sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB,
		sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_PERM:
		return ErrUnavailable
	}
	return nil
}

// pgKind reads an SQLSTATE (PostgreSQL documentation, appendix A).
func pgKind(code string) error {
	switch {
	case code == "23505":
		return ErrConflict
	case code == "40001", code == "40P01":
		return errRetry
	case code == "25006": // read-only transaction: a standby
		return ErrUnavailable
	}
	switch code[:min(2, len(code))] {
	case "08", "53", "57", "58", "XX": // connection, resources, shutdown, system, corruption
		return ErrUnavailable
	}
	return nil
}

// kept is an error that lets the transaction commit.
type kept struct{ error }

func (k kept) Unwrap() error { return k.error }

// Keep wraps an error of a function given to [DB.Change]: the transaction is
// committed, and Change returns err. So a refused guess is counted and audited in
// the transaction that refuses it. Keep(nil) is nil.
func Keep(err error) error {
	if err == nil {
		return nil
	}
	return kept{err}
}
