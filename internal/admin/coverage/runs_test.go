package coverage

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"countersign/internal/attack"
	"countersign/internal/failure"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// numbers are the runs of a page, with a ? behind those that are not believed.
func (s *surveyed) numbers(before int64, limit int) (string, int64) {
	s.t.Helper()
	page, err := s.runs(s.t.Context(), s.db, before, limit)
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, r := range page.Runs {
		one := fmt.Sprint(r.Number)
		if r.Doubt != "" {
			one += "?"
			if r.By != "" || r.Passed+r.Failed != 0 || !r.Began.IsZero() || !r.Recorded.IsZero() {
				s.t.Errorf("of a report that is not believed it says %+v", r)
			}
		} else if r.By != "root" || r.Passed+r.Failed != 1 || r.Program != "a test" || r.Recorded.IsZero() {
			s.t.Errorf("run %+v", r)
		}
		out = append(out, one)
	}
	return strings.Join(out, " "), page.Next
}

func (s *surveyed) sees(want string) {
	s.t.Helper()
	if got, next := s.numbers(0, 20); got != want || next != 0 {
		s.t.Errorf("runs %q before %d, not %q", got, next, want)
	}
}

// The list goes on by number, each run once, whatever became of the rows in between.
func TestRunsByPages(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		s := newSurveyed(t, dsn)
		for i := range 3 {
			s.drilled("T1213", i != 1, time.Minute*time.Duration(5-i))
		}
		a := storetest.NewAttacker(t, dsn)
		s.sees("5 4 3 2 1")
		for _, step := range []struct {
			before, next int64
			want         string
		}{{0, 4, "5 4"}, {4, 2, "3 2"}, {2, 0, "1"}, {1, 0, ""}, {99, 4, "5 4"}} {
			if got, next := s.numbers(step.before, 2); got != step.want || next != step.next {
				t.Errorf("before %d: %q and on before %d", step.before, got, next)
			}
		}
		if got, next := s.numbers(0, 5); got != "5 4 3 2 1" || next != 0 {
			t.Errorf("a page that just holds all: %q and %d", got, next)
		}
		a.Do(`delete from drill_report where id in (1, 4, 5)`)
		s.sees("5? 4? 3 2 1?")
		if got, next := s.numbers(0, 2); got != "5? 4?" || next != 4 {
			t.Errorf("%q and %d", got, next)
		}
		if got, next := s.numbers(4, 2); got != "3 2" || next != 2 {
			t.Errorf("%q and %d", got, next)
		}
		a.Do(`update drill_report set author = 'eve' where id = 2`)
		row := a.Copy("drill_report", "id = 3")
		a.PutBack(row.With("id", int64(1<<62)).With("digest", "x"), "id")
		a.PutBack(row.With("id", int64(-7)).With("digest", "y"), "id")
		s.sees(fmt.Sprintf("%d? 5? 4? 3 2? 1?", int64(1<<62)))
		if got, next := s.numbers(1, 2); got != "" || next != 0 {
			t.Errorf("before the first run: %q and %d", got, next)
		}
		storetest.Alarmed(t, s.db, "drill_report", "2", store.Altered)
		storetest.Alarmed(t, s.db, "drill_report", "4", store.Missing)
	})
}

// What a run and a row show is what was signed; of what is not as it was kept, nothing.
func TestRunAndRowSayWhatWasSigned(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		s := newSurveyed(t, dsn)
		s.drilled("T1133", false, time.Minute)
		run, err := s.run(t.Context(), s.db, 3)
		if err != nil || run.Failed != 1 || len(run.Results) != 1 || run.Results[0].Row != "T1133" || run.Results[0].Held || run.Results[0].Honest != attack.Failed {
			t.Fatalf("%+v %v", run, err)
		}
		if _, err := s.run(t.Context(), s.db, 4); failure.ClassOf(err) != failure.NotFound {
			t.Errorf("a run that never was: %v", err)
		}
		newest := func() RowResult {
			t.Helper()
			all, err := s.rowResults(t.Context(), s.db, "T1133")
			if err != nil || len(all) != 1 || all[0].Application != "vpn" {
				t.Fatalf("%+v %v", all, err)
			}
			return all[0]
		}
		if r := newest(); r.Passed || r.Run != 3 || r.Doubt != "" || r.Result == nil || r.Result.Honest != attack.Failed {
			t.Errorf("%+v", r)
		}
		other := RunResult{DrillResult: run.Results[0].DrillResult, Held: true}
		other.Honest = attack.Held
		both := RunReport{Run: Run{Number: 3}, Results: []RunResult{run.Results[0], other}}
		k := kept{attack.Drill{Row: "T1133", Application: "vpn", Time: run.Results[0].Time}, 3}
		if r := k.told(both); r.Result == nil || r.Result.Passed() {
			t.Errorf("of two results of one moment it shows the one that was not kept: %+v", r)
		}
		if all, err := s.rowResults(t.Context(), s.db, "T1040"); err != nil || len(all) != 0 {
			t.Errorf("a row that nobody drilled: %+v %v", all, err)
		}
		a := storetest.NewAttacker(t, dsn)
		a.Do(`update drill_report set recorded = recorded + 1 where id = 3`)
		if run, err = s.run(t.Context(), s.db, 3); err != nil || run.Doubt == "" || run.Results != nil || run.By != "" {
			t.Errorf("a changed report: %+v %v", run, err)
		}
		if r := newest(); r.Doubt == "" || r.Result != nil {
			t.Errorf("a result behind which the report was changed: %+v", r)
		}
		a.Do(`delete from drill_report where id = 3`)
		if run, err = s.run(t.Context(), s.db, 3); err != nil || run.Doubt != reportMissing || run.Results != nil {
			t.Errorf("a removed report: %+v %v", run, err)
		}
		if r := newest(); r.Doubt != reportMissing || r.Result != nil {
			t.Errorf("a result whose report was removed: %+v", r)
		}
		a.Do(`update drill_result set passed = 1 where technique = 'T1133'`)
		if r := newest(); r.Passed || r.Doubt == "" || r.Run != 0 {
			t.Errorf("a failed result that was made to pass: %+v", r)
		}
		a.Do(`delete from drill_result where technique = 'T1133'`)
		if r := newest(); r.Passed || r.Doubt == "" {
			t.Errorf("a result that was removed: %+v", r)
		}
	})
}
