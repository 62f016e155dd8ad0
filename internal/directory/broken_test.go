package directory

import (
	"fmt"
	"testing"

	"countersign/internal/assurance"
	"countersign/internal/store"
)

// Reading that breaks off half-way is an error, and what was not read is not missing.
func TestReadingThatBreaksOff(t *testing.T) {
	held := func(last Credential) []string {
		return []string{`alter table credential rename to kept`, fmt.Sprintf(`create view credential as select id, account, kind, label, handle, case when id = %d then json('{') else traits end as traits, state, status,
			quarantine, version, power, created, used, ended, ender, assigned, mac from kept`, last.ID-1)}
	}
	names := func(Credential) []string {
		return []string{`alter table account_alias rename to kept`, `create view account_alias as select case when alias = 'd' then json('{') else alias end as alias, account, mac from kept`}
	}
	for name, c := range map[string]struct {
		broken func(last Credential) []string
		read   func(t *testing.T, r *rig, a Account) error
	}{
		"what somebody holds": {held, func(t *testing.T, r *rig, a Account) error {
			_, err := r.credentials.All(t.Context(), r.db, a.ID)
			return err
		}},
		"what an account that was read holds": {held, func(t *testing.T, r *rig, a Account) error {
			_, err := r.credentials.AllOf(t.Context(), r.db, a)
			return err
		}},
		"all accounts": {held, func(t *testing.T, r *rig, _ Account) error {
			return r.survey.Each(t.Context(), r.db, func(Surveyed) error { return nil })
		}},
		"a round of the sweep, of authenticators": {held, func(t *testing.T, r *rig, _ Account) error { return r.inspection.Inspect(t.Context()) }},
		"a round of the sweep, of names":          {names, func(t *testing.T, r *rig, _ Account) error { return r.inspection.Inspect(t.Context()) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setUp(t)
			ada := r.account(t, NewAccount{Name: "ada", Aliases: []string{"b", "c", "d", "e"}})
			var last Credential
			for range 4 {
				last = r.credential(t, Credential{Account: ada.ID, Kind: "totp", Traits: assurance.Held, State: []byte("s")})
			}
			ada, err := r.people.Get(t.Context(), r.db, ada.ID)
			if err != nil {
				t.Fatal(err)
			}
			r.intruder(t).run(c.broken(last)...)
			if err := c.read(t, r, ada); err == nil {
				t.Error("it was read to its end")
			}
			behind := store.Finding{Table: "credential", Row: "the last alarm", Wrong: store.Altered}
			r.db.Report(behind) // behind whatever was reported before
			r.finds(t, behind)
		})
	}
}
