package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"countersign/internal/audit"
)

// runner is one connection in the midst of one transaction.
type runner interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (cursor, error)
}

// Tx is one transaction. It is valid until the function that received it returns,
// and not safe for concurrent use. Only one statement runs at a time: the rows of a
// query must be read to their end, or closed, before the next.
//
// The first statement that fails ends the transaction, on both engines: all later
// ones fail with the same error, and nothing is written. A statement that may meet an
// existing row says "on conflict do nothing" and checks the number of rows.
type Tx struct {
	run   runner
	known *statements
	duty  duty
	now   time.Time
	actor audit.Actor

	pending []audit.Entry
	entries []recorded // pending, encoded when the function has returned
	stamps  []stamp    // what the change leaves
	topics  []string
	after   []func()
	current *Rows // what the last query returned
	touched int64 // rows written

	// ahead was read before the function was called, and before are the writes of the same
	// transaction that it may have missed. used says that something of it was handed out.
	ahead  []read
	before footprints
	used   bool
	about  int64    // the account that the change is about, or 0
	wide   bool     // it is about several
	wrote  []string // the tables that it wrote
	chores bool     // see Unrecorded
	beyond bool     // a statement was run that housekeeping may not
	failed error    // what ended the transaction
}

// Now returns the time of the transaction, the same for each call.
func (tx *Tx) Now() time.Time { return tx.now }

// Exec runs one insert, update or delete and returns the number of affected rows. It
// returns ErrConflict if a unique row exists already.
func (tx *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	if err := tx.admit(ctx, query, args); err != nil {
		return 0, err
	}
	tx.writes(query)
	res, err := tx.run.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, tx.fail(err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return 0, tx.fail(err)
	}
	tx.touched += n
	return n, nil
}

// Query runs a select, or a write that returns rows.
func (tx *Tx) Query(ctx context.Context, query string, args ...any) (*Rows, error) {
	if err := tx.admit(ctx, query, args); err != nil {
		return nil, err
	}
	if rows, ok := tx.answered(query, args); ok {
		tx.current = &Rows{rows: rows, fail: tx.fail}
		return tx.current, nil
	}
	tx.writes(query)
	rows, err := tx.run.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, tx.fail(err)
	}
	tx.current = &Rows{rows: rows, fail: tx.fail}
	return tx.current, nil
}

// QueryRow is Query for one row; the error comes from its Scan.
func (tx *Tx) QueryRow(ctx context.Context, query string, args ...any) Row {
	rows, err := tx.Query(ctx, query, args...)
	return Row{rows: rows, err: err}
}

// Record adds an entry to the audit log, which is committed with the change or not
// at all. An empty time or actor is set to the transaction's. An entry that cannot
// be encoded ends the transaction.
func (tx *Tx) Record(e audit.Entry) error {
	if tx.failed != nil {
		return tx.failed
	}
	if tx.duty == housekeeping {
		return tx.fail(errors.New("store: Record in housekeeping; use Change"))
	}
	if e.At.IsZero() {
		e.At = tx.now
	}
	if e.Actor == (audit.Actor{}) {
		e.Actor = tx.actor
	}
	if err := e.Check(); err != nil {
		return tx.fail(err)
	}
	tx.pending = append(tx.pending, e)
	return nil
}

// BoundEvent is the entry for the binding of rows of an earlier release, whose MACs did not
// cover all columns.
const BoundEvent = "installation.bound"

// RecordBound records the number of rows of a table that were bound.
func (tx *Tx) RecordBound(table string, rows int) error {
	return tx.Record(audit.Entry{Event: BoundEvent, Outcome: audit.OK, Detail: map[string]string{"table": table, "rows": strconv.Itoa(rows)}})
}

// stampsMost is how much of what a change leaves one entry says, in bytes.
const stampsMost = audit.MaxVersions - 128

