package directory

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"countersign/internal/assurance"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// owned are the numbers of what somebody has, the lost ones negative.
func owned(all []Credential) (out []int64) {
	for _, c := range all {
		if c.lost {
			c.ID = -c.ID
		}
		out = append(out, int64(c.ID))
	}
	return out
}

// Whoever has read an account has the same of what hangs from it as whoever has not, whatever
// somebody does to the rows, and the log says so.
func TestWhatHangsFromAnAccountThatWasRead(t *testing.T) {
	type attempt struct {
		do   func(t *testing.T, r *rig, a Account, mine, other Credential)
		lost []int // of the two: those that are lost
		of   string
		is   string
	}
	for name, c := range map[string]attempt{
		"nothing": {do: func(*testing.T, *rig, Account, Credential, Credential) {}},
		"one is removed": {do: func(t *testing.T, r *rig, _ Account, _, other Credential) {
			r.intruder(t).run(`delete from credential where handle = 'i'`)
		}, lost: []int{1}, of: "credential", is: store.Missing},
		"the first is removed": {do: func(t *testing.T, r *rig, _ Account, _, other Credential) {
			r.intruder(t).run(`delete from credential where handle = 'h'`)
		}, lost: []int{0}, of: "credential", is: store.Missing},
		"all are removed": {do: func(t *testing.T, r *rig, _ Account, _, _ Credential) {
			r.intruder(t).run(`delete from credential`)
		}, lost: []int{0, 1}, of: "credential", is: store.Missing},
		"one is altered": {do: func(t *testing.T, r *rig, _ Account, _, _ Credential) {
			r.intruder(t).run(`update credential set label = 'mine' where handle = 'i'`)
		}, lost: []int{1}, of: "credential", is: store.Altered},
		"one is put back": {do: func(t *testing.T, r *rig, a Account, mine, _ Credential) {
			i := r.intruder(t)
			i.keep("credential", "handle = 'h'")
			r.change(t, func(tx *store.Tx) error { return r.credentials.Answered(t.Context(), tx, mine) })
			i.putBack("credential", "handle = 'h'")
		}, lost: []int{0}, of: "credential", is: store.Older},
		"one is another's": {do: func(t *testing.T, r *rig, a Account, mine, _ Credential) {
			r.intruder(t).run(`update credential set account = account + 1 where handle = 'i'`)
		}, lost: []int{1}, of: "credential", is: store.Missing},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.EachDSN(t, func(t *testing.T, dsn string) {
				r := setUpOn(t, dsn)
				ada := r.account(t, NewAccount{Name: "ada"})
				mine, other := r.passkey(t, ada, "h"), r.passkey(t, ada, "i")
				a, err := r.people.Get(t.Context(), r.db, ada.ID)
				if err != nil {
					t.Fatal(err)
				}
				c.do(t, r, a, mine, other)
				want := []int64{int64(mine.ID), int64(other.ID)}
				for _, i := range c.lost {
					want[i] = -want[i]
				}
				for range 2 {
					all, err := r.credentials.AllOf(t.Context(), r.db, a)
					if err != nil || !slices.Equal(owned(all), want) {
						t.Errorf("%v, %v; want %v", owned(all), err, want)
					}
				}
				if c.is != "" {
					r.alarmed(t, c.of, c.is)
				} else {
					storetest.Quiet(t, r.db)
				}
			})
		})
	}
}

// An account that was changed in the same transaction after it was read is read again, with
// what it has by then; nothing of that is an alarm.
func TestAnAccountThatChangesAfterItWasRead(t *testing.T) {
	r := setUpOn(t, filepath.Join(t.TempDir(), "test.db"))
	ada, bare := r.account(t, NewAccount{Name: "ada"}), r.account(t, NewAccount{Name: "bare"})
	mine := r.passkey(t, ada, "h")
	r.change(t, func(tx *store.Tx) error {
		a, err := r.people.Get(t.Context(), tx, ada.ID)
		if err != nil {
			return err
		}
		added, err := r.credentials.Add(t.Context(), tx, Credential{Account: a.ID, Kind: "totp", Traits: assurance.Held, State: []byte("k")})
		if err != nil {
			return err
		}
		all, err := r.credentials.AllOf(t.Context(), tx, a)
		if want := []int64{int64(mine.ID), int64(added.ID)}; err == nil && !slices.Equal(owned(all), want) {
			t.Errorf("%v; want %v", owned(all), want)
		}
		return err
	})
	if all, err := r.credentials.AllOf(t.Context(), r.db, bare); err != nil || len(all) != 0 {
		t.Errorf("who has nothing has %v, %v", owned(all), err)
	}
	r.change(t, func(tx *store.Tx) error {
		a, err := r.people.Get(t.Context(), tx, ada.ID)
		if err != nil {
			return err
		}
		if err := r.people.Remove(t.Context(), tx, a, 0); err != nil {
			return err
		}
		all, err := r.credentials.AllOf(t.Context(), tx, a)
		if len(all) != 0 {
			t.Errorf("who was removed has %v", owned(all))
		}
		return err
	})
	r.db.Report(store.Finding{Table: "policy", Row: "9", Wrong: store.Altered}) // so that whatever was reported before is said by then
	storetest.OneAlarm(t, r.db, "policy", store.Altered)
}

// An account that is put back after it was read is refused as a whole.
func TestAnAccountThatIsPutBackAfterItWasRead(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		r := setUpOn(t, dsn)
		ada := r.account(t, NewAccount{Name: "ada"})
		r.passkey(t, ada, "h")
		a, err := r.people.Get(t.Context(), r.db, ada.ID)
		if err != nil {
			t.Fatal(err)
		}
		i := r.intruder(t)
		i.keep("account", "name = 'ada'")
		r.group(t, "staff", false, a)
		i.run(`update account set version = (select version from kept_account) where name = 'ada'`)
		if all, err := r.credentials.AllOf(t.Context(), r.db, a); !errors.Is(err, ErrTampered) {
			t.Errorf("%v, %v", owned(all), err)
		}
		r.alarmed(t, "account", store.Older)
	})
}
