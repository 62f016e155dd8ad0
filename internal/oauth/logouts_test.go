package oauth

import (
	"fmt"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// listens is a sign-in of ada's at a client that is told of sign-outs.
func (r *rig) listens(t *testing.T) *Given {
	t.Helper()
	session.NewEndings(r.Sessions).Tells(NewConnections(r.Grants).SessionEndedTx)
	g, _ := r.issues(t, "ada", r.begins(t, "ada", Spec{Subject: "n4m3", Listens: true}))
	return g
}

func (r *rig) signsOut(t *testing.T) {
	t.Helper()
	must(t, session.NewEndings(r.Sessions).SignOut(t.Context(), r.secrets["ada"]))
}

// due is what is taken for the client now.
func (r *rig) due(t *testing.T) []*Logout {
	t.Helper()
	q := NewLogouts(r.Grants)
	due, err := q.Due(t.Context())
	must(t, err)
	var out []*Logout
	for _, client := range due {
		taken, _, err := q.Take(t.Context(), client, 10)
		must(t, err)
		out = append(out, taken...)
	}
	return out
}

func (r *rig) settles(t *testing.T, why string, all ...*Logout) {
	t.Helper()
	var out []Outcome
	for _, l := range all {
		out = append(out, Outcome{Logout: l, Why: why})
	}
	must(t, NewLogouts(r.Grants).Settle(t.Context(), out))
}

// A client waits to be told from the sign-in on: it is told once, when the session ends or its time
// is over, by one server, and not before.
func TestAClientIsToldOnce(t *testing.T) {
	for name, end := range map[string]func(r *rig){
		"signed out":        func(r *rig) { r.signsOut(t) },
		"its time was over": func(r *rig) { r.now = r.now.Add(25 * time.Hour) },
	} {
		r := setUp(t)
		g := r.listens(t)
		r.issues(t, "ada", r.begins(t, "ada", Spec{Subject: "n4m3", Listens: true})) // once more in this session
		r.issues(t, "bob", r.begins(t, "bob", Spec{}))                               // at a client that does not listen
		if got := r.due(t); len(got) != 0 {
			t.Fatalf("%s: %d are due before", name, len(got))
		}
		end(r)
		got := r.due(t)
		if len(got) != 1 || got[0].Session != g.Session || got[0].Subject() != "n4m3" || got[0].Client != signin.Self {
			t.Fatalf("%s: %+v", name, got)
		}
		if again := r.due(t); len(again) != 0 {
			t.Errorf("%s: another server has it as well", name)
		}
		r.settles(t, "", got...)
		r.now = r.now.Add(3 * time.Minute)
		if again := r.due(t); len(again) != 0 {
			t.Errorf("%s: it is told again", name)
		}
		storetest.Quiet(t, r.DB)
	}
}

// A client that cannot be told is tried seven times, further and further apart, and then the log
// says so. A server that dies while it tells loses nothing.
func TestAClientThatCannotBeTold(t *testing.T) {
	r := setUp(t)
	r.listens(t)
	r.signsOut(t)
	r.due(t) // a server took it and died
	r.now = r.now.Add(lease)
	tries, began := 1, r.now
	for ; tries < 20; tries++ {
		got := r.due(t)
		if len(got) == 0 {
			r.now = r.now.Add(time.Second)
			if r.now.Sub(began) > 7*time.Hour {
				break
			}
			tries--
			continue
		}
		r.settles(t, "It answered 500.", got...)
	}
	if tries != mostTries {
		t.Errorf("it was tried %d times", tries)
	}
	entries, err := r.DB.AuditLog().Entries(t.Context(), store.Filter{Event: "client.logout-undelivered"})
	if err != nil || len(entries) != 1 || entries[0].Detail["answer"] != "It answered 500." || entries[0].AccountName != "ada" || entries[0].Outcome != audit.Failed {
		t.Errorf("%+v, %v", entries, err)
	}
	var n int
	must(t, r.DB.QueryRow(t.Context(), `select count(*) from oauth_logout`).Scan(&n))
	if n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

// Who writes into the database has nobody signed out whose session stands, and keeps nobody signed
// in: what was put back is not told again, and what was moved or removed is told all the same.
func TestQueuesThatWereAltered(t *testing.T) {
	for name, c := range map[string]struct {
		before, after func(t *testing.T, r *rig, a *storetest.Attacker)
		told          int
		alarm         string
	}{
		"due at once while the session stands": {before: func(t *testing.T, r *rig, a *storetest.Attacker) {
			a.Do(`update oauth_logout set due = 0`)
			if got := r.due(t); len(got) != 0 {
				t.Error("ada is signed out of an application while her session stands")
			}
		}, told: 1, alarm: store.Altered},
		"removed while the session stands": {before: func(_ *testing.T, _ *rig, a *storetest.Attacker) { a.Do(`delete from oauth_logout`) }, told: 1, alarm: store.Missing},
		"moved into next year": {after: func(t *testing.T, r *rig, a *storetest.Attacker) {
			a.Do(`update oauth_logout set due = due + 31536000000000, expires = expires + 31536000000000`)
			must(t, NewLogouts(r.Grants).Inspect(t.Context()))
		}, told: 1, alarm: store.Altered},
		"for another client": {before: func(_ *testing.T, _ *rig, a *storetest.Attacker) { a.Do(`update oauth_logout set client = 'wiki'`) }, told: 1, alarm: store.Altered},
		"for another session": {before: func(_ *testing.T, _ *rig, a *storetest.Attacker) {
			a.Do(`update oauth_logout set session = 'AAAAAAAAAAAA'`)
		}, told: 1, alarm: store.Altered},
	} {
		t.Run(name, func(t *testing.T) {
			r := setUp(t)
			a := storetest.NewAttacker(t, r.dsn)
			g := r.listens(t)
			if c.before != nil {
				c.before(t, r, a)
			}
			r.signsOut(t)
			if c.after != nil {
				c.after(t, r, a)
			}
			n := 0
			for _, l := range r.due(t) {
				if l.Session != g.Session || l.Client != g.Client || l.Subject() != "n4m3" {
					t.Errorf("%+v", l)
				}
				n++
			}
			if n != c.told {
				t.Errorf("%d are told", n)
			}
			if all := storetest.Alarms(t, r.DB); len(all) == 0 {
				t.Errorf("no alarm of %s", c.alarm)
			}
		})
	}
	t.Run("put back after it was told", func(t *testing.T) {
		r := setUp(t)
		a := storetest.NewAttacker(t, r.dsn)
		g := r.listens(t)
		r.signsOut(t)
		row := a.Copy(logoutTable, "account = $1", int64(g.Account))
		r.settles(t, "", r.due(t)...)
		a.PutBack(row, "id")
		if got := r.due(t); len(got) != 0 {
			t.Error("it is told again")
		}
		storetest.OneAlarm(t, r.DB, logoutTable, store.Returned)
	})
}

// Ten thousand sessions that end at once are each noted in the change that ends them, and taken in
// pages: nobody waits for anybody who is told.
func TestTenThousandEndings(t *testing.T) {
	if testing.Short() {
		t.Skip("ten thousand sign-ins")
	}
	r := setUp(t)
	g := r.listens(t)
	const many = 10_000
	storetest.Change(t, r.DB, func(tx *store.Tx) error {
		for i := range many {
			one := *g
			one.Account = assurance.AccountID(1000 + i)
			one.Session = fmt.Sprintf("s%011d", i)
			if err := r.waiting.insert(t.Context(), tx, &one, r.now.Add(time.Hour), false); err != nil {
				return err
			}
		}
		return nil
	})
	began := time.Now()
	storetest.Change(t, r.DB, func(tx *store.Tx) error {
		for i := range many {
			if err := NewConnections(r.Grants).SessionEndedTx(t.Context(), tx, assurance.AccountID(1000+i), fmt.Sprintf("s%011d", i)); err != nil {
				return err
			}
		}
		return nil
	})
	ended := time.Since(began)
	began = time.Now()
	n := 0
	for {
		taken, more, err := NewLogouts(r.Grants).Take(t.Context(), g.Client, 64)
		must(t, err)
		r.settles(t, "", taken...)
		if n += len(taken); !more {
			break
		}
	}
	if n != many {
		t.Errorf("%d of %d were told", n, many)
	}
	t.Logf("%d endings noted in %v, and taken and settled in %v", many, ended.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
}