// encode writes the entries. What the change leaves stands in its last one; a change that
// leaves more than fits says the rest in entries of their own.
func (tx *Tx) encode() error {
	var said []byte
	for i := range tx.stamps {
		said = appendStamps(append(said, ' '), tx.stamps[i:i+1])
		if i == len(tx.stamps)-1 || len(said) > stampsMost {
			if err := tx.say(string(said[1:])); err != nil {
				return err
			}
			said = said[:0]
		}
	}
	tx.entries = tx.entries[:0]
	for i := range tx.pending {
		e := &tx.pending[i]
		tx.entries = append(tx.entries, recorded{body: e.Body(), account: e.Account, at: Unix(e.At)}) // Record has checked it
	}
	return nil
}

func (tx *Tx) say(versions string) error {
	if last := &tx.pending[len(tx.pending)-1]; last.Versions == "" {
		last.Versions = versions
		return nil
	}
	return tx.Record(audit.Entry{Event: "database.versions", Outcome: audit.OK, Versions: versions})
}

// Unrecorded allows this change to have no audit entry, because what it refuses is counted
// elsewhere. Without an entry it may write only what [DB.Housekeep] may.
func (tx *Tx) Unrecorded() { tx.chores = true }

// Beyond reports whether this change has written more than housekeeping may, so that it
// needs an entry even after [Tx.Unrecorded].
func (tx *Tx) Beyond() bool { return tx.beyond }

// Announce tells all servers, after the commit, that cached data under this topic is
// stale: see [Feed.Subscribe].
func (tx *Tx) Announce(topic string) { tx.topics = append(tx.topics, topic) }

// AfterCommit calls f after the commit and before the caller gets its result, and not
// if the transaction is rolled back.
func (tx *Tx) AfterCommit(f func()) { tx.after = append(tx.after, f) }

// admit refuses what this transaction may not run, before it is run.
func (tx *Tx) admit(ctx context.Context, query string, args []any) error {
	if tx.failed != nil {
		return tx.failed
	}
	if err := ctx.Err(); err != nil {
		return tx.fail(err)
	}
	v := tx.known.verdict(query)
	if err := v[tx.duty]; err != nil {
		return tx.fail(err)
	}
	tx.beyond = tx.beyond || v[housekeeping] != nil
	if err := checkArgs(args); err != nil {
		return tx.fail(err)
	}
	if tx.current != nil && !tx.current.ended {
		return tx.fail(errors.New("store: a statement while the rows of the previous one are open"))
	}
	return nil
}

// fail ends the transaction with its first error; nil is none.
func (tx *Tx) fail(err error) error {
	if tx.failed == nil && err != nil {
		tx.failed = classify(err)
	}
	return tx.failed
}

// finish judges what fn returned: the error that rolls the transaction back, or
// nil with the error that the caller gets although it is committed.
func (tx *Tx) finish(err error) (rollback, answer error) {
	if tx.current != nil && !tx.current.ended {
		tx.current.Close() // a function forgot, and open rows block the commit
	}
	defer func() { tx.failed = errOver }()
	var k kept
	switch {
	case tx.failed != nil && err == nil:
		return fmt.Errorf("store: the function ignored an error: %w", tx.failed), nil
	case tx.failed != nil && !errors.Is(err, tx.failed):
		return fmt.Errorf("%w (after %w)", err, tx.failed), nil
	case tx.failed != nil:
		return unkeep(err), nil
	case errors.As(err, &k):
		answer = unkeep(err)
	case err != nil:
		return err, nil
	}
	if tx.duty == change && len(tx.pending) == 0 && (!tx.chores || tx.beyond) {
		return errNoEntry, nil
	}
	if len(tx.pending) > 0 {
		if err := tx.encode(); err != nil {
			return tx.fail(err), nil
		}
	}
	return nil, answer
}

var errOver = errors.New("store: a transaction used after its function returned")

var errNoEntry = errors.New("store: a change without an audit entry; nothing was written")

// unkeep removes the outer mark of [Keep], if that is what err is.
func unkeep(err error) error {
	if k, ok := err.(kept); ok {
		return k.error
	}
	return err
}
