package store

import (
	"bytes"
	"context"
	"errors"
	"slices"
)

// Ask is a statement that reads, with its arguments, which a change is about to run.
type Ask struct {
	Query string
	Args  []any
}

// read is the answer to an [Ask], read before the function of its change was called.
type read struct {
	Ask
	result Result
	tables []string // that the statement may read
}

// same reports whether these arguments are those of the ask.
func (a Ask) same(query string, args []any) bool {
	return a.Query == query && slices.EqualFunc(a.Args, args, func(x, y any) bool {
		if b, ok := x.([]byte); ok {
			c, ok := y.([]byte)
			return ok && bytes.Equal(b, c)
		}
		if _, ok := y.([]byte); ok {
			return false
		}
		return x == y
	})
}

// footprints are the tables that were written in a transaction, and by whom: the accounts that
// the changes were about, or 0 for a change that was about no account or about several.
type footprints map[string][]int64

// perAccount are the tables whose rows belong to one account each, so that a change that is
// about another account writes others.
var perAccount = []string{"account", "credential", "known_source"}

// stale reports whether an ask that reads these tables may have missed what was written, by
// a change that is about an account, or 0 as long as nobody knows which.
func (f footprints) stale(tables []string, about int64) bool {
	for _, table := range tables {
		by, written := f[table]
		switch {
		case !written:
		case !slices.Contains(perAccount, table), slices.Contains(by, 0), about != 0 && slices.Contains(by, about):
			return true
		}
	}
	return false
}

func (f footprints) add(table string, about int64) {
	if !slices.Contains(f[table], about) {
		f[table] = append(f[table], about)
	}
}

// errAgain ends the function of a change that read ahead what an earlier change in the same
// transaction has written. It is called again, and reads what is there now.
var errAgain = errors.New("store: another change of the same transaction wrote what was read ahead")

// About says which account a change is about. A change with [DB.ChangeAhead] that has said so
// writes no rows of other accounts in the tables account, credential and known_source: then
// what others in the same transaction have read ahead of their accounts stays good. It must
// be called before the first write; a change that is about several accounts calls it for each.
func (tx *Tx) About(account int64) error {
	if tx.failed != nil {
		return tx.failed
	}
	if account == 0 || tx.about == account {
		return nil
	}
	if tx.about == 0 && !tx.wide {
		tx.about = account
	} else {
		tx.wide = true
	}
	for _, table := range perAccount {
		if tx.used && slices.Contains(tx.before[table], account) {
			return tx.fail(errAgain)
		}
	}
	return nil
}

// answered returns the answer to a query that was read ahead, if nothing was written since
// that it may have missed.
func (tx *Tx) answered(query string, args []any) (*resultRows, bool) {
	for i := range tx.ahead {
		a := &tx.ahead[i]
		if !a.same(query, args) {
			continue
		}
		if tx.before.stale(a.tables, tx.about) || slices.ContainsFunc(a.tables, func(t string) bool { return slices.Contains(tx.wrote, t) }) {
			return nil, false
		}
		tx.used = true
		return &resultRows{Result: a.result}, true
	}
	return nil, false
}

// writes notes which table a statement writes.
func (tx *Tx) writes(query string) {
	table := tx.known.touches(query).writes
	if table == "" || slices.Contains(tx.wrote, table) {
		return
	}
	tx.wrote = append(tx.wrote, table)
	tx.wide = tx.wide || tx.about == 0 && slices.Contains(perAccount, table)
}

// leave adds what a change wrote, for those that come after it.
func (f footprints) leave(tx *Tx) {
	about := tx.about
	if tx.wide {
		about = 0
	}
	for _, table := range tx.wrote {
		f.add(table, about)
	}
}

// Expect is [Tx.Exec] for a write that nearly always affects so many rows: 1 for one row that
// was read in the same transaction. PostgreSQL is not waited for: the write is sent with what
// follows, and where it fails or affects another number, the transaction is undone and the
// function called again, with each statement waited for. So the function is told what happened,
// as by Exec.
func (tx *Tx) Expect(ctx context.Context, rows int64, query string, args ...any) (int64, error) {
	t, ok := tx.run.(*together)
	if !ok || t.patient {
		return tx.Exec(ctx, query, args...)
	}
	if err := tx.admit(ctx, query, args); err != nil {
		return 0, err
	}
	tx.writes(query)
	t.expect(rows, query, args)
	tx.touched += rows
	return rows, nil
}
