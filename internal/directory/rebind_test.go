package directory

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/keyring"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// before writes rows as a release of before did.
type before struct {
	*rig
	t *testing.T
}

var long = store.Unix(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))

func (b before) account(id int64, name string, risk int64, names ...string) {
	b.t.Helper()
	f := keyring.NewFields().Int(id).String(name).String(Person).String(Active).Bytes([]byte(name)).Int(long).Int(long + 5)
	if risk != 0 {
		f.Int(risk)
	}
	b.sabotage(b.t, `insert into account (id, name, display, handle, created, used, risk, mac) values ($1,$2,$3,$4,$5,$6,$7,$8)`,
		id, name, "D "+name, []byte(name), long, long+5, risk, b.keys.MAC(keyring.Account, f))
	for _, n := range append(names, name) {
		b.sabotage(b.t, `insert into account_alias (alias, account) values ($1,$2)`, n, id)
	}
	b.sabotage(b.t, `insert into address (account, kind, address, verified) values ($1,'mail',$2,$3)`, id, name+"@example.org", long)
}

func (b before) team(id int64, name string, privileged bool) {
	b.t.Helper()
	f := keyring.NewFields().Int(id).String(name).Int(store.Bit(privileged)).Int(long)
	b.sabotage(b.t, `insert into team (id, name, display, privileged, created, mac) values ($1,$2,$2,$3,$4,$5)`, id, name, store.Bit(privileged), long, b.keys.MAC(keyring.Team, f))
}

func (b before) member(team, account int64) {
	b.t.Helper()
	b.sabotage(b.t, `insert into membership (team, account, created, mac) values ($1,$2,$3,$4)`, team, account, long, b.keys.MAC(keyring.Membership, membership(team, assurance.AccountID(account), long)))
}

func (b before) credential(id, account int64, status string, e End, assigned int64) {
	b.t.Helper()
	c := Credential{ID: assurance.CredentialID(id), Account: assurance.AccountID(account)}
	sealed := b.keys.Seal(keyring.Credential, c.aad(), []byte("state"))
	handle := fmt.Sprint("h", id)
	f := keyring.NewFields().Int(id).Int(account).String("totp").String(handle).String("held").String(status).Int(0).Int(7).Int(long).Bytes(sealed)
	if e != (End{}) || assigned != 0 {
		f.Int(store.Unix(e.At)).String(e.by()).Int(assigned)
	}
	b.sabotage(b.t, `insert into credential (id, account, kind, label, handle, traits, state, status, version, created, used, ended, ender, assigned, mac)
		values ($1,$2,'totp','mine',$3,'held',$4,$5,7,$6,$6,$7,$8,$9,$10)`, id, account, handle, sealed, status, long, store.Unix(e.At), e.by(), assigned, b.keys.MAC(keyring.Credential, f))
}

func (b before) told() []string {
	b.t.Helper()
	var out []string
	for _, name := range []string{"ada", "countess", "bob", "mallory"} {
		a, err := b.people.Find(b.t.Context(), b.db, name)
		if err != nil {
			out = append(out, name+" is nobody")
			continue
		}
		mails, err := b.people.Mails(b.t.Context(), b.db, a.ID)
		if err != nil {
			b.t.Fatal(err)
		}
		all, err := b.credentials.All(b.t.Context(), b.db, a.ID)
		if err != nil {
			b.t.Fatal(err)
		}
		said := fmt.Sprint(name, " is ", a.ID, a.Display, a.Groups, a.Privileged, a.Risk.IsZero(), a.Used.After(a.Created), mails)
		for _, c := range all {
			said += fmt.Sprintf("; %d %s %s %s %d %d %v", c.ID, c.Status, c.Label, c.State, c.Version, c.Assigned, c.GivenUp())
		}
		out = append(out, said)
	}
	return out
}

