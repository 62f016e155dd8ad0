package directory

import (
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/store"
)

func (r *rig) passkey(t *testing.T, of Account, handle string) Credential {
	t.Helper()
	return r.credential(t, Credential{Account: of.ID, Kind: "passkey", Handle: handle, Traits: assurance.Held, State: []byte("key")})
}

// What was read outside a transaction is believed in it only while no authenticator of the
// account was added, changed or used; whatever happens to somebody else's says nothing.
func TestUnchangedSinceRead(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(t *testing.T, r *rig, mine, other, bobs Credential)
		unmoved bool
	}{
		"nothing": {change: func(*testing.T, *rig, Credential, Credential, Credential) {}, unmoved: true},
		"somebody else's is used": {change: func(t *testing.T, r *rig, _, _, bobs Credential) {
			r.change(t, func(tx *store.Tx) error { return r.credentials.Answered(t.Context(), tx, bobs) })
		}, unmoved: true},
		"it is used": {change: func(t *testing.T, r *rig, mine, _, _ Credential) {
			r.change(t, func(tx *store.Tx) error { return r.credentials.Answered(t.Context(), tx, mine) })
		}},
		"it is removed": {change: func(t *testing.T, r *rig, mine, _, _ Credential) {
			mine.EndAt(time.Now(), CredentialRevoked, ByOwner, 0)
			r.change(t, func(tx *store.Tx) error { return r.credentials.Update(t.Context(), tx, mine) })
		}},
		"another is removed": {change: func(t *testing.T, r *rig, _, other, _ Credential) {
			other.EndAt(time.Now(), CredentialRevoked, ByOwner, 0)
			r.change(t, func(tx *store.Tx) error { return r.credentials.Update(t.Context(), tx, other) })
		}},
		"another is added": {change: func(t *testing.T, r *rig, mine, _, _ Credential) {
			r.change(t, func(tx *store.Tx) error {
				_, err := r.credentials.Add(t.Context(), tx, Credential{Account: mine.Account, Kind: "totp", Traits: mine.Traits, State: []byte("k")})
				return err
			})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := setUp(t)
			ada, bob := r.account(t, NewAccount{Name: "ada"}), r.account(t, NewAccount{Name: "bob"})
			mine, other, bobs := r.passkey(t, ada, "h"), r.passkey(t, ada, "i"), r.passkey(t, bob, "j")
			before, err := r.credentials.AllOfHolder(t.Context(), r.db, "passkey", "h")
			if err != nil || len(before) != 2 || before[0].ID != mine.ID || before[1].ID != other.ID {
				t.Fatalf("read %+v, %v", before, err)
			}
			c.change(t, r, mine, other, bobs)
			account, unmoved, err := r.people.GetUnchanged(t.Context(), r.db, ada.ID, before)
			if err != nil || account.Name != "ada" || unmoved != c.unmoved {
				t.Errorf("%q, %t, %v", account.Name, unmoved, err)
			}
		})
	}
}

// Nobody's handle, another kind's and none at all find nobody, and an account that is gone
// is not found whatever was read of it.
func TestHoldersOfNothing(t *testing.T) {
	r := setUp(t)
	ada := r.account(t, NewAccount{Name: "ada"})
	r.passkey(t, ada, "h")
	for kind, handle := range map[string]string{"passkey": "x", "yubico-otp": "h", "totp": ""} {
		if all, err := r.credentials.AllOfHolder(t.Context(), r.db, kind, handle); err != nil || len(all) != 0 {
			t.Errorf("%s %q: %+v, %v", kind, handle, all, err)
		}
	}
	if _, unmoved, err := r.people.GetUnchanged(t.Context(), r.db, ada.ID+1, nil); failure.ClassOf(err) != failure.NotFound || unmoved {
		t.Errorf("an account that is gone: %t, %v", unmoved, err)
	}
}
