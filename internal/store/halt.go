package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"countersign/internal/audit"
)

// ErrHalted is an audit log that is not the one that this server left: shorter, other, or
// gone. Nothing is changed any more until an administrator has said what happened.
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
		db.log.Error("ALARM: the audit log is not as this server left it; nothing is changed until an administrator says what happened: stop the server, and run countersign audit accept",
			"error", why)
	}
}

// haltIf halts where an error says that the log is not as it was left.
func (db *DB) haltIf(err error) {
	if errors.Is(err, errTree) || errors.Is(err, errOther) {
		db.halt(err)
	}
}

// Halted says why nothing is changed any more, and nil while all is well.
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

// follows reports as an error whether a stored tree does not go on from the one that is
// known: every entry between the two must be there, bear its MAC, and lead from one to the
// other. Where they do not, an administrator may have accepted that since this server heard
// of the last such entry.
func (c *chain) follows(ctx context.Context, run runner, known, stored []byte) (accepted bool, err error) {
	var from, to audit.Tree
	if err := errors.Join(from.UnmarshalBinary(known), to.UnmarshalBinary(stored)); err != nil {
		return false, err
	}
	err = leads(ctx, run, c.auth, from, to)
	if !errors.Is(err, errOther) {
		return false, err
	}
	a, lookErr := lastAccepted(ctx, run, c.auth, to.Size())
	if lookErr != nil || a == nil || a.covers < from.Size() || a.at <= c.db.Newest(acceptances, 0) {
		return false, errors.Join(err, lookErr)
	}
	return true, leads(ctx, run, c.auth, a.Tree, to)
}

// leads reports as an error whether the entries do not lead from one tree to the other.
func leads(ctx context.Context, run runner, auth *audit.Authenticator, from, to audit.Tree) error {
	if to.Size() < from.Size() {
		return notOurs("it has %d entries, and had %d", to.Size(), from.Size())
	}
	for from.Size() < to.Size() {
		n, err := appendStored(ctx, run, auth, &from, to.Size())
		if err != nil {
			return err
		}
		if n == 0 {
			return notOurs("entry %d is missing", from.Size())
		}
	}
	if from.Root() != to.Root() {
		return notOurs("its first %d entries are not those that were written", to.Size())
	}
	return nil
}

// appendStored goes on with a tree by up to a page of stored entries below a number.
func appendStored(ctx context.Context, run runner, auth *audit.Authenticator, tree *audit.Tree, before int64) (n int, err error) {
	rows, err := run.QueryContext(ctx, "select seq, body, mac from audit_entry where seq >= $1 and seq < $2 order by seq limit $3", tree.Size(), before, page)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for ; rows.Next(); n++ {
		var seq int64
		var body, mac []byte
		if err := rows.Scan(&seq, &body, &mac); err != nil {
			return n, err
		}
		switch {
		case seq != tree.Size():
			return n, notOurs("entry %d is missing", tree.Size())
		case !auth.Check(seq, body, mac):
			return n, notOurs("entry %d was altered", seq)
		}
		tree.Append(body)
	}
	return n, rows.Err()
}