// What a release of before has left is bound once: everything is as it was, and whoever
// writes a row from then on as that release did is not believed. What did not bear its MAC
// then is not believed now.
func TestBind(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		b := before{setUpOn(t, dsn), t}
		if err := b.binding.Bind(t.Context()); err != nil {
			t.Fatal(err)
		}
		if said, err := b.db.AuditLog().Entries(t.Context(), store.Filter{Event: store.BoundEvent, Limit: 10}); err != nil || len(said) != 0 {
			t.Errorf("nothing was bound, and the log says %+v, %v", said, err)
		}
		b.intruder(t) // who may set numbers
		b.team(1, Administrators, true)
		b.team(2, "staff", false)
		b.team(3, "forged", false)
		b.account(1, "ada", 0, "countess")
		b.account(2, "bob", long+9)
		b.account(3, "mallory", 0)
		b.member(1, 1)
		b.member(2, 1)
		b.member(2, 2)
		b.member(3, 2)
		b.member(1, 2)
		b.credential(1, 1, CredentialActive, End{}, 0)
		b.credential(2, 1, CredentialRevoked, End{At: time.UnixMicro(long), Cause: ByOwner}, 0)
		b.credential(3, 2, CredentialActive, End{}, 1)
		b.credential(4, 2, CredentialActive, End{}, 0)
		for _, n := range []string{"dave", "erin"} {
			b.sabotage(t, `insert into account_alias (alias, account) values ($1,-1)`, n)
		}
		b.sabotage(t, `update account set state = 'odd' where name = 'mallory'`)
		b.sabotage(t, `update membership set created = 1 where team = 1 and account = 2`)
		b.sabotage(t, `update credential set status = 'revoked', created = 1 where id = 4`)
		b.sabotage(t, `update team set name = 'x' where id = 3`)
		b.sabotage(t, `insert into milestone (name, account, at, mac) values ('administered',1,$1,$2)`, long, b.keys.MAC(keyring.Milestone, milestoneFields(administered, 1, long)))
		for range 2 {
			if err := b.binding.Bind(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		want := []string{
			"ada is 1D ada[administrators staff] true true true [ada@example.org]; 1 active mine state 7 0 false; 2 revoked mine state 7 0 true",
			"countess is 1D ada[administrators staff] true true true [ada@example.org]; 1 active mine state 7 0 false; 2 revoked mine state 7 0 true",
			"bob is 2D bob[staff x] true false true [bob@example.org]; 3 active mine state 7 1 false; 4 revoked   0 0 false",
			"mallory is nobody",
		}
		for range 2 {
			for i, got := range b.told() {
				if got != want[i] {
					t.Errorf("%s\nwant %s", got, want[i])
				}
			}
			if err := b.inspection.Inspect(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.restart(t)
		}
		if err := b.inspection.Inspect(t.Context()); err != nil { // what was found before may not have been said when it stopped
			t.Fatal(err)
		}
		for table, wrong := range map[string]string{"account": store.Altered, "membership": store.Altered, "credential": store.Altered, "team": store.Altered} {
			b.alarmed(t, table, wrong)
		}
		if got := b.count(t, `select count(*) from account_alias where mac is null and account <> 3`); got != 0 {
			t.Errorf("%d names are not bound", got)
		}
		b.sabotage(t, `delete from account_alias where alias = 'dave'`)
		if by, was, err := b.people.TakenAway(t.Context(), b.db, "dave"); err != nil || !was || by != Somebody {
			t.Errorf("a name that was taken away before: %d, %t, %v", by, was, err)
		}
		if by, was, err := b.people.TakenAway(t.Context(), b.db, "erin"); err != nil || !was || by != 1 {
			t.Errorf("another: %d, %t, %v", by, was, err)
		}
		b.sabotage(t, `delete from milestone`)
		if !b.administered(t) {
			t.Error("it was administered, before")
		}
		b.account(4, "carol", 0)
		if a, err := b.people.Find(t.Context(), b.db, "carol"); !errors.Is(err, ErrTampered) {
			t.Errorf("an account as a release of before wrote it: %+v, %v", a, err)
		}
	})
}

func (r *rig) count(t *testing.T, query string) (n int) {
	t.Helper()
	if err := r.db.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// More than a page of accounts is bound.
func TestBindPages(t *testing.T) {
	r := setUp(t)
	b := before{r, t}
	const n = 2*bindPage + 3
	r.change(t, func(tx *store.Tx) error {
		for id := int64(1); id <= n; id++ {
			name := fmt.Sprint("p", id)
			f := keyring.NewFields().Int(id).String(name).String(Person).String(Active).Bytes([]byte(name)).Int(long).Int(0)
			if _, err := tx.Exec(t.Context(), `insert into account (id, name, handle, created, mac) values ($1,$2,$3,$4,$5)`, id, name, []byte(name), long, r.keys.MAC(keyring.Account, f)); err != nil {
				return err
			}
			if _, err := tx.Exec(t.Context(), `insert into account_alias (alias, account) values ($1,$2)`, name, id); err != nil {
				return err
			}
			if _, err := tx.Exec(t.Context(), `insert into account_alias (alias, account) values ($1,-1)`, "gone-"+name); err != nil {
				return err
			}
		}
		return nil
	})
	if err := b.binding.Bind(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.count(t, `select count(*) from account where version = 1`); got != n {
		t.Errorf("%d of %d accounts are bound", got, n)
	}
	if got := r.count(t, `select count(*) from account_alias where mac is null`); got != 0 {
		t.Errorf("%d names are not", got)
	}
	for _, id := range []int64{1, bindPage, bindPage + 1, n} {
		if _, err := r.people.Find(t.Context(), r.db, fmt.Sprint("p", id)); err != nil {
			t.Errorf("account %d: %v", id, err)
		}
	}
	if err := r.inspection.Inspect(t.Context()); err != nil {
		t.Fatal(err)
	}
	storetest.Quiet(t, r.db)
}
