package coverage

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/attack"
	"countersign/internal/audit"
	"countersign/internal/keyring"
	"countersign/internal/keyring/keyringtest"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// surveyed is a database with what coverage is computed from, which is closed and opened
// again as a server is.
type surveyed struct {
	*Kept
	t           *testing.T
	dsn, folder string
	root        keyring.Root
	began       time.Time
}

func newSurveyed(t *testing.T, dsn string) *surveyed {
	t.Helper()
	s := &surveyed{t: t, dsn: dsn, folder: t.TempDir(), root: keyring.NewRoot(), began: time.Now().Truncate(time.Microsecond)}
	s.open()
	s.change(func(tx *store.Tx) error {
		_, err := s.applications.Set(t.Context(), tx, application.Application{Name: "vpn", Kind: "vpn", Tier: application.Standard, Protocol: "radius", Settings: []byte("{}")})
		return err
	})
	s.declare("T1669")
	s.declare("T1485")
	s.drilled("T1133", true, time.Hour)
	s.drilled("T1110", true, time.Hour)
	return s
}

func (s *surveyed) open() {
	s.t.Helper()
	db, keys := keyringtest.Open(s.t, store.Options{DSN: s.dsn, Remember: s.folder}, s.root)
	catalogue, err := application.Open(s.t.Context(), db, keys)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Kept = NewKept(db, keys, catalogue)
}

func (s *surveyed) again() {
	s.t.Helper()
	if err := s.db.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.open()
}

