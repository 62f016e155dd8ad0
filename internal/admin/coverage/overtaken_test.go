package coverage

import (
	"errors"
	"strings"
	"testing"
	"time"

	"countersign/internal/directory"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// wasRead is a row as it was when it was read.
type wasRead []any

func (w wasRead) Scan(into ...any) error {
	for i, v := range w {
		switch p := into[i].(type) {
		case *string:
			*p = *v.(*string)
		case *int64:
			*p = *v.(*int64)
		case *[]byte:
			*p = *v.(*[]byte)
		}
	}
	return nil
}

func (s *surveyed) reads(w wasRead, query string) wasRead {
	s.t.Helper()
	if err := s.db.QueryRow(s.t.Context(), query).Scan(w...); err != nil {
		s.t.Fatal(err)
	}
	return w
}

// What is changed between reading it and looking at what is newest is what it was, and
// nobody put it back: no drill counts as failed by it, and no declaration as none. What was
// withdrawn is none, and what stays older was put back.
func TestCoverageThatChangesWhileItIsRead(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		s := newSurveyed(t, dsn)
		declared := s.reads(wasRead{new(string), new(string), new(string), new(int64), new(int64), new([]byte)}, `select `+declarationColumns+` from declaration where technique = 'T1669'`)
		result := s.reads(wasRead{new(string), new(string), new(int64), new(int64), new(string), new(int64), new([]byte)}, `select `+resultColumns+` from drill_result where technique = 'T1110'`)
		s.declare("T1669")
		s.drilled("T1110", true, time.Minute)
		if d, err := s.scanDeclaration(t.Context(), declared); err != nil || d.Row != "T1669" {
			t.Errorf("declared anew: %+v, %v", d, err)
		}
		if k, err := s.scanResult(t.Context(), result); err != nil || !k.Passed {
			t.Errorf("drilled anew: %+v, %v", k, err)
		}
		runs := 0
		s.change(func(tx *store.Tx) error {
			runs++
			if runs > 1 {
				return nil
			}
			_, err := s.scanDeclaration(t.Context(), declared)
			return err
		})
		if again := strings.HasPrefix(dsn, "postgres"); (runs == 2) != again {
			t.Errorf("%d runs of a transaction that read what was before", runs)
		}
		s.change(func(tx *store.Tx) error { return s.withdrawTx(t.Context(), tx, "T1669") })
		if _, err := s.scanDeclaration(t.Context(), declared); !errors.Is(err, directory.ErrTampered) {
			t.Errorf("withdrawn: %v", err)
		}
		s.db.Report(store.Finding{Table: "policy", Row: "9", Wrong: store.Altered}) // so that whatever was reported before is said by then
		storetest.OneAlarm(t, s.db, "policy", store.Altered)
	})
}
