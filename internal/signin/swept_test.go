package signin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"countersign/internal/approval"
	"countersign/internal/directory"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// abandonAttempt leaves a sign-in after the right password, and is later than its time.
func abandonAttempt(r *rig, a directory.Account) {
	r.t.Helper()
	if s := r.reply(r.begin(browses("wiki", a.Name)), "password", secret); s.State != Ask {
		r.t.Fatalf("%+v", s)
	}
	r.clock.Later(time.Second)
}

// abandonedRows are the alarms of sign-ins that were left, by name.
func abandonedRows(r *rig) map[string]int {
	r.t.Helper()
	out := map[string]int{}
	for _, en := range r.events("alarm.factor-missing") {
		if en.Reason == "abandoned" {
			out[en.AccountName]++
		}
	}
	return out
}

// withPeople is a rig of people who have a password and an app each, on a database that
// can be broken.
func withPeople(t *testing.T, names ...string) (*rig, *storetest.Faults, []directory.Account) {
	t.Helper()
	f := storetest.NewFaults(t, "")
	r := newRigOver(t, f.Driver, twoFactors)
	var out []directory.Account
	for _, name := range names {
		a := r.person(name)
		r.withPassword(a)
		r.withCodes(a)
		out = append(out, a)
	}
	return r, f, out
}

// A sign-in that is left after a right password is an alarm once its time is over, and
// not before; one in which nothing was right is none.
func TestWhatIsAbandoned(t *testing.T) {
	r, _, people := withPeople(t, "ada", "bob")
	abandonAttempt(r, people[0])
	r.reply(r.begin(browses("wiki", "bob")), "password", "wrong")
	r.clock.Later(r.Limits.Attempt - time.Second)
	if n, err := r.Sweep(t.Context()); n != 0 || err != nil || len(abandonedRows(r)) != 0 {
		t.Errorf("at its end: %d ended, %v, %v", n, err, abandonedRows(r))
	}
	r.clock.Later(time.Second)
	if n, err := r.Sweep(t.Context()); n != 1 || err != nil || abandonedRows(r)["ada"] != 1 || len(abandonedRows(r)) != 1 {
		t.Errorf("after it: %d ended, %v, %v", n, err, abandonedRows(r))
	}
	if en := r.last("alarm.factor-missing"); en.Detail["shown"] != "password" || en.Account != int64(people[0].ID) {
		t.Errorf("%+v", en)
	}
	if n, err := r.Sweep(t.Context()); n != 0 || err != nil || abandonedRows(r)["ada"] != 1 {
		t.Errorf("again: %d ended, %v, %v", n, err, abandonedRows(r))
	}
}

// One that is wrong keeps nobody else's from being swept, and is an alarm of its own,
// once: of an account that is gone, and of one whose row was changed.
func TestWhatIsWrongIsSweptOnce(t *testing.T) {
	for what, spoil := range map[string]func(r *rig, a directory.Account){
		"its account is gone": func(r *rig, a directory.Account) {
			r.change(func(tx *store.Tx) error {
				_, err := tx.Exec(r.t.Context(), `delete from account where id = $1`, int64(a.ID))
				return err
			})
		},
		"its account was changed": func(r *rig, a directory.Account) {
			r.change(func(tx *store.Tx) error {
				_, err := tx.Exec(r.t.Context(), `update account set handle = x'00' where id = $1`, int64(a.ID))
				return err
			})
		},
	} {
		r, _, people := withPeople(t, "ada", "bob")
		for _, a := range people {
			abandonAttempt(r, a)
		}
		spoil(r, people[0])
		r.clock.Later(r.Limits.Attempt)
		n, err := r.Sweep(t.Context())
		if n != 1 || err == nil || abandonedRows(r)["bob"] != 1 {
			t.Errorf("%s: %d ended, %v, %v", what, n, err, abandonedRows(r))
		}
		found := 0
		for _, en := range r.events("alarm.factor-missing") {
			if en.Account == int64(people[0].ID) && en.Detail["account"] == "it could not be read" && en.Detail["shown"] == "password" {
				found++
			}
		}
		if found != 1 || countAttempts(r) != 0 {
			t.Errorf("%s: %d alarms, %d rows are left", what, found, countAttempts(r))
		}
		if n, err := r.Sweep(t.Context()); n != 0 || err != nil {
			t.Errorf("%s, once more: %d ended, %v", what, n, err)
		}
	}
}

