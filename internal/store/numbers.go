package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// Numbers are those of a table whose rows are few and whose numbers the database gives:
// none is given twice, and which rows there should be is told by asking for each up to the
// highest.
type Numbers struct {
	Table string // and the kind under which each row's version is anchored
	// Highest is the kind under whose number 0 the highest number is anchored that was
	// ever given.
	Highest string
}

const (
	// mostSkipped is how many numbers may lie between two rows: some are lost when a change
	// is not committed.
	mostSkipped = 10_000
	// MostBound is the highest number of a row of a release before that is bound: a sweep
	// asks for each number below, and whoever writes rows shall not make that endless.
	MostBound = 1 << 24
)

// ErrNumbers is a number that the database cannot give: it was given before, or lies far
// beyond the highest.
var ErrNumbers = errors.New("store: the database gives a number that it cannot give: its table was changed behind our back; restore it from a backup")

// Fresh refuses the number of a new row that is none.
func (n Numbers) Fresh(db *DB, number int64) error {
	if db.Newest(n.Table, number) != 0 || number > db.Newest(n.Highest, 0)+mostSkipped {
		return fmt.Errorf("%s: %w", n.Table, ErrNumbers)
	}
	return nil
}

// Anchor is [Tx.Anchor] for a row that was given its number here.
func (n Numbers) Anchor(tx *Tx, number, version int64) {
	tx.Anchor(n.Table, number, version)
	tx.Anchor(n.Highest, 0, number)
}

// Given is the highest number that was ever given.
func (n Numbers) Given(db *DB) int64 { return db.Newest(n.Highest, 0) }

// ReportMissing reports each row behind a number and up to another that should be there
// and is neither among those that were read nor in the database: again selects one by its
// number, as $1.
func (n Numbers) ReportMissing(ctx context.Context, db *DB, after, last int64, there map[int64]bool, again string) error {
	for number := after + 1; number <= last; number++ {
		if there[number] {
			continue
		}
		lost, err := db.Lost(ctx, n.Table, number, func(ctx context.Context) (bool, error) {
			err := db.QueryRow(ctx, again, number).Scan(new(int64))
			if errors.Is(err, ErrNotFound) {
				return false, nil
			}
			return err == nil, err
		})
		if err != nil {
			return err
		}
		if lost {
			db.Report(Finding{Table: n.Table, Row: strconv.FormatInt(number, 10), Wrong: Missing})
		}
	}
	return nil
}
