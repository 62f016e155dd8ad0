package directory

import (
	"testing"

	"countersign/internal/assurance"
	"countersign/internal/store"
)

func (r *rig) administered(t *testing.T) bool {
	t.Helper()
	done, err := r.milestones.Administered(t.Context(), r.db)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func (r *rig) noted(t *testing.T) int {
	t.Helper()
	all, err := r.db.AuditLog().Entries(t.Context(), store.Filter{Event: AdministeredEvent, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// That there was an administrator who could sign in is noted at whichever road made it
// true, once, and never before.
func TestFirstAdministratorIsNoted(t *testing.T) {
	const two, known, held, pass = assurance.Known | assurance.Held, assurance.Known, assurance.Held, assurance.Known | assurance.Vouched
	for name, c := range map[string]struct {
		do   func(r *rig, t *testing.T)
		want bool
	}{
		"an authenticator of two factors": {func(r *rig, t *testing.T) {
			a := r.account(t, NewAccount{Name: "ada"})
			r.group(t, Administrators, true, a)
			if r.administered(t) {
				t.Error("a member with nothing")
			}
			r.credential(t, Credential{Account: a.ID, Kind: "passkey", Traits: assurance.Held | assurance.UserVerified | assurance.PhishingResistant})
		}, true},
		"two of one each": {func(r *rig, t *testing.T) {
			a := r.account(t, NewAccount{Name: "ada"})
			r.group(t, Administrators, true, a)
			r.credential(t, Credential{Account: a.ID, Kind: "password", Traits: known})
			if r.administered(t) {
				t.Error("a member with a password")
			}
			r.credential(t, Credential{Account: a.ID, Kind: "totp", Traits: held})
		}, true},
		"a new member": {func(r *rig, t *testing.T) {
			a := r.account(t, NewAccount{Name: "ada"})
			r.credential(t, Credential{Account: a.ID, Kind: "password", Traits: known})
			r.credential(t, Credential{Account: a.ID, Kind: "totp", Traits: held})
			if r.administered(t) {
				t.Error("somebody who is no administrator")
			}
			r.group(t, Administrators, true, a)
		}, true},
		"what was switched off": {func(r *rig, t *testing.T) {
			a := r.account(t, NewAccount{Name: "ada"})
			for _, traits := range []assurance.Trait{known, held} {
				c := r.credential(t, Credential{Account: a.ID, Kind: "k", Traits: traits})
				c.Status = CredentialDisabled
				r.change(t, func(tx *store.Tx) error { return r.credentials.Update(t.Context(), tx, c) })
			}
			r.group(t, Administrators, true, a)
		}, true},
		"a pass": {func(r *rig, t *testing.T) {
			a := r.account(t, NewAccount{Name: "ada"})
			r.group(t, Administrators, true, a)
			r.credential(t, Credential{Account: a.ID, Kind: "accesspass", Traits: pass})
			r.credential(t, Credential{Account: a.ID, Kind: "totp", Traits: held})
		}, false},
		"another group": {func(r *rig, t *testing.T) {
			a := r.account(t, NewAccount{Name: "ada"})
			r.credential(t, Credential{Account: a.ID, Kind: "passkey", Traits: two})
			r.group(t, "staff", true, a)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := setUp(t)
			c.do(r, t)
			if got := r.administered(t); got != c.want {
				t.Fatalf("noted: %v", got)
			}
			if c.want && r.noted(t) != 1 {
				t.Errorf("%d entries", r.noted(t))
			}
			b := r.account(t, NewAccount{Name: "bob"})
			r.credential(t, Credential{Account: b.ID, Kind: "passkey", Traits: two})
			if c.want {
				g, err := r.groups.Find(t.Context(), r.db, Administrators)
				if err != nil {
					t.Fatal(err)
				}
				r.change(t, func(tx *store.Tx) error { return r.groups.AddMember(t.Context(), tx, g, b) })
				if r.noted(t) != 1 {
					t.Error("noted twice")
				}
			}
		})
	}
}

// A row that was changed says it all the same: it can be there for nothing else. Noting
// it again changes nothing.
func TestMilestoneIsNotTakenBack(t *testing.T) {
	r := setUp(t)
	a := r.account(t, NewAccount{Name: "ada"})
	note := func() error {
		return r.try(t, func(tx *store.Tx) error { return r.milestones.NoteAdministered(t.Context(), tx, a, "test") })
	}
	for range 2 {
		if err := note(); err != nil {
			t.Fatal(err)
		}
	}
	if r.noted(t) != 1 || !r.administered(t) {
		t.Errorf("%d entries", r.noted(t))
	}
	for _, query := range []string{`update milestone set mac = x'00'`, `update milestone set account = 99`} {
		if r.sabotage(t, query); !r.administered(t) {
			t.Errorf("%s: it is not said any more", query)
		}
	}
	r.change(t, func(tx *store.Tx) error { return r.milestones.TouchAdministered(t.Context(), tx) })
	if !r.administered(t) {
		t.Error("touching took it away")
	}
	closed := r.try(t, func(tx *store.Tx) error {
		if _, err := tx.Exec(t.Context(), `insert into milestone (name, account, at, mac) values ('administered', 1, 1, x'00')`); err == nil {
			t.Error("it is there twice")
		}
		return r.milestones.NoteAdministered(t.Context(), tx, a, "in a transaction that has failed")
	})
	if closed == nil {
		t.Error("an error was lost")
	}
	r.db.Close()
	if done, err := r.milestones.Administered(t.Context(), r.db); err == nil {
		t.Errorf("a database that cannot be read says %v", done)
	}
	if once, err := r.milestones.CouldOnce(t.Context(), r.db, a); err == nil {
		t.Errorf("a database that cannot be read says %v", once)
	}
}
