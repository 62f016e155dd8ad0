package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// finds waits until the log has these alarms, each a finding as the sweep reports it, and
// fails where it has others.
func (r *rig) finds(t *testing.T, want ...store.Finding) {
	t.Helper()
	storetest.Finds(t, r.db, want...)
}

func number[N ~int64](n N) string { return strconv.FormatInt(int64(n), 10) }

// A round of the sweep finds by itself what nobody asks for: in every table, behind a row
// that is as it was left, and whatever else is wrong. It finds nothing else.
func TestARoundFindsWhatNobodyAsksFor(t *testing.T) {
	r := setUp(t)
	people := map[string]Account{}
	for _, name := range []string{"ada", "bob", "carol", "dora", "emil"} {
		people[name] = r.account(t, NewAccount{Name: name, Display: "D " + name, Mail: name + "@example.org", Aliases: []string{name + "-also"}})
	}
	ada, bob, carol, dora := people["ada"], people["bob"], people["carol"], people["dora"]
	staff := r.group(t, "staff", false, ada, bob, people["emil"])
	for _, a := range []Account{ada, bob} {
		r.passkey(t, a, a.Name+"1")
	}
	altered, gone := r.passkey(t, ada, "ada2"), r.passkey(t, bob, "bob2")
	returned := r.passkey(t, bob, "bob3")
	for _, name := range []string{"xenia", "yves"} {
		a := r.account(t, NewAccount{Name: name})
		r.change(t, func(tx *store.Tx) error { return r.people.Remove(t.Context(), tx, a, ada.ID) })
	}
	for range 2 {
		if err := r.inspection.Inspect(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	r.finds(t)

	i := r.intruder(t)
	var want []store.Finding
	for _, one := range []struct {
		do string
		store.Finding
	}{
		{fmt.Sprintf(`update credential set label = 'x' where id = %d`, altered.ID), store.Finding{Table: "credential", Row: number(altered.ID), Wrong: store.Altered, Account: int64(ada.ID)}},
		{fmt.Sprintf(`delete from credential where id = %d`, gone.ID), store.Finding{Table: "credential", Row: number(gone.ID), Wrong: store.Missing, Account: int64(bob.ID)}},
		{`insert into credential (account, kind, traits, state, created, mac) values (-5,'totp','held',x'00',1,x'00')`,
			store.Finding{Table: "credential", Row: number(returned.ID + 1), Wrong: store.Returned, Account: -5}},
		{fmt.Sprintf(`delete from account where id in (%d, %d)`, carol.ID, dora.ID), store.Finding{Table: "account", Row: number(carol.ID), Wrong: store.Missing, Account: int64(carol.ID)}},
		{`delete from address where address = 'carol@example.org' or address = 'dora@example.org'`, store.Finding{Table: "account", Row: number(dora.ID), Wrong: store.Missing, Account: int64(dora.ID)}},
		{fmt.Sprintf(`delete from account_alias where account in (%d, %d)`, carol.ID, dora.ID), store.Finding{}},
		{`update account_alias set mac = x'00' where alias = 'ada-also'`, store.Finding{Table: "account_alias", Row: "ada-also", Wrong: store.Altered, Account: int64(ada.ID)}},
		{`delete from account_alias where alias = 'bob-also'`, store.Finding{Table: "account_alias", Row: "of account " + number(bob.ID), Wrong: store.Missing, Account: int64(bob.ID)}},
		{`update account_alias set account = account - 1 where alias = 'yves'`, store.Finding{Table: "account_alias", Row: "yves", Wrong: store.Altered}},
		{`update account set display = 'x' where name = 'emil'`, store.Finding{Table: "account", Row: number(people["emil"].ID), Wrong: store.Altered, Account: int64(people["emil"].ID)}},
		{`update team set display = 'x'`, store.Finding{Table: "team", Row: number(staff.ID), Wrong: store.Altered}},
	} {
		if i.run(one.do); one.Finding != (store.Finding{}) {
			want = append(want, one.Finding)
		}
	}
	for range 2 {
		if err := r.inspection.Inspect(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.finds(t, want...)
	}
}

// A round goes on over what it reports, and over what was removed while it read; what it
// stops at is an error of the database.
func TestWhatStopsARound(t *testing.T) {
	broken := errors.New("the database is broken")
	for _, err := range []error{nil, unknown, ErrTampered, fmt.Errorf("%w: account 7", ErrTampered)} {
		if got := ours(err); got != nil {
			t.Errorf("%v stops it with %v", err, got)
		}
	}
	for _, err := range []error{broken, context.Canceled, store.ErrNotFound, store.ErrUnavailable} {
		if got := ours(err); !errors.Is(got, err) {
			t.Errorf("%v: %v", err, got)
		}
	}
}

// What was read just before it was changed is no alarm, and is not refused; once it is
// removed it is not there; and whatever was put back is older, however lately it was
// changed.
func TestChangedSinceItWasRead(t *testing.T) {
	r := setUp(t)
	ada, bob := r.account(t, NewAccount{Name: "ada"}), r.account(t, NewAccount{Name: "bob"})
	read := func(a Account) *accountRow {
		t.Helper()
		row := &accountRow{}
		if err := r.db.QueryRow(t.Context(), `select `+accountColumns+` from account a where a.id = $1`, int64(a.ID)).Scan(row.columns()...); err != nil {
			t.Fatal(err)
		}
		return row
	}
	i := r.intruder(t)
	i.keep("account", "name = 'bob'")
	adas, bobs := read(ada), read(bob)
	r.change(t, func(tx *store.Tx) error { return r.people.AddMail(t.Context(), tx, ada.ID, "ada@example.org") })
	r.change(t, func(tx *store.Tx) error { return r.people.Remove(t.Context(), tx, bob, ada.ID) })
	if a, err := r.people.believe(t.Context(), adas); err != nil || a.Name != "ada" {
		t.Errorf("changed since it was read: %+v, %v", a, err)
	}
	if a, err := r.people.believe(t.Context(), bobs); err != unknown {
		t.Errorf("removed since it was read: %+v, %v", a, err)
	}
	r.finds(t)
	i.run(`insert into account select * from kept_account`)
	if a, err := r.people.believe(t.Context(), read(bob)); !errors.Is(err, ErrTampered) {
		t.Errorf("put back: %+v, %v", a, err)
	}
	r.finds(t, store.Finding{Table: "account", Row: number(bob.ID), Wrong: store.Older, Account: int64(bob.ID)})
}

// Who saves an account that was changed since it was read is told so, and saves nothing.
func TestSavedTooLate(t *testing.T) {
	r := setUp(t)
	ada := r.account(t, NewAccount{Name: "ada"})
	a, err := r.people.Get(t.Context(), r.db, ada.ID)
	if err != nil {
		t.Fatal(err)
	}
	r.change(t, func(tx *store.Tx) error { return r.people.AddMail(t.Context(), tx, ada.ID, "ada@example.org") })
	a.Display = "late"
	if err := r.try(t, func(tx *store.Tx) error { return r.people.save(t.Context(), tx, &a) }); err == nil || !strings.Contains(err.Error(), "changed meanwhile") {
		t.Errorf("saved too late: %v", err)
	}
	if a, err := r.people.Get(t.Context(), r.db, ada.ID); err != nil || a.Display == "late" || a.Mail != "ada@example.org" {
		t.Errorf("%+v, %v", a, err)
	}
}

// The groups of a release before are bound: those that bore their MAC are believed, and one
// that did not is privileged for whoever is in it.
func TestBoundGroups(t *testing.T) {
	b := before{setUp(t), t}
	b.intruder(t)
	b.team(1, "staff", false)
	b.team(2, "guests", false)
	b.team(3, "forged", false)
	b.team(4, "auditors", true)
	b.account(1, "ada", 0)
	b.account(2, "bob", 0)
	b.member(1, 1)
	b.member(2, 1)
	b.member(3, 2)
	b.sabotage(t, `update team set created = 1 where name = 'forged'`)
	if err := b.binding.Bind(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, privileged := range map[string]bool{"staff": false, "guests": false, "auditors": true} {
		if g, err := b.groups.Find(t.Context(), b.db, name); err != nil || g.Privileged != privileged || g.version != 1 {
			t.Errorf("%s: %+v, %v", name, g, err)
		}
	}
	if g, err := b.groups.Find(t.Context(), b.db, "forged"); !errors.Is(err, ErrTampered) {
		t.Errorf("forged: %+v, %v", g, err)
	}
	for name, want := range map[string]Account{"ada": {Groups: []string{"guests", "staff"}}, "bob": {Groups: []string{"forged"}, Privileged: true}} {
		if a, err := b.people.Find(t.Context(), b.db, name); err != nil || !slices.Equal(a.Groups, want.Groups) || a.Privileged != want.Privileged {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

// That every row was bound is said once for good: by the milestone, and by the log where
// somebody removed that; by nothing else, and not before it is so.
func TestBoundOnce(t *testing.T) {
	r := setUp(t)
	is := func(want bool) {
		t.Helper()
		if done, err := r.binding.Bound(t.Context()); err != nil || done != want {
			t.Errorf("bound: %t, %v", done, err)
		}
	}
	is(false)
	r.change(t, func(tx *store.Tx) error { return tx.RecordBound("team", 3) })
	is(false) // it was broken off
	r.finds(t)
	for range 2 {
		if err := r.binding.NoteBound(t.Context()); err != nil {
			t.Fatal(err)
		}
		is(true)
	}
	r.sabotage(t, `delete from milestone`)
	is(true)
	r.finds(t, store.Finding{Table: "milestone", Row: bound, Wrong: store.Missing})
	r.intruder(t).run(`drop table milestone`)
	if done, err := r.binding.Bound(t.Context()); err == nil {
		t.Errorf("nobody can tell: %t", done)
	}
	if err := r.binding.NoteBound(t.Context()); err == nil {
		t.Error("it was written down, and there is no table")
	}
}
