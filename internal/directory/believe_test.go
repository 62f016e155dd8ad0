package directory

import (
	"errors"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// A spelling whose row somebody changed leads to nobody, and so does one that the account
// does not know of, though its row bears our MAC.
func TestSpellingsThatAreNotBelieved(t *testing.T) {
	r := setUp(t)
	ada := r.account(t, NewAccount{Name: "ada", Aliases: []string{"countess"}})
	r.sabotage(t, `update account_alias set mac = null where alias = 'countess'`)
	r.sabotage(t, `insert into account_alias (alias, account, mac) values ('lovelace', $1, $2)`, int64(ada.ID), r.keys.MAC(keyring.Account, spelling("lovelace", int64(ada.ID))))
	for _, name := range []string{"countess", "lovelace"} {
		if a, err := r.people.Find(t.Context(), r.db, name); failure.ClassOf(err) != failure.NotFound {
			t.Errorf("%s is %+v, %v", name, a, err)
		}
	}
	if _, err := r.people.Find(t.Context(), r.db, "ada"); err != nil {
		t.Error(err)
	}
	r.alarmed(t, "account_alias", store.Altered)
	r.alarmed(t, "account_alias", store.Returned)
}

// An authenticator is believed only with the power that its account knows of, also by a
// server that knows no version of it.
func TestPowerOfACredential(t *testing.T) {
	r := setUp(t)
	ada := r.account(t, NewAccount{Name: "ada"})
	c := r.passkey(t, ada, "h")
	row := &heldRow{}
	err := r.db.QueryRow(t.Context(), `select `+heldColumns+` from account a join credential c on c.account = a.id where c.id = $1`, int64(c.ID)).Scan(row.columns()...)
	if err != nil {
		t.Fatal(err)
	}
	h, err := r.credentials.holder(t.Context(), row)
	if err != nil {
		t.Fatal(err)
	}
	for power, want := range map[int64]bool{c.power - 1: false, c.power: true, c.power + 1: false} {
		if _, ok, err := h.believe(t.Context(), &row.own, holding{c.ID, power, []byte("held")}); ok != want || err != nil {
			t.Errorf("power %d of %d: %t, %v", power, c.power, ok, err)
		}
	}
	if _, ok, err := h.believe(t.Context(), &row.own, holding{}); ok || err != nil {
		t.Errorf("one that its account does not know of: %t, %v", ok, err)
	}
	r.alarmed(t, "credential", store.Older)
	r.alarmed(t, "credential", store.Returned)
}

// What an account's row of before knows of is not believed, whatever is asked for.
func TestCredentialsOfAnOlderAccount(t *testing.T) {
	r := setUp(t)
	ada := r.account(t, NewAccount{Name: "ada"})
	c := r.passkey(t, ada, "h")
	i := r.intruder(t)
	i.keep("account", "name = 'ada'")
	r.change(t, func(tx *store.Tx) error {
		c.EndAt(tx.Now(), CredentialDisabled, ByReport, 0)
		return r.credentials.Update(t.Context(), tx, c)
	})
	i.putBack("account", "name = 'ada'")
	if all, err := r.credentials.All(t.Context(), r.db, ada.ID); !errors.Is(err, ErrTampered) {
		t.Errorf("%+v, %v", all, err)
	}
	if one, err := r.credentials.Get(t.Context(), r.db, ada.ID, c.ID); !errors.Is(err, ErrTampered) {
		t.Errorf("%+v, %v", one, err)
	}
	if all, err := r.credentials.AllOfHolder(t.Context(), r.db, "passkey", "h"); !errors.Is(err, ErrTampered) {
		t.Errorf("%+v, %v", all, err)
	}
	r.alarmed(t, "account", store.Older)
}

// What was read before a powerful change is not what is there now, also where the sum of
// the versions is the same again.
func TestBesideAnotherAccountOfTheSum(t *testing.T) {
	r := setUp(t)
	ada := r.account(t, NewAccount{Name: "ada"})
	r.passkey(t, ada, "h")
	all, err := r.credentials.All(t.Context(), r.db, ada.ID)
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	if _, unmoved, err := r.people.GetUnchanged(t.Context(), r.db, ada.ID, all); err != nil || !unmoved {
		t.Fatal("as it was", err)
	}
	r.change(t, func(tx *store.Tx) error { return r.people.AddMail(t.Context(), tx, ada.ID, "ada@example.org") })
	if _, unmoved, err := r.people.GetUnchanged(t.Context(), r.db, ada.ID, all); err != nil || unmoved {
		t.Error("its account was changed, and it is as it was", err)
	}
}

// A sign-in is noted in an account that the same change wrote after it was read.
func TestUsedAfterAChange(t *testing.T) {
	r := setUp(t)
	ada := r.account(t, NewAccount{Name: "ada"})
	c := r.credential(t, Credential{Account: ada.ID, Kind: "accesspass", Traits: assurance.Vouched, State: []byte("k")})
	at := ada.Created.Add(time.Hour)
	r.change(t, func(tx *store.Tx) error {
		a, err := r.people.Get(t.Context(), tx, ada.ID)
		if err != nil {
			return err
		}
		c.Status = CredentialUsedUp
		if err := r.credentials.Answered(t.Context(), tx, c); err != nil {
			return err
		}
		return r.people.Used(t.Context(), tx, a, at)
	})
	a, err := r.people.Get(t.Context(), r.db, ada.ID)
	if err != nil || !a.Used.Equal(at) {
		t.Errorf("%+v, %v", a, err)
	}
	if all, err := r.credentials.All(t.Context(), r.db, ada.ID); err != nil || len(all) != 1 || all[0].Status != CredentialUsedUp || all[0].lost {
		t.Errorf("%+v, %v", all, err)
	}
}

// An answer to a credential that was changed more than by answers since it was read is a
// conflict, and writes nothing that nobody would believe.
func TestAnsweredWithOldPower(t *testing.T) {
	r := setUp(t)
	ada := r.account(t, NewAccount{Name: "ada"})
	c := r.passkey(t, ada, "h")
	c.power--
	if err := r.try(t, func(tx *store.Tx) error { return r.credentials.Answered(t.Context(), tx, c) }); failure.ClassOf(err) != failure.Conflict {
		t.Error(err)
	}
}

// Who is in a group by a row that somebody put back is not among its members, and what was
// taken from the table is a member still; it can be taken out, and added again.
func TestMembersByTheirRosters(t *testing.T) {
	r := setUp(t)
	ada, bob := r.account(t, NewAccount{Name: "ada"}), r.account(t, NewAccount{Name: "bob"})
	staff := r.group(t, "staff", true, ada)
	r.sabotage(t, `insert into membership (team, account, created, mac) values ($1,$2,1,$3)`, staff.ID, int64(bob.ID), r.keys.MAC(keyring.Membership, membership(staff.ID, bob.ID, 1)))
	if all, err := r.groups.Members(t.Context(), r.db, staff, 9); err != nil || len(all) != 1 || all[0].ID != ada.ID {
		t.Errorf("%+v, %v", all, err)
	}
	r.alarmed(t, "membership", store.Returned)
	r.change(t, func(tx *store.Tx) error { return r.groups.AddMember(t.Context(), tx, staff, bob) })
	r.sabotage(t, `delete from membership where account = $1`, int64(ada.ID))
	if a, err := r.people.Get(t.Context(), r.db, ada.ID); err != nil || strings.Join(a.Groups, " ") != "staff" || !a.Privileged {
		t.Errorf("%+v, %v", a, err)
	}
	if err := r.try(t, func(tx *store.Tx) error { return r.groups.AddMember(t.Context(), tx, staff, ada) }); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("added twice: %v", err)
	}
	r.change(t, func(tx *store.Tx) error { return r.groups.RemoveMember(t.Context(), tx, staff, ada) })
	if a, err := r.people.Get(t.Context(), r.db, ada.ID); err != nil || len(a.Groups) != 0 || a.Privileged {
		t.Errorf("taken out: %+v, %v", a, err)
	}
	r.sabotage(t, `update account set mac = $1 where id = $2`, []byte("x"), int64(bob.ID))
	if all, err := r.groups.Members(t.Context(), r.db, staff, 9); err != nil || len(all) != 0 {
		t.Errorf("whose row is not believed: %+v, %v", all, err)
	}
	r.sabotage(t, `update team set privileged = 0`)
	if all, err := r.groups.All(t.Context(), r.db); err != nil || len(all) != 1 || !all[0].Privileged {
		t.Errorf("a group that is not believed: %+v, %v", all, err)
	}
}

