package admin

import (
	"slices"
	"strings"
	"testing"
	"time"

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
				n, err := w.Accounts.Count(t.Context(), w.DB, directory.Which{State: state, Woken: w.Now().Add(-limits.Dormant)})
				if err != nil || !slices.Equal(names, want) || n != int64(len(want)) {
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
