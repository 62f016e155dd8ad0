package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// Numbers describes a small table whose row numbers the database assigns. No number is
// assigned twice, and a sweep finds missing rows by asking for each up to the highest.
type Numbers struct {
	Table string // and the kind under which each row's version is anchored
	// Highest is the kind of the anchor, under number 0, that holds the highest number
	// ever assigned.
	Highest string
}

const (
	// mostSkipped is how many numbers may lie between two rows: some are lost when a change
	// is not committed.
	mostSkipped = 10_000
	// MostBound is the highest number of a row of an earlier release that is bound. It
	// limits a sweep, which asks for each number below, against forged high numbers.
	MostBound = 1 << 24
)

// ErrNumbers is returned if the database assigns a number that was assigned before, or
// that is far beyond the highest.
var ErrNumbers = errors.New("store: the database assigned a number that was used before or is far too high: the table was changed from outside; restore it from a backup")

// Fresh returns an error for an invalid number of a new row.
func (n Numbers) Fresh(v View, number int64) error {
	if v.Newest(n.Table, number) != 0 || number > v.Newest(n.Highest, 0)+mostSkipped {
		return fmt.Errorf("%s: %w", n.Table, ErrNumbers)
	}
	return nil
}

// Anchor is [Tx.Anchor] for a row of this table.
func (n Numbers) Anchor(tx *Tx, number, version int64) {
	tx.Anchor(n.Table, number, version)
	tx.Anchor(n.Highest, 0, number)
}

// Given returns the highest number that was ever assigned.
func (n Numbers) Given(v View) int64 { return v.Newest(n.Highest, 0) }

// ReportMissing reports each row after a number and up to another that should exist and is
// neither among the rows that were read nor in the database: again selects one by its
// number, as $1.
func (n Numbers) ReportMissing(ctx context.Context, v View, after, last int64, there map[int64]bool, again string) error {
	for number := after + 1; number <= last; number++ {
		if there[number] {
			continue
		}
		lost, err := v.Lost(ctx, n.Table, number, func(ctx context.Context) (bool, error) {
			err := v.QueryRow(ctx, again, number).Scan(new(int64))
			if errors.Is(err, ErrNotFound) {
				return false, nil
			}
			return err == nil, err
		})
		if err != nil {
			return err
		}
		if lost {
			v.Report(Finding{Table: n.Table, Row: strconv.FormatInt(number, 10), Wrong: Missing})
		}
	}
	return nil
}
