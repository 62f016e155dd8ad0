package directory

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

func TestEverySpellingIsOneAccount(t *testing.T) {
	r := setUp(t)
	ada := r.account(t, NewAccount{Name: " Ada.L ", Display: "Ada", Mail: "Ada@Example.ORG", Aliases: []string{"ada@corp.example"}})
	if ada.Name != "ada.l" || ada.Kind != Person || ada.State != Active || len(ada.Handle) != 32 {
		t.Errorf("%+v", ada)
	}
	for _, typed := range []string{"ada.l", "ADA.L", " ada.l\t", "ＡＤＡ.L", `CORP\Ada.L`, "ada@example.org", "ADA@EXAMPLE.org", "ada@corp.example", `x\y\ada.l`} {
		a, err := r.people.Find(t.Context(), r.db, typed)
		if err != nil || a.ID != ada.ID || a.Mail != "Ada@example.org" || string(a.Handle) != string(ada.Handle) {
			t.Errorf("%q: %+v, %v", typed, a, err)
		}
	}
	for _, typed := range []string{"", " ", "ada", "ada.l\x00", "ada.l ada.l", `ada.l\`, "ada.l\u200b", strings.Repeat("a", 129), strings.Repeat("ａ", 600), "\xff", `ada.l\corp`} {
		if _, err := r.people.Find(t.Context(), r.db, typed); failure.ClassOf(err) != failure.NotFound {
			t.Errorf("%q: %v", typed, err)
		}
	}
	if _, err := r.people.Get(t.Context(), r.db, ada.ID+1); failure.ClassOf(err) != failure.NotFound {
		t.Errorf("a number that nobody has: %v", err)
	}
}

func TestNamesThatAreNotGiven(t *testing.T) {
	r := setUp(t)
	r.account(t, NewAccount{Name: "ada", Aliases: []string{"countess"}})
	for name, n := range map[string]NewAccount{
		"taken": {Name: "ADA"}, "taken as an alias": {Name: "countess"}, "an alias that is taken": {Name: "bob", Aliases: []string{"Ada"}}, "empty": {Name: ""},
		"mixed scripts": {Name: "аda"}, "a backslash": {Name: `a\b`}, "a slash": {Name: "a/b"}, "a leading hyphen": {Name: "-a"}, "a leading dot": {Name: ".a"}, "two at signs": {Name: "a@b@c"},
		"a long display name": {Name: "bob", Display: strings.Repeat("x", 257)}, "no address": {Name: "bob", Mail: "bob"}, "two addresses": {Name: "bob", Mail: "a@b.example, c@d.example"},
		"an address with a name": {Name: "bob", Mail: "Bob <bob@b.example>"}, "a long address": {Name: "bob", Mail: strings.Repeat("x", 250) + "@b.example"}, "a bad alias": {Name: "bob", Aliases: []string{"a b"}},
	} {
		err := r.try(t, func(tx *store.Tx) error { _, err := r.people.Create(t.Context(), tx, n); return err })
		if c := failure.ClassOf(err); c != failure.Invalid && c != failure.Conflict {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n, err := counted(t, r, Which{}); err != nil || n != 1 {
		t.Errorf("%d accounts, %v", n, err)
	}
	for _, good := range []string{"o'neill"[:1], "svc_backup", "имя", "ada+1", "ada@example.net"} {
		r.account(t, NewAccount{Name: good})
	}
}

// An address that another account has leads to that account still, and notices go to
// both.
func TestAddressOfTwo(t *testing.T) {
	r := setUp(t)
	ada, bob := r.account(t, NewAccount{Name: "ada", Mail: "team@example.org"}), r.account(t, NewAccount{Name: "bob", Mail: "team@example.org"})
	if a, err := r.people.Find(t.Context(), r.db, "team@example.org"); err != nil || a.ID != ada.ID {
		t.Errorf("%+v, %v", a, err)
	}
	r.change(t, func(tx *store.Tx) error {
		return r.people.AddMail(t.Context(), tx, bob.ID, "bob@example.org")
	})
	mails, err := r.people.Mails(t.Context(), r.db, bob.ID)
	if err != nil || fmt.Sprint(mails) != "[bob@example.org team@example.org]" {
		t.Errorf("%v, %v", mails, err)
	}
	if err := r.try(t, func(tx *store.Tx) error { return r.people.AddMail(t.Context(), tx, bob.ID, "bob@EXAMPLE.org") }); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("twice: %v", err)
	}
}

func TestUpdateAndUse(t *testing.T) {
	r := setUp(t)
	ada := r.account(t, NewAccount{Name: "ada"})
	now := ada.Created.Add(time.Hour)
	use := func(at time.Time) Account {
		r.change(t, func(tx *store.Tx) error {
			a, err := r.people.Get(t.Context(), tx, ada.ID)
			if err != nil {
				return err
			}
			return r.people.Used(t.Context(), tx, a, at)
		})
		a, err := r.people.Get(t.Context(), r.db, ada.ID)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := use(now); !a.Used.Equal(now) || a.Idle(now.Add(time.Minute)) != time.Minute {
		t.Errorf("%+v", a)
	}
	if a := use(now.Add(time.Hour - time.Microsecond)); !a.Used.Equal(now) {
		t.Errorf("written twice within an hour: %s", a.Used)
	}
	if a := use(now.Add(time.Hour)); !a.Used.Equal(now.Add(time.Hour)) {
		t.Errorf("not written after an hour: %s", a.Used)
	}
	if got := (Account{Created: now}).Idle(now.Add(time.Hour)); got != time.Hour {
		t.Errorf("never used: %s", got)
	}
	ada.State, ada.Display, ada.Risk, ada.Used = Suspended, "A", now, now
	r.change(t, func(tx *store.Tx) error { return r.people.Update(t.Context(), tx, ada) })
	if a, err := r.people.Get(t.Context(), r.db, ada.ID); err != nil || a.State != Suspended || a.Display != "A" || !a.Risk.Equal(now) {
		t.Errorf("%+v, %v", a, err)
	}
	ada.ID = 99
	if err := r.try(t, func(tx *store.Tx) error { return r.people.Update(t.Context(), tx, ada) }); failure.ClassOf(err) != failure.NotFound {
		t.Errorf("an account that is not there: %v", err)
	}
}

// What a group is called can be changed, by whoever saw it last, and an older row that
// somebody puts back is no group.
func TestDescribe(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		r := setUpOn(t, dsn)
		ctx := t.Context()
		var staff, again Group
		storetest.Change(t, r.db, func(tx *store.Tx) (err error) {
			staff, err = r.groups.Create(ctx, tx, "staff", "Staff", true)
			return err
		})
		attacker := storetest.NewAttacker(t, dsn)
		before := attacker.Copy("team", "name = 'staff'")
		storetest.Change(t, r.db, func(tx *store.Tx) (err error) {
			again, err = r.groups.Describe(ctx, tx, staff, "All staff")
			return err
		})
		found, err := r.groups.Find(ctx, r.db, "staff")
		if err != nil || found.Display != "All staff" || !found.Privileged || again.Display != found.Display {
			t.Fatalf("%+v, %v", found, err)
		}
		err = storetest.Try(t, r.db, func(tx *store.Tx) error {
			_, err := r.groups.Describe(ctx, tx, staff, "Other")
			return err
		})
		if failure.ClassOf(err) != failure.Conflict {
			t.Errorf("one that was read before is described: %v", err)
		}
		attacker.PutBack(before, "id")
		if _, err := r.groups.Find(ctx, r.db, "staff"); !errors.Is(err, ErrTampered) {
			t.Errorf("the row of before is believed: %v", err)
		}
	})
}

func TestGroups(t *testing.T) {
	r := setUp(t)
	ada, bob := r.account(t, NewAccount{Name: "ada"}), r.account(t, NewAccount{Name: "bob"})
	if got, err := r.groups.Administering(t.Context(), r.db, 10); err != nil || got != nil {
		t.Errorf("before there is such a group: %v, %v", got, err)
	}
	admins, staff := r.group(t, "Administrators", true, ada), r.group(t, "staff", false, ada, bob)
	for name, want := range map[string]string{"ada": "[administrators staff] true true false", "bob": "[staff] false false false"} {
		for _, read := range []func() (Account, error){
			func() (Account, error) { return r.people.Find(t.Context(), r.db, name) },
			func() (Account, error) {
				all, err := r.people.ListOf(t.Context(), r.db, Which{Query: name}, "", 1)
				if err != nil || len(all) != 1 {
					return Account{}, err
				}
				return all[0], err
			},
		} {
			a, err := read()
			if got := fmt.Sprint(a.Groups, a.Privileged, a.Administers(), a.Helps()); err != nil || got != want {
				t.Errorf("%s: %s, want %s, %v", name, got, want, err)
			}
		}
	}
	if got, err := r.groups.Administering(t.Context(), r.db, 10); err != nil || len(got) != 1 || got[0].Name != "ada" {
		t.Errorf("%v, %v", got, err)
	}
	all, err := r.groups.All(t.Context(), r.db)
	if err != nil || len(all) != 2 || all[0].Name != "administrators" || all[0].Members != 1 || !all[0].Privileged || all[1].Members != 2 || all[1].Privileged {
		t.Errorf("%+v, %v", all, err)
	}
	refused := map[string]struct {
		fn   func(tx *store.Tx) error
		want failure.Class
	}{
		"a name twice":     {func(tx *store.Tx) error { _, err := r.groups.Create(t.Context(), tx, "STAFF", "", false); return err }, failure.Conflict},
		"a bad name":       {func(tx *store.Tx) error { _, err := r.groups.Create(t.Context(), tx, "a:b", "", false); return err }, failure.Invalid},
		"no name":          {func(tx *store.Tx) error { _, err := r.groups.Create(t.Context(), tx, "", "", false); return err }, failure.Invalid},
		"a member twice":   {func(tx *store.Tx) error { return r.groups.AddMember(t.Context(), tx, staff, bob) }, failure.Conflict},
		"nobody's absence": {func(tx *store.Tx) error { return r.groups.RemoveMember(t.Context(), tx, admins, bob) }, failure.NotFound},
		"with members":     {func(tx *store.Tx) error { return r.groups.Remove(t.Context(), tx, staff) }, failure.Conflict},
		"one that is gone": {func(tx *store.Tx) error { return r.groups.Remove(t.Context(), tx, Group{ID: 99, Name: "x"}) }, failure.NotFound},
	}
	for name, c := range refused {
		if err := r.try(t, c.fn); failure.ClassOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	r.change(t, func(tx *store.Tx) error {
		return errors.Join(r.groups.RemoveMember(t.Context(), tx, staff, ada), r.groups.RemoveMember(t.Context(), tx, staff, bob), r.groups.Remove(t.Context(), tx, staff))
	})
	if a, err := r.people.Find(t.Context(), r.db, "bob"); err != nil || len(a.Groups) != 0 {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := r.groups.Find(t.Context(), r.db, "staff"); failure.ClassOf(err) != failure.NotFound {
		t.Error(err)
	}
	if _, err := r.groups.Find(t.Context(), r.db, "a b"); failure.ClassOf(err) != failure.Invalid {
		t.Error(err)
	}
}

// The help desk counts only where its group is privileged: one that had the name
// before there was such a thing gets no power by it.
func TestHelps(t *testing.T) {
	for _, c := range []struct {
		a    Account
		want bool
	}{{Account{Groups: []string{Helpdesk}, Privileged: true}, true}, {Account{Groups: []string{Helpdesk}}, false}, {Account{Groups: []string{"staff"}, Privileged: true}, false}} {
		if c.a.Helps() != c.want {
			t.Errorf("%+v", c.a)
		}
	}
}

// Each column of an account is changed by plain SQL; whoever reads the row refuses it, and
// whoever goes through all of them is told and goes on.
func TestAccountsChangedBehindOurBack(t *testing.T) {
	storetest.Long(t, "tries every alteration, each in a database of its own")
	for _, query := range []string{
		`update account set state = 'active' where name = 'bob'`, `update account set name = 'root' where name = 'bob'`, `update account set kind = 'service' where name = 'bob'`,
		`update account set display = 'Ada' where name = 'bob'`, `update account set version = version + 1 where name = 'bob'`,
		`update account set roster = (select roster from account where name = 'ada') where name = 'bob'`, `update account set roster = null where name = 'bob'`,
		`update account set roster = (select roster from account where name = 'ada'), roster_mac = (select roster_mac from account where name = 'ada') where name = 'bob'`,
		`update account set handle = cast(substr(handle, 2) || x'00' as blob) where name = 'bob'`, `update account set created = created + 1 where name = 'bob'`,
		`update account set used = used + 1 where name = 'bob'`, `update account set risk = 1 where name = 'bob'`, `update account set risk = risk - 1 where name = 'bob' and risk > 0`, `update account set mac = (select mac from account where name = 'ada') where name = 'bob'`,
	} {
		t.Run(query, func(t *testing.T) {
			r := setUp(t)
			ada, bob := r.account(t, NewAccount{Name: "ada"}), r.account(t, NewAccount{Name: "bob"})
			bob.State = Suspended
			if strings.Contains(query, "risk > 0") {
				bob.Risk = bob.Created.Add(time.Hour)
			}
			r.change(t, func(tx *store.Tx) error { return r.people.Update(t.Context(), tx, bob) })
			r.group(t, Administrators, true, ada)
			if _, err := r.people.Get(t.Context(), r.db, bob.ID); err != nil {
				t.Fatal(err)
			}
			r.sabotage(t, query)
			if a, err := r.people.Get(t.Context(), r.db, bob.ID); !errors.Is(err, ErrTampered) || failure.ClassOf(err) != failure.Internal {
				t.Errorf("believed: %+v, %v", a, err)
			}
			if all, err := r.people.ListOf(t.Context(), r.db, Which{}, "", 10); err != nil || len(all) != 2 || all[0].State != Active || all[1].State != Tampered {
				t.Errorf("listed: %+v, %v", all, err)
			}
			var tampered []assurance.AccountID
			err := r.survey.Each(t.Context(), r.db, func(s Surveyed) error {
				if s.Tampered {
					tampered = append(tampered, s.Account.ID)
				}
				return nil
			})
			if err != nil || len(tampered) != 1 || tampered[0] != bob.ID {
				t.Errorf("the survey found %v, %v", tampered, err)
			}
			if got := r.alarmed(t, "account", store.Altered); got.Account != int64(bob.ID) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestLists(t *testing.T) {
	r := setUp(t)
	ada := r.account(t, NewAccount{Name: "ada", Display: "Countess 100%"})
	bob, carl := r.account(t, NewAccount{Name: "bob_1"}), r.account(t, NewAccount{Name: "bobx1", Kind: Service})
	now := ada.Created.Add(time.Hour)
	bob.State, carl.Risk, ada.Used = Suspended, now, now.Add(time.Hour)
	r.change(t, func(tx *store.Tx) error {
		return errors.Join(r.people.Update(t.Context(), tx, ada), r.people.Update(t.Context(), tx, bob), r.people.Update(t.Context(), tx, carl))
	})
	r.credential(t, Credential{Account: ada.ID, Kind: "password", Traits: assurance.Known})
	totp := r.credential(t, Credential{Account: ada.ID, Kind: "totp", Traits: assurance.Held})
	for _, c := range []struct {
		which Which
		after string
		limit int
		want  string
	}{
		{Which{}, "", 10, "ada bob_1 bobx1"}, {Which{}, "", 2, "ada bob_1"}, {Which{}, "ada", 10, "bob_1 bobx1"}, {Which{Query: "bob_"}, "", 10, "bob_1"}, {Which{Query: "COUNTESS"}, "", 10, "ada"},
		{Which{Query: "100%"}, "", 10, "ada"}, {Which{Query: "%"}, "", 10, "ada"}, {Which{Query: "!"}, "", 10, ""}, {Which{State: Suspended}, "", 10, "bob_1"}, {Which{State: AtRisk}, "", 10, "bobx1"},
		{Which{State: Dormant, Woken: now.Add(time.Minute)}, "", 10, "bob_1 bobx1"}, {Which{State: Dormant, Woken: now.Add(2 * time.Hour)}, "", 10, "ada bob_1 bobx1"}, {Which{State: Dormant, Woken: bob.Created}, "", 10, ""},
		{Which{State: WithoutTwoFactors}, "", 10, "bob_1"},
	} {
		got, err := r.people.ListOf(t.Context(), r.db, c.which, c.after, c.limit)
		var names []string
		for _, a := range got {
			names = append(names, a.Name)
		}
		if strings.Join(names, " ") != c.want || err != nil {
			t.Errorf("%+v after %q: %v, want %s, %v", c.which, c.after, names, c.want, err)
		}
		if n, err := counted(t, r, c.which); err != nil || c.which.Query == "" && c.after == "" && c.limit == 10 && int(n) != len(got) {
			t.Errorf("%+v: %d counted, %d listed, %v", c.which, n, len(got), err)
		}
	}
	setEnds(t, r, bob, now)
	for _, c := range []struct {
		which Which
		want  int64
	}{
		{Which{State: Ended, Now: now}, 1}, {Which{State: Ended, Now: now.Add(-time.Microsecond)}, 0},
		{Which{State: WithoutTwoFactors, Now: now}, 0}, {Which{State: WithoutTwoFactors, Now: now.Add(-time.Microsecond)}, 1},
		{Which{State: Dormant, Woken: now.Add(time.Minute), Now: now}, 1}, {Which{State: Dormant, Woken: now.Add(time.Minute), Now: now.Add(-time.Microsecond)}, 2},
		{Which{State: Suspended, Now: now}, 1}, {Which{Now: now}, 3},
	} {
		if n, err := counted(t, r, c.which); err != nil || n != c.want {
			t.Errorf("%+v: %d, not %d, %v", c.which, n, c.want, err)
		}
	}
	setEnds(t, r, bob, time.Time{})
	if _, err := r.people.ListOf(t.Context(), r.db, Which{State: "odd"}, "", 1); failure.ClassOf(err) != failure.Invalid {
		t.Error(err)
	}
	if _, err := counted(t, r, Which{State: "odd"}); failure.ClassOf(err) != failure.Invalid {
		t.Error(err)
	}
	totp.Status = CredentialRevoked
	r.change(t, func(tx *store.Tx) error { return r.credentials.Update(t.Context(), tx, totp) })
	if n, err := counted(t, r, Which{State: WithoutTwoFactors}); err != nil || n != 2 {
		t.Errorf("%d without two factors, %v", n, err)
	}
}

// counted is how many accounts there are of the state of a Which.
func counted(t *testing.T, r *rig, w Which) (int64, error) {
	t.Helper()
	n, err := r.people.CountEach(t.Context(), r.db, w, w.State)
	return n[0], err
}

func setEnds(t *testing.T, r *rig, a Account, at time.Time) {
	t.Helper()
	r.change(t, func(tx *store.Tx) error {
		now, err := r.people.Get(t.Context(), tx, a.ID)
		if err != nil {
			return err
		}
		now.Ends = at
		return r.people.Update(t.Context(), tx, now)
	})
}

// When an account ends is under its MAC, whether it has an end or none; it has ended from
// that moment on.
func TestEnds(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		r := setUpOn(t, dsn)
		at := time.Date(2026, 12, 31, 18, 0, 0, 0, time.UTC)
		temp, perm := r.account(t, NewAccount{Name: "temp", Ends: at}), r.account(t, NewAccount{Name: "perm"})
		if temp.Ended(at.Add(-time.Microsecond)) || !temp.Ended(at) || perm.Ended(at) || perm.Out(at) != nil || failure.ReasonOf(temp.Out(at)) != "ended" {
			t.Errorf("%+v, %+v", temp, perm)
		}
		for _, a := range []Account{temp, perm} {
			if got, err := r.people.Find(t.Context(), r.db, a.Name); err != nil || !got.Ends.Equal(a.Ends) {
				t.Errorf("%+v, %v", got, err)
			}
		}
		r.change(t, func(tx *store.Tx) error { return r.people.Used(t.Context(), tx, temp, at.Add(-time.Hour)) })
		if got, err := r.people.Get(t.Context(), r.db, temp.ID); err != nil || !got.Ends.Equal(at) {
			t.Errorf("%+v, %v", got, err)
		}
		for _, to := range []string{"0", "ends + 1", "ends - 1"} {
			r.sabotage(t, `update account set ends = `+to+` where name = 'temp'`)
			if got, err := r.people.Find(t.Context(), r.db, "temp"); !errors.Is(err, ErrTampered) {
				t.Errorf("%s is believed: %+v, %v", to, got, err)
			}
			r.sabotage(t, `update account set ends = $1 where name = 'temp'`, store.Unix(at))
		}
		r.sabotage(t, `update account set ends = $1 where name = 'perm'`, store.Unix(at))
		if got, err := r.people.Find(t.Context(), r.db, "perm"); !errors.Is(err, ErrTampered) {
			t.Errorf("an end that somebody else wrote is believed: %+v, %v", got, err)
		}
		r.sabotage(t, `update account set ends = 0 where name = 'perm'`)
		setEnds(t, r, temp, time.Time{})
		setEnds(t, r, perm, at)
		if got, err := r.people.Get(t.Context(), r.db, perm.ID); err != nil || !got.Ends.Equal(at) {
			t.Errorf("%+v, %v", got, err)
		}
		if got, err := r.people.Get(t.Context(), r.db, temp.ID); err != nil || !got.Ends.IsZero() {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestRemove(t *testing.T) {
	r := setUp(t)
	ada, bob := r.account(t, NewAccount{Name: "ada", Mail: "ada@example.org"}), r.account(t, NewAccount{Name: "bob", Mail: "bob@example.org"})
	r.group(t, "staff", false, ada, bob)
	c := r.credential(t, Credential{Account: ada.ID, Kind: "passkey", Handle: "k", Traits: assurance.Held})
	kept := r.credential(t, Credential{Account: bob.ID, Kind: "passkey", Handle: "l", Traits: assurance.Held})
	r.change(t, func(tx *store.Tx) error { return r.people.Remove(t.Context(), tx, ada, bob.ID) })
	for _, typed := range []string{"ada", "ada@example.org"} {
		if _, err := r.people.Find(t.Context(), r.db, typed); failure.ClassOf(err) != failure.NotFound {
			t.Errorf("%s: %v", typed, err)
		}
	}
	if _, err := r.credentials.ByHandle(t.Context(), r.db, "passkey", "k"); failure.ClassOf(err) != failure.NotFound {
		t.Error(err)
	}
	if a, err := r.people.Find(t.Context(), r.db, "bob@example.org"); err != nil || len(a.Groups) != 1 {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := r.credentials.Get(t.Context(), r.db, bob.ID, kept.ID); err != nil {
		t.Error(err)
	}
	// The name says who took it away, until somebody has it again; an address of that
	// spelling does not take it over.
	r.account(t, NewAccount{Name: "carol", Mail: "ada@example.org"})
	for typed, want := range map[string]bool{"Ada": true, "bob": false, "ada@example.org": false, "nobody": false, "\x00": false} {
		if by, was, err := r.people.TakenAway(t.Context(), r.db, typed); err != nil || was != want || was && by != bob.ID {
			t.Errorf("%q was taken away: %t, by %d, %v", typed, was, by, err)
		}
	}
	again := r.account(t, NewAccount{Name: "ada"})
	if _, was, err := r.people.TakenAway(t.Context(), r.db, "ada"); was || err != nil {
		t.Errorf("somebody has it again: %t, %v", was, err)
	}
	if err := r.try(t, func(tx *store.Tx) error {
		_, err := r.people.Create(t.Context(), tx, NewAccount{Name: "ada"})
		return err
	}); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("a name is given twice: %v", err)
	}
	odd := r.account(t, NewAccount{Name: "odd@example.org"})
	r.change(t, func(tx *store.Tx) error { return r.people.Remove(t.Context(), tx, odd, bob.ID) })
	r.account(t, NewAccount{Name: "dora", Mail: "odd@example.org"})
	if by, was, err := r.people.TakenAway(t.Context(), r.db, "odd@example.org"); !was || by != bob.ID || err != nil {
		t.Errorf("an address washes a name: %t, %v", was, err)
	}
	if again.ID == ada.ID || r.credential(t, Credential{Account: again.ID, Kind: "x"}).ID <= c.ID {
		t.Error("a number was given twice")
	}
}

// A survey meets every account with what hangs from it, page by page.
func TestSurvey(t *testing.T) {
	r := setUp(t)
	var want []string
	r.change(t, func(tx *store.Tx) error {
		for i := range surveyPage + 3 {
			a, err := r.people.Create(t.Context(), tx, NewAccount{Name: fmt.Sprintf("p%04d", i)})
			if err != nil {
				return err
			}
			want = append(want, a.Name)
			if i%100 == 0 {
				if _, err := r.credentials.Add(t.Context(), tx, Credential{Account: a.ID, Kind: "totp", Traits: assurance.Held}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	var got []string
	credentials := 0
	err := r.survey.Each(t.Context(), r.db, func(s Surveyed) error {
		got = append(got, s.Account.Name)
		for _, c := range s.Credentials {
			if c.Account != s.Account.ID || s.Tampered {
				t.Errorf("%+v", s)
			}
			credentials++
		}
		return nil
	})
	if err != nil || strings.Join(got, " ") != strings.Join(want, " ") || credentials != 6 {
		t.Errorf("%d accounts, %d credentials, %v", len(got), credentials, err)
	}
	enough := errors.New("enough")
	if err := r.survey.Each(t.Context(), r.db, func(Surveyed) error { return enough }); !errors.Is(err, enough) {
		t.Error(err)
	}
}
