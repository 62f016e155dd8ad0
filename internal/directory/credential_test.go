package directory

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

func TestCredentials(t *testing.T) {
	r := setUp(t)
	ada, bob := r.account(t, NewAccount{Name: "ada"}), r.account(t, NewAccount{Name: "bob"})
	quarantine := ada.Created.Add(time.Hour)
	c := r.credential(t, Credential{Account: ada.ID, Kind: "passkey", Label: "key", Handle: "h", Traits: assurance.Held | assurance.PhishingResistant, State: []byte("state"), Quarantine: quarantine})
	if c.Status != CredentialActive || c.Version != 1 || c.ID == 0 {
		t.Errorf("%+v", c)
	}
	for name, read := range map[string]func() (Credential, error){
		"by number": func() (Credential, error) { return r.credentials.Get(t.Context(), r.db, ada.ID, c.ID) },
		"by handle": func() (Credential, error) { return r.credentials.ByHandle(t.Context(), r.db, "passkey", "h") },
	} {
		got, err := read()
		if err != nil || got.Account != ada.ID || string(got.State) != "state" || got.Label != "key" || got.Traits != c.Traits || !got.Quarantine.Equal(quarantine) || got.Handle != "h" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, read := range map[string]func() (Credential, error){
		"of another account": func() (Credential, error) { return r.credentials.Get(t.Context(), r.db, bob.ID, c.ID) },
		"of another kind":    func() (Credential, error) { return r.credentials.ByHandle(t.Context(), r.db, "yubico-otp", "h") },
		"without a handle":   func() (Credential, error) { return r.credentials.ByHandle(t.Context(), r.db, "passkey", "") },
		"unknown":            func() (Credential, error) { return r.credentials.Get(t.Context(), r.db, ada.ID, c.ID+1) },
	} {
		if got, err := read(); failure.ClassOf(err) != failure.NotFound {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	var stored string
	if err := r.db.QueryRow(t.Context(), `select cast(state as text) from credential`).Scan(&stored); err != nil || strings.Contains(stored, "state") {
		t.Errorf("the state is not sealed: %v", err)
	}
}

// A handle is one credential's; only a revoked one gives it away.
func TestHandles(t *testing.T) {
	r := setUp(t)
	ada, bob := r.account(t, NewAccount{Name: "ada"}), r.account(t, NewAccount{Name: "bob"})
	none := r.credential(t, Credential{Account: ada.ID, Kind: "totp"})
	r.credential(t, Credential{Account: bob.ID, Kind: "totp"}) // any number without one
	c := r.credential(t, Credential{Account: ada.ID, Kind: "passkey", Handle: "h"})
	r.credential(t, Credential{Account: bob.ID, Kind: "yubico-otp", Handle: "h"})
	add := func() error {
		return r.try(t, func(tx *store.Tx) error {
			_, err := r.credentials.Add(t.Context(), tx, Credential{Account: bob.ID, Kind: "passkey", Handle: "h"})
			return err
		})
	}
	for _, status := range []string{CredentialActive, CredentialDisabled, CredentialUsedUp} {
		if c.Status != status {
			c.Status = status
			r.change(t, func(tx *store.Tx) error { return r.credentials.Update(t.Context(), tx, c) })
			c.Version++
		}
		if err := add(); failure.ClassOf(err) != failure.Conflict {
			t.Errorf("%s: %v", status, err)
		}
	}
	c.Status = CredentialRevoked
	r.change(t, func(tx *store.Tx) error { return r.credentials.Update(t.Context(), tx, c) })
	if err := add(); err != nil {
		t.Fatal(err)
	}
	if got, err := r.credentials.ByHandle(t.Context(), r.db, "passkey", "h"); err != nil || got.Account != bob.ID {
		t.Errorf("%+v, %v", got, err)
	}
	all, err := r.credentials.All(t.Context(), r.db, ada.ID)
	if err != nil || len(all) != 2 || all[0].ID != none.ID || all[1].Status != CredentialRevoked || all[1].Handle != "" {
		t.Errorf("%+v, %v", all, err)
	}
}

// Of two that change a credential at once, the second is told.
func TestChangedMeanwhile(t *testing.T) {
	r := setUp(t)
	ada := r.account(t, NewAccount{Name: "ada"})
	c := r.credential(t, Credential{Account: ada.ID, Kind: "totp", Label: "old", Traits: assurance.Held, State: []byte("1")})
	first := c
	first.State, first.Status = []byte("2"), CredentialUsedUp
	r.change(t, func(tx *store.Tx) error { return r.credentials.Answered(t.Context(), tx, first) })
	for name, write := range map[string]func(tx *store.Tx) error{
		"Answered": func(tx *store.Tx) error { return r.credentials.Answered(t.Context(), tx, c) }, "UpdateCredential": func(tx *store.Tx) error { return r.credentials.Update(t.Context(), tx, c) },
	} {
		if err := r.try(t, write); failure.ClassOf(err) != failure.Conflict {
			t.Errorf("%s: %v", name, err)
		}
	}
	got, err := r.credentials.Get(t.Context(), r.db, ada.ID, c.ID)
	if err != nil || string(got.State) != "2" || got.Status != CredentialUsedUp || got.Version != 2 || got.Label != "old" {
		t.Errorf("%+v, %v", got, err)
	}
}

// Each column of a credential is changed by plain SQL: it is no way in any more, its owner
// has had it all the same, and what is beside it is as it was.
func TestCredentialsChangedBehindOurBack(t *testing.T) {
	storetest.Long(t, "tries every alteration, each in a database of its own")
	for _, query := range []string{
		`update credential set status = 'active' where handle = 'revoked'`, `update credential set kind = 'totp' where handle = 'hers'`,
		`update credential set handle = 'other' where handle = 'hers'`, `update credential set traits = 'held+known' where handle = 'hers'`, `update credential set traits = 'odd' where handle = 'hers'`,
		`update credential set quarantine = 1 where handle = 'hers'`, `update credential set version = 9 where handle = 'hers'`, `update credential set created = 1 where handle = 'hers'`,
		`update credential set label = 'other' where handle = 'hers'`, `update credential set used = 1 where handle = 'hers'`, `update credential set power = 9 where handle = 'hers'`,
		`update credential set ended = 1 where handle = 'hers'`, `update credential set ender = 'owner' where handle = 'hers'`, `update credential set ender = 'x/y' where handle = 'hers'`, `update credential set assigned = 1 where handle = 'hers'`,
		`update credential set state = (select state from credential where handle = 'revoked') where handle = 'hers'`, `update credential set mac = (select mac from credential where handle = 'revoked') where handle = 'hers'`,
	} {
		t.Run(query, func(t *testing.T) {
			r := setUp(t)
			ada := r.account(t, NewAccount{Name: "ada"})
			hers := r.passkey(t, ada, "hers")
			old := r.passkey(t, ada, "revoked")
			old.EndAt(time.Now(), CredentialRevoked, ByOwner, 0)
			r.change(t, func(tx *store.Tx) error { return r.credentials.Update(t.Context(), tx, old) })
			r.passkey(t, ada, "sound")
			bad := hers.ID
			if strings.HasPrefix(query, "update credential set status") {
				bad = old.ID
			}
			r.sabotage(t, query)
			all, err := r.credentials.All(t.Context(), r.db, ada.ID)
			if err != nil || len(all) != 3 || all[bad-1].Status != CredentialRevoked || all[bad-1].GivenUp() || all[bad-1].Traits != assurance.Held || all[2].Status != CredentialActive {
				t.Errorf("%+v, %v", all, err)
			}
			if got, err := r.credentials.Get(t.Context(), r.db, ada.ID, bad); err != nil || got.Status != CredentialRevoked || got.State != nil {
				t.Errorf("by its number: %+v, %v", got, err)
			}
			for _, handle := range []string{"hers", "other", "revoked"} {
				if got, err := r.credentials.ByHandle(t.Context(), r.db, "passkey", handle); err == nil && got.ID == bad {
					t.Errorf("by its handle: %+v", got)
				}
			}
			found := false
			err = r.survey.Each(t.Context(), r.db, func(s Surveyed) error { found = found || s.Tampered; return nil })
			if err != nil || !found {
				t.Errorf("the survey found nothing, %v", err)
			}
			if got := r.alarmed(t, "credential", store.Altered); got.Account != int64(ada.ID) || got.Row != strconv.FormatInt(int64(bad), 10) {
				t.Errorf("%+v", got)
			}
			all[bad-1].Status = CredentialActive
			if err := r.try(t, func(tx *store.Tx) error { return r.credentials.Update(t.Context(), tx, all[bad-1]) }); failure.ClassOf(err) != failure.Conflict {
				t.Errorf("it is written anew: %v", err)
			}
		})
	}
}

func TestCouldShow(t *testing.T) {
	now := time.Now()
	var all []Credential
	for i, status := range []string{CredentialActive, CredentialDisabled, CredentialRevoked, CredentialUsedUp, ""} {
		all = append(all, Credential{ID: assurance.CredentialID(i + 1), Account: 3, Kind: "totp", Traits: assurance.Held, Status: status})
	}
	got := CouldShow(all, now)
	if len(got) != 1 || got[0].Credential != 1 || got[0].Account != 3 || got[0].Traits != assurance.Held || !got[0].Time.Equal(now) {
		t.Errorf("%+v", got)
	}
}

func TestSpend(t *testing.T) {
	r := setUp(t)
	spend := func(id assurance.CredentialID, once string) (fresh bool) {
		r.change(t, func(tx *store.Tx) (err error) {
			fresh, err = r.credentials.Spend(t.Context(), tx, Once{Credential: id, Key: once}, tx.Now())
			return err
		})
		return fresh
	}
	for _, c := range []struct {
		id   assurance.CredentialID
		once string
		want bool
	}{{1, "t1", true}, {1, "t1", false}, {2, "t1", true}, {1, "t2", true}, {1, "", true}, {1, "", true}, {2, "t1", false}} {
		if got := spend(c.id, c.once); got != c.want {
			t.Errorf("%d %q: %v", c.id, c.once, got)
		}
	}
	var wg sync.WaitGroup
	var won atomic.Int32
	for range 32 {
		wg.Go(func() {
			if spend(7, "at once") {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d of 32 spent it", won.Load())
	}
}

func TestActiveAfter(t *testing.T) {
	r := setUp(t)
	ada := r.account(t, NewAccount{Name: "ada"})
	first, second := r.credential(t, Credential{Account: ada.ID, Kind: "push"}), r.credential(t, Credential{Account: ada.ID, Kind: "push"})
	r.credential(t, Credential{Account: ada.ID, Kind: "totp"})
	for _, c := range []struct {
		after assurance.CredentialID
		limit int
		want  int
	}{{0, 10, 2}, {0, 1, 1}, {first.ID, 10, 1}, {second.ID, 10, 0}} {
		if got, err := ActiveAfter(t.Context(), r.db, "push", c.after, c.limit); err != nil || len(got) != c.want || len(got) > 0 && got[0].Account != ada.ID {
			t.Errorf("after %d: %v, %v", c.after, got, err)
		}
	}
	first.Status = CredentialDisabled
	r.change(t, func(tx *store.Tx) error { return r.credentials.Update(t.Context(), tx, first) })
	if got, err := ActiveAfter(t.Context(), r.db, "push", 0, 10); err != nil || len(got) != 1 || got[0].ID != second.ID {
		t.Errorf("%v, %v", got, err)
	}
}