func (s *surveyed) change(f func(tx *store.Tx) error) {
	s.t.Helper()
	err := s.db.Change(s.t.Context(), storetest.Actor, func(tx *store.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test", Outcome: audit.OK})
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *surveyed) declare(row string) {
	s.t.Helper()
	s.change(func(tx *store.Tx) error {
		return s.declareTx(s.t.Context(), tx, Declared{Row: row, Reason: "none here", By: "root", Expires: s.began.AddDate(0, 6, 0)})
	})
}

// drilled hands in a report of one result, so long ago.
func (s *surveyed) drilled(row string, passed bool, ago time.Duration) {
	s.t.Helper()
	d := attack.DrillResult{Row: row, Application: "vpn", Blocked: attack.Held, Audited: attack.Held, Honest: attack.Held, Control: attack.NotRun, Closed: attack.NotRun, Time: s.began.Add(-ago)}
	if !passed {
		d.Honest = attack.Failed
	}
	signed, err := SignDrill(s.keys, attack.DrillReport{Began: d.Time.Add(-time.Minute), Ended: d.Time, By: "a test", Results: []attack.DrillResult{d}})
	if err != nil {
		s.t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(signed))
	s.change(func(tx *store.Tx) error {
		n, err := s.keepReport(s.t.Context(), tx, handed{digest: hex.EncodeToString(sum[:]), body: signed, author: "root", recorded: store.Unix(tx.Now())})
		if err != nil {
			return err
		}
		return s.keepResult(s.t.Context(), tx, d, n)
	})
}

// passed reports whether the newest result of a row at the VPN is one that passed.
func (s *surveyed) passed(row string) bool {
	s.t.Helper()
	all, err := s.drillResults(s.t.Context(), s.db)
	if err != nil {
		s.t.Fatal(err)
	}
	var newest attack.Drill
	for _, d := range all {
		if d.Row == row && d.Application == "vpn" && !d.Time.Before(newest.Time) {
			newest = d
		}
	}
	if newest.Row == "" { // then a result elsewhere would prove the row
		s.t.Errorf("%s: there is no result, not even a failed one", row)
	}
	return newest.Passed
}

func (s *surveyed) declared() string {
	s.t.Helper()
	all, err := s.declarations(s.t.Context(), s.db)
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, d := range all {
		out = append(out, d.Row)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func (s *surveyed) inspects() {
	s.t.Helper()
	for range 2 {
		if err := s.Inspect(s.t.Context()); err != nil {
			s.t.Error(err)
		}
	}
}

// Whatever somebody does to what coverage is computed from, no row is proven by it and
// none is declared by it; the rest counts as before, and the log says so once.
func TestCoverageOfSomebodyElseIsNone(t *testing.T) {
	type c struct {
		do                func(s *surveyed, a *storetest.Attacker)
		table, row, wrong string
		declared          string
		passes            bool // the result of T1133 still counts as passed
	}
	const both, one = "T1485 T1669", "T1485"
	cases := map[string]c{
		"a declaration deleted": {func(s *surveyed, a *storetest.Attacker) { a.Do(`delete from declaration where technique = 'T1669'`) }, "declaration", "T1669", store.Missing, one, true},
		"one put back after it was withdrawn": {func(s *surveyed, a *storetest.Attacker) {
			row := a.Copy("declaration", "technique = 'T1669'")
			s.change(func(tx *store.Tx) error { return s.withdrawTx(s.t.Context(), tx, "T1669") })
			a.PutBack(row, "technique")
		}, "declaration", "T1669", store.Returned, one, true},
		"one put back after another was made": {func(s *surveyed, a *storetest.Attacker) {
			row := a.Copy("declaration", "technique = 'T1669'")
			s.declare("T1669")
			a.PutBack(row, "technique")
		}, "declaration", "T1669", store.Older, one, true},
		"one for another row": {func(s *surveyed, a *storetest.Attacker) {
			row := a.Copy("declaration", "technique = 'T1669'")
			a.PutBack(row.With("technique", "T1021"), "technique")
		}, "declaration", "T1021", store.Altered, both, true},
		"a result deleted": {func(s *surveyed, a *storetest.Attacker) { a.Do(`delete from drill_result where technique = 'T1133'`) }, "drill_result", "T1133 vpn", store.Missing, both, false},
		"the failed one deleted": {func(s *surveyed, a *storetest.Attacker) {
			s.drilled("T1133", false, time.Minute)
			a.Do(`delete from drill_result where technique = 'T1133'`)
			s.drilled("T1133", true, 2*time.Hour) // an older report is handed in then
		}, "drill_result", "T1133 vpn", store.Missing, both, false},
		"the one before put back": {func(s *surveyed, a *storetest.Attacker) {
			row := a.Copy("drill_result", "technique = 'T1133'")
			s.drilled("T1133", false, time.Minute)
			a.PutBack(row, "technique", "application")
		}, "drill_result", "T1133 vpn", store.Older, both, false},
		"the one of the same moment put back": {func(s *surveyed, a *storetest.Attacker) {
			row := a.Copy("drill_result", "technique = 'T1133'")
			s.drilled("T1133", false, time.Hour)
			a.PutBack(row, "technique", "application")
		}, "drill_result", "T1133 vpn", store.Older, both, false},
		"one of another row": {func(s *surveyed, a *storetest.Attacker) {
			row := a.Copy("drill_result", "technique = 'T1110'")
			a.PutBack(row.With("technique", "T1133"), "technique", "application")
		}, "drill_result", "T1133 vpn", store.Altered, both, false},
		"a report deleted": {func(s *surveyed, a *storetest.Attacker) { a.Do(`delete from drill_report where id = 1`) }, "drill_report", "1", store.Missing, both, true},
		"a report copied": {func(s *surveyed, a *storetest.Attacker) {
			row := a.Copy("drill_report", "id = 1")
			a.PutBack(row.With("id", int64(999)).With("digest", "x"), "id")
		}, "drill_report", "999", store.Altered, both, true},
		"a report without its MAC": {func(s *surveyed, a *storetest.Attacker) { a.Do(`update drill_report set mac = null where id = 1`) }, "drill_report", "1", store.Altered, both, true},
	}
	for _, column := range []string{"reason = 'x'", "author = 'x'", "created = created + 1", "expires = expires + 1", "mac = (select mac from declaration where technique = 'T1485')"} {
		cases["declaration "+column] = c{func(s *surveyed, a *storetest.Attacker) {
			a.Do(`update declaration set ` + column + ` where technique = 'T1669'`)
		}, "declaration", "T1669", store.Altered, one, true}
	}
	for _, column := range []string{"at = at + 1", "passed = 0", "passed = 2", "detail = 'x'", "report = 2", "mac = (select mac from drill_result where technique = 'T1110')"} {
		cases["result "+column] = c{func(s *surveyed, a *storetest.Attacker) {
			a.Do(`update drill_result set ` + column + ` where technique = 'T1133'`)
		}, "drill_result", "T1133 vpn", store.Altered, both, false}
	}
	for _, column := range []string{"digest = 'x'", "body = 'x'", "author = 'x'", "recorded = recorded + 1", "mac = (select mac from drill_report where id = 2)"} {
		cases["report "+column] = c{func(s *surveyed, a *storetest.Attacker) { a.Do(`update drill_report set ` + column + ` where id = 1`) }, "drill_report", "1", store.Altered, both, true}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			storetest.EachDSN(t, func(t *testing.T, dsn string) {
				s := newSurveyed(t, dsn)
				if s.inspects(); s.declared() != both || !s.passed("T1133") || !s.passed("T1110") {
					t.Fatal(s.declared())
				}
				storetest.Quiet(t, s.db)
				c.do(s, storetest.NewAttacker(t, dsn))
				for range 2 {
					if s.declared() != c.declared || s.passed("T1133") != c.passes || !s.passed("T1110") {
						t.Errorf("declared %s, passed %t, and the other %t", s.declared(), s.passed("T1133"), s.passed("T1110"))
					}
					s.inspects()
					storetest.Alarmed(t, s.db, c.table, c.row, c.wrong)
					s.again()
				}
				s.drilled("T1133", true, 0)
				s.declare("T1669")
				if s.declared() != both || !s.passed("T1133") {
					t.Errorf("anew: %s, %t", s.declared(), s.passed("T1133"))
				}
			})
		})
	}
}

// What is declared, withdrawn and drilled as it should be is no alarm.
func TestCoverageAsItGoesIsNoAlarm(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		s := newSurveyed(t, dsn)
		s.declare("T1669")
		s.change(func(tx *store.Tx) error { return s.withdrawTx(t.Context(), tx, "T1669") })
		s.drilled("T1133", false, time.Minute)
		s.drilled("T1133", true, time.Minute) // at one moment the failed one stays
		if s.passed("T1133") {
			t.Error("a pass of the same moment counts")
		}
		s.drilled("T1110", true, 2*time.Hour) // older than what is there
		for range 2 {
			if s.declared() != "T1485" || s.passed("T1133") || !s.passed("T1110") {
				t.Errorf("%s, %t, %t", s.declared(), s.passed("T1133"), s.passed("T1110"))
			}
			s.inspects()
			storetest.Quiet(t, s.db)
			s.again()
		}
		s.declare("T1669")
		if s.declared() != "T1485 T1669" {
			t.Errorf("declared again: %s", s.declared())
		}
	})
}

