package admin

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin/overview"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/servertest"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/throttle"
)

// What the overview counts and what the lists show is the same, on both
// databases: who has no second factor, who is dormant, who is suspended.
func TestOverviewAndLists(t *testing.T) {
	for engine, w := range map[string]*servertest.World{"SQLite": servertest.NewWorld(t), "PostgreSQL": servertest.NewWorldOn(t, storetest.StartPostgres(t).DSN)} {
		t.Run(engine, func(t *testing.T) {
			w.EnrollCodes("ada") // two factors
			secret := w.Administrator("root").Secret
			if _, err := w.Setup.Plant(t.Context(), "pat", "Pat 100%"); err != nil { // a pass and nothing else
				t.Fatal(err)
			}
			if _, err := w.Setup.Plant(t.Context(), "sam", ""); err != nil {
				t.Fatal(err)
			}
			err := w.DB.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error {
				if _, err := w.Accounts.Create(t.Context(), tx, directory.NewAccount{Name: "robot", Kind: directory.Service}); err != nil {
					return err
				}
				sam, err := w.Accounts.Find(t.Context(), tx, "sam")
				if err != nil {
					return err
				}
				sam.State = directory.Suspended
				if err := w.Accounts.Update(t.Context(), tx, sam); err != nil {
					return err
				}
				return tx.Record(audit.Entry{Event: "test.suspended", Outcome: audit.OK})
			})
			if err != nil {
				t.Fatal(err)
			}
			limits, err := throttle.Limits{}.Check()
			if err != nil {
				t.Fatal(err)
			}
			check := func(state string, want ...string) {
				t.Helper()
				rows, err := w.Accounts.ListOf(t.Context(), w.DB, directory.Which{State: state, Woken: w.Now().Add(-limits.Dormant)}, "", 100)
				if err != nil {
					t.Fatal(err)
				}
				var names []string
				for _, r := range rows {
					names = append(names, r.Name)
				}
				n, err := w.Accounts.CountEach(t.Context(), w.DB, directory.Which{Woken: w.Now().Add(-limits.Dormant)}, state)
				if err != nil || !slices.Equal(names, want) || n[0] != int64(len(want)) {
					t.Errorf("%q: %v (%d), not %v; %v", state, names, n, want, err)
				}
			}
			root := w.Person()
			root.Comes("root", secret)
			root.Get("/console")
			root.Sees("5 accounts in 2 groups")
			root.Get("/console/accounts?q=100%25")
			root.Sees("Pat 100%")
			if strings.Contains(root.Page, ">ada<") {
				t.Error("a sign for any text was taken for one")
			}
			check("", "ada", "pat", "robot", "root", "sam")
			check(directory.WithoutTwoFactors, "pat", "sam")
			check(directory.Suspended, "sam")
			check(directory.Dormant)
			w.Later(40 * 24 * time.Hour)
			check(directory.Dormant, "ada", "pat", "robot", "root", "sam")
			if _, err := w.Accounts.ListOf(t.Context(), w.DB, directory.Which{State: "' or 1=1"}, "", 1); err == nil {
				t.Error("a state that is none was taken")
			}
		})
	}
}

// The promise: the overview begins with the alarms, whatever their outcome, then the people at
// risk, then what there was each day. It costs the same however long the log is, and counts
// no entry twice, also where it is shown again and again or by two servers at once.
func TestOverviewBeginsWithAlarms(t *testing.T) {
	for engine, w := range map[string]*servertest.World{"SQLite": servertest.NewWorld(t), "PostgreSQL": servertest.NewWorldOn(t, storetest.StartPostgres(t).DSN)} {
		t.Run(engine, func(t *testing.T) {
			w.EnrollCodes("ada")
			secret := w.Administrator("root").Secret
			root := w.Person()
			root.Comes("root", secret)
			root.Get("/console")
			for _, says := range []string{"Alarms of the last 14 days", "None.", "Sign-ins by day"} {
				root.Sees(says)
			}
			mallory := w.Person()
			for range 3 {
				mallory.Get("/sign-in")
				mallory.SignIn("ada", "000000")
			}
			servertest.RaiseRisk(w, "ada")
			hostile := "<img src=x onerror=alert(1)>"
			err := w.DB.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error {
				return errors.Join(
					tx.Record(audit.Entry{Event: "alarm.guessing", Outcome: audit.OK, Application: hostile, Reason: "source"}),
					tx.Record(audit.Entry{Event: "signin.refused", Outcome: audit.Refused, AccountName: hostile, Reason: hostile}),
					tx.Record(audit.Entry{Event: "signin.granted", Outcome: audit.OK, AccountName: hostile, Detail: map[string]string{"shown": hostile}}))
			})
			if err != nil {
				t.Fatal(err)
			}
			numbered(t, w)
			root.Get("/console")
			for _, says := range []string{"Somebody is guessing at", "at risk", "Refused, by reason", "What people showed", "Every day in numbers", "UTC"} {
				root.Sees(says)
			}
			at := func(s string) int { return strings.Index(root.Page, s) }
			if !(at("Alarms of the last") < at("What needs attention") && at("What needs attention") < at("Sign-ins by day") && at("Sign-ins by day") < at("Refused lately")) {
				t.Error("the overview does not begin with the alarms")
			}
			if strings.Contains(root.Page, "<img") {
				t.Error("a name became markup")
			}
			if n := count(t, w); n != 0 {
				t.Errorf("a page that was looked at kept %d counts", n)
			}
			if all, err := w.Counts.CatchUp(t.Context(), 10); err != nil || !all {
				t.Errorf("counted all: %t, %v", all, err)
			}
			before := count(t, w)
			done := make(chan error)
			for range 4 {
				go func() {
					_, err := w.Counts.CatchUp(t.Context(), 10)
					done <- err
				}()
			}
			for range 4 {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			if after := count(t, w); after != before {
				t.Errorf("%d were counted, and then %d", before, after)
			}
			if _, err := overview.NewCounts(w.DB, w.Now).CatchUp(t.Context(), 10); err != nil || count(t, w) != before {
				t.Errorf("another server counted again: %v", err)
			}
		})
	}
}

// numbered waits until every entry has its number.
func numbered(t *testing.T, w *servertest.World) {
	t.Helper()
	for {
		entries, err := w.DB.AuditLog().Entries(t.Context(), store.Filter{Newest: true, Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if entries[0].Seq >= 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// count is all that was counted.
func count(t *testing.T, w *servertest.World) (n int64) {
	t.Helper()
	if err := w.DB.QueryRow(t.Context(), `select coalesce(sum(n), 0) from counted where day >= 0`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