// A row that cannot be read is nothing: it goes without an alarm.
func TestAnAttemptThatCannotBeReadIsSwept(t *testing.T) {
	r, _, people := withPeople(t, "ada")
	abandonAttempt(r, people[0])
	r.change(func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), `update attempt set payload = x'00'`)
		return err
	})
	r.clock.Later(r.Limits.Attempt)
	if n, err := r.Sweep(t.Context()); n != 1 || err != nil || len(abandonedRows(r)) != 0 || countAttempts(r) != 0 {
		t.Errorf("%d ended, %v, alarms %v, %d rows", n, err, abandonedRows(r), countAttempts(r))
	}
}

// A database that is away is not asked for the next: nothing is taken for wrong, and all
// alarms are raised when it is back.
func TestSweepingADatabaseThatIsAway(t *testing.T) {
	r, f, people := withPeople(t, "ada", "bob")
	for _, a := range people {
		abandonAttempt(r, a)
	}
	r.clock.Later(r.Limits.Attempt)
	f.ArmAt("commit", 1, storetest.Before) // the first is that of the marks
	n, err := r.Sweep(t.Context())
	if !f.Disarm() || n != 0 || !errors.Is(err, store.ErrUnavailable) || len(abandonedRows(r)) != 0 || countAttempts(r) != 2 {
		t.Errorf("%d ended, %v, alarms %v, %d rows", n, err, abandonedRows(r), countAttempts(r))
	}
	gone, stop := context.WithCancel(t.Context())
	f.Around(func(query string) {
		if strings.HasPrefix(query, "delete from attempt where handle = $1") {
			stop()
		}
	})
	n, err = r.Sweep(gone)
	f.Around(nil)
	if n != 0 || err == nil || len(abandonedRows(r)) != 0 || countAttempts(r) != 2 {
		t.Errorf("who sweeps was stopped: %d ended, %v, alarms %v, %d rows", n, err, abandonedRows(r), countAttempts(r))
	}
	n, err = r.Sweep(t.Context())
	if n != 2 || err != nil || fmt.Sprint(abandonedRows(r)) != "map[ada:1 bob:1]" {
		t.Errorf("it is back: %d ended, %v, %v", n, err, abandonedRows(r))
	}
}

// Each kind of row goes when its time is over, and not before.
func TestWhatIsOverIsSwept(t *testing.T) {
	r := newRig(t, anyFactor)
	count := func(table string) (n int64) {
		t.Helper()
		if err := r.DB.QueryRow(t.Context(), `select count(*) from `+table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	now := r.Now()
	for _, c := range []struct {
		table, insert string
		ends          any // the last of its life
		over          any
	}{
		{"wake", `insert into wake (approval, account, state, created) values ($2, 7, 'sent', $1)`, store.Unix(now.Add(-25 * time.Hour)), store.Unix(now.Add(-25*time.Hour - time.Microsecond))},
		{"sent", `insert into sent (account, source, at) values ($2, 'x', $1)`, store.Unix(now.Add(-25 * time.Hour)), store.Unix(now.Add(-25*time.Hour - time.Microsecond))},
		{"prompted", `insert into prompted (account, day, what, n) values ($2, $1, 'asked', 1)`, now.Add(-approval.PromptsKept).Unix() / 86400, now.Add(-approval.PromptsKept).Unix()/86400 - 1},
		{"approval", `insert into approval (account, number, payload, created, expires) values ($2, $3, x'00', 1, $1)`, store.Unix(now.Add(-2 * time.Hour)), store.Unix(now.Add(-2*time.Hour - time.Microsecond))},
	} {
		r.change(func(tx *store.Tx) error {
			for i, at := range []any{c.ends, c.over} {
				args := []any{at, i + 1}
				if c.table == "approval" {
					args = append(args, []byte{byte(i)})
				}
				if _, err := tx.Exec(t.Context(), c.insert, args...); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if _, err := r.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"wake", "sent", "prompted", "approval"} {
		if n := count(table); n != 1 {
			t.Errorf("%d rows of %s are left", n, table)
		}
	}
}

// Budgets and places that are over go with what else is swept, and what is not over stays.
func TestBudgetsAreSweptAlong(t *testing.T) {
	r := newRig(t, anyFactor)
	notePlace(r, r.person("ada"), home, r.Now().Add(-31*24*time.Hour))
	notePlace(r, r.person("bob"), home, r.Now())
	r.change(func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), `insert into guess (subject, count, since) values ('source/192.0.2.7', 1, 1), ('credential/7', 20, 1)`)
		return err
	})
	if _, err := r.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	var budgets, places int64
	if err := r.DB.QueryRow(t.Context(), `select (select count(*) from guess), (select count(*) from known_source)`).Scan(&budgets, &places); err != nil || budgets != 1 || places != 1 {
		t.Errorf("%d budgets and %d places are left, %v", budgets, places, err)
	}
}
