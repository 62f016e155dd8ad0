package store

import (
	"bytes"
	"errors"
	"fmt"

	"countersign/internal/audit"
)

// ErrHalted is returned for changes after the audit log was found to be truncated,
// replaced or removed. An administrator must accept the log first.
var ErrHalted error = haltedError{}

// haltedError is unavailable to everybody, and says to administrators what it is.
type haltedError struct{}

func (haltedError) Error() string { return "store: the audit log is not as this server left it" }

func (haltedError) Unwrap() error { return ErrUnavailable }

// head is the newest committed state of the log that this server knows, as the table
// audit_tree keeps it. Whatever follows must go on from it.
type head struct {
	edge []byte // nil before anything is known
	// learnt is a state of the log up to which this server has taken in what every entry
	// leaves: it wrote them itself, or has read them.
	learnt []byte
}

// learntEdge is how far the log is learnt.
func (db *DB) learntEdge() []byte {
	db.headMu.Lock()
	defer db.headMu.Unlock()
	return db.head.learnt
}

// learntTo notes that all up to a state of the log is taken in.
func (db *DB) learntTo(edge []byte) {
	db.headMu.Lock()
	defer db.headMu.Unlock()
	if sizeOf(edge) > sizeOf(db.head.learnt) {
		db.head.learnt = edge
	}
}

// unlearn has the log be read from its beginning.
func (db *DB) unlearn() {
	db.headMu.Lock()
	defer db.headMu.Unlock()
	db.head.learnt = nil
}

// learnt notes that what stands in the log from a size to a state of it is taken in, if all
// before it was. A server alone need not read then what it wrote a moment ago.
func (db *DB) learnt(from int64, edge []byte) {
	db.headMu.Lock()
	defer db.headMu.Unlock()
	if sizeOf(db.head.learnt) == from {
		db.head.learnt = edge
	}
}

func (db *DB) headEdge() []byte {
	db.headMu.Lock()
	defer db.headMu.Unlock()
	return db.head.edge
}

// sizeOf is how many entries a tree has, as it is stored; nil has none.
func sizeOf(edge []byte) int64 {
	var t audit.Tree
	if t.UnmarshalBinary(edge) != nil {
		return 0
	}
	return t.Size()
}

// advance notes a state of the log that was committed.
func (db *DB) advance(edge []byte) {
	if len(edge) == 0 {
		return
	}
	db.headMu.Lock()
	defer db.headMu.Unlock()
	if len(db.head.edge) < 8 || bytes.Compare(edge[:8], db.head.edge[:8]) > 0 { // the size comes first
		db.head.edge = edge
	}
}

// halt has every change refused from now on. The head that is known is on disk before, and
// stays there: also a restart refuses such a log.
func (db *DB) halt(why error) {
	if why == nil || db.halted.Load() != nil {
		return
	}
	db.keepHead()
	if db.halted.CompareAndSwap(nil, &why) {
		db.log.Error("ALARM: the audit log failed its integrity check; all changes are refused: stop the server and run countersign audit accept",
			"error", why)
	}
}

// haltIf halts where an error says that the log is not as it was left.
func (db *DB) haltIf(err error) {
	if errors.Is(err, errTree) || errors.Is(err, errOther) {
		db.halt(err)
	}
}

// Halted returns why the store refuses changes, or nil if it accepts them.
func (db *DB) Halted() error {
	if why := db.halted.Load(); why != nil {
		return fmt.Errorf("%w: %w", ErrHalted, *why)
	}
	return nil
}

// notOurs is what is wrong with a log that does not go on from what is known of it.
func notOurs(format string, args ...any) error {
	return fmt.Errorf("%w: %w", errOther, fmt.Errorf(format, args...))
}

var errOther = errors.New("the audit log was changed from outside")