// What coverage of a release before was computed from is bound once, as it stands.
func TestCoverageOfBeforeIsBound(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		s := newSurveyed(t, dsn)
		a := storetest.NewAttacker(t, dsn)
		keys := s.keys
		d := Declared{Row: "T1021", Reason: "none", By: "root", Expires: s.began.AddDate(0, 1, 0), created: store.Unix(s.began)}
		mac := keys.MAC(keyring.Declaration, d.fieldsOfBefore())
		row := a.Copy("declaration", "technique = 'T1669'").With("technique", d.Row).With("reason", d.Reason).With("author", d.By).With("created", d.created).With("expires", store.Unix(d.Expires)).With("mac", mac)
		a.PutBack(row, "technique")
		a.PutBack(row.With("technique", "T1114"), "technique")
		k := kept{Drill: attack.Drill{Row: "T1556", Application: "vpn", Passed: true, Time: s.began, Detail: ""}, report: 1}
		a.PutBack(a.Copy("drill_result", "technique = 'T1133'").With("technique", k.Row).With("at", store.Unix(k.Time)).With("detail", "").With("report", k.report).With("mac", keys.MAC(keyring.Drill, k.fields())), "technique", "application")
		report := a.Copy("drill_report", "id = 1")
		a.PutBack(report.With("id", int64(50)).With("digest", "y").With("mac", nil), "id") // not of its body
		a.Do(`update drill_report set mac = null where id = 2`)
		a.PutBack(a.Copy("drill_report", "id = 2").With("id", int64(store.MostBound+1)), "digest")
		a.Do(`update drill_report set mac = null where id = 1`)
		if err := s.Bind(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.declared() != "T1021 T1485 T1669" || !s.passed("T1556") {
			t.Errorf("%s, %t", s.declared(), s.passed("T1556"))
		}
		for id, bound := range map[int64]bool{1: true, 50: false, store.MostBound + 1: false} {
			var mac []byte
			if err := s.db.QueryRow(t.Context(), `select mac from drill_report where id = $1`, id).Scan(&mac); err != nil || (len(mac) > 0) != bound {
				t.Errorf("report %d is bound: %t, %v", id, len(mac) > 0, err)
			}
		}
		a.Do(`delete from declaration where technique = 'T1021'`)
		a.Do(`delete from drill_result where technique = 'T1556'`)
		s.inspects()
		storetest.Alarmed(t, s.db, "declaration", "T1021", store.Missing)
		storetest.Alarmed(t, s.db, "drill_result", "T1556 vpn", store.Missing)
		if s.passed("T1556") {
			t.Error("what is missing counts as passed")
		}
	})
}