// A roster is read as it was written, and nothing else is one.
func TestRosters(t *testing.T) {
	full := &roster{}
	full.join(Group{ID: 9, Name: "staff"}, 5)
	full.join(Group{ID: 2, Name: "administrators", Privileged: true}, 1<<50)
	for _, id := range []assurance.CredentialID{7, 3, 7} {
		full.hold(Credential{ID: id, Traits: assurance.Held | assurance.Known})
	}
	full.receive("b@example.org", 3)
	full.receive("a@example.org", 4)
	full.call("ada")
	full.call("countess")
	full.call("ada")
	for _, r := range []*roster{{}, full} {
		b := r.bytes()
		got, err := readRoster(b)
		if err != nil || string(got.bytes()) != string(b) || len(got.names) != len(r.names) {
			t.Errorf("%+v, %v", got, err)
		}
		for n := range b {
			if _, err := readRoster(b[:n]); err == nil {
				t.Errorf("%d octets of %d are a roster", n, len(b))
			}
		}
		if _, held, err := readHeld(b); err != nil || len(held.held) != len(r.held) {
			t.Errorf("the authenticators alone: %+v, %v", held, err)
		}
		if _, err := readRoster(append(b, 0)); err == nil {
			t.Error("with more behind it it is one")
		}
		b[0]++
		if _, err := readRoster(b); err == nil {
			t.Error("one of another form is read")
		}
	}
	if full.join(Group{ID: 9}, 6) || full.receive("a@example.org", 5) || !full.in(9) || full.in(3) || !full.called("ada") || full.called("bob") {
		t.Errorf("%+v", full)
	}
	if full.holding(7).power != 2 || full.holding(3).power != 1 || full.holding(4).id != 0 || full.mails[0].address != "a@example.org" || full.groups[0].team != 2 {
		t.Errorf("%+v", full)
	}
	if full.hold(Credential{ID: 3, power: 5}) != 6 {
		t.Error("a power that counts down")
	}
	if full.leave(Group{ID: 8, Name: "x"}) || !full.leave(Group{ID: 8, Name: "staff"}) || full.in(9) {
		t.Errorf("%+v", full.groups)
	}
	if _, err := readRoster([]byte{rosterForm, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}); err == nil {
		t.Error("more groups than there are octets")
	}
}
