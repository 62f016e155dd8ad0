package token

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/store"
)

func (s *Stock) tampered(id int64, of assurance.AccountID) error {
	s.report(strconv.FormatInt(id, 10), store.Altered, of)
	return fmt.Errorf("%w: token %d", directory.ErrTampered, id)
}

func (s *Stock) report(row, wrong string, of assurance.AccountID) {
	s.db.Report(store.Finding{Table: "token", Row: row, Wrong: wrong, Account: int64(of)})
}

var unknown = &failure.Error{Class: failure.NotFound, Public: "There is no token of that serial number.", Reason: "unknown-token"}

// newest returns an error for a row that is older than one that was committed. One that
// is not there any more is unknown: it was removed since it was read.
func (s *Stock) newest(ctx context.Context, t Token) error {
	newest := s.db.Newest("token", t.id) // once: it may be changed again while it is read again
	if t.version >= newest {
		return nil
	}
	if s.db.View().Overtaken("token", t.id) {
		var now int64
		err := s.db.QueryRow(ctx, `select version from token where id = $1`, t.id).Scan(&now)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return unknown
		case err != nil:
			return err
		case now >= newest:
			s.db.View().Doubt("token", t.id)
			return nil
		}
	}
	s.report(strconv.FormatInt(t.id, 10), store.Older, t.Account)
	return fmt.Errorf("%w: token %d is older than it was", directory.ErrTampered, t.id)
}

// usedSerial is the kind of the serial number of a token that was more than imported: the
// log says so too, so that nobody imports it anew who has removed its row.
const usedSerial = "serial"

// missed reports a token that is not there and was used, and whether it was.
func (s *Stock) missed(serial string) bool {
	was := s.db.Newest(usedSerial, store.NumberOf(serial)) > 0
	if was {
		s.report(serial, store.Missing, 0)
	}
	return was
}

// inspectPage is how many rows are read at once.
const inspectPage = 500

// Inspect reads every row of the room once and reports those that are not as they were left.
// One that is missing is found when it is asked for. Its error is that of the database. It
// is for the background: it takes as long as the table is large.
func (s *Stock) Inspect(ctx context.Context) error {
	last := int64(-1 << 63)
	return s.db.Walk(ctx, func(ctx context.Context) (bool, error) {
		rows, err := s.db.Query(ctx, `select `+columns+` from token t where t.id > $1 order by t.id limit $2`, last, inspectPage)
		if err != nil {
			return false, err
		}
		defer rows.Close()
		n := 0
		for ; rows.Next(); n++ {
			t, err := s.scan(ctx, rows)
			if err != nil && err != unknown && !errors.Is(err, directory.ErrTampered) {
				return false, err
			}
			last = t.id
		}
		return n == inspectPage, rows.Err()
	})
}
