package signin

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/servertest"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/virtualauth"
)

// The promise: an authenticator that was added to an account signs in, and for a
// day approves nothing privileged, whoever added it.
func TestQuarantine(t *testing.T) {
	w, ada := servertest.WithVPN(t)
	w.Promote("ada")
	key := &virtualauth.Key{}
	browser := w.Person()
	weaker(w)
	browser.Get("/sign-in")
	browser.SignIn("ada", ada.Code())
	browser.AddPasskey(key)
	phishingResistant(w)
	fresh := w.Person()
	fresh.Get("/sign-in")
	fresh.UsePasskey(key)
	if s := w.Check(fresh.Held(), signin.SignIn, ""); s.State != signin.Granted {
		t.Fatalf("a new passkey does not sign in: %v %s", s.State, s.Reason)
	}
	if s := w.Check(fresh.Held(), "group.create", "group x (), privileged false"); s.State == signin.Granted {
		t.Error("a passkey of this minute administers")
	}
	w.Later(25 * time.Hour)
	later := w.Person()
	later.Get("/sign-in")
	later.UsePasskey(key)
	if s := w.Check(later.Held(), "group.create", "group x (), privileged false"); s.State != signin.Granted {
		t.Errorf("a day later it does not: %v %s", s.State, s.Reason)
	}
}

// weaker lets administrators in with codes, phishingResistant does not.
func weaker(w *servertest.World) { w.SetPolicy("rules:\n  - name: all\n    require: two-factors\n") }

func phishingResistant(w *servertest.World) {
	w.SetPolicy("rules:\n  - name: all\n    require: phishing-resistant\n")
}

// The promise: who reports that something was not them loses every other session
// and the password that somebody knows, keeps the session they report from, and
// administrators are told.
func TestNotMe(t *testing.T) {
	w, ada, owner, key := servertest.WithPasskey(t)
	p := w.PostOffice()
	w.Administrator("root")
	w.Address("root", "root@example.org")
	w.SetPolicy("rules:\n  - name: all\n    require: two-factors\n")
	p.Collect()
	thief := w.Person()
	thief.Get("/sign-in")
	thief.SignIn("ada", ada.Code())
	copied := w.Person() // a browser whose session somebody copied
	copied.Get("/sign-in")
	copied.UsePasskey(key)
	owner.Get("/account/history")
	owner.Does("/account/do", "action", "report.not-me", "object", servertest.Last(t, servertest.Disowns, owner.Page))
	owner.Sees("Thank you")
	if s := w.Check(thief.Held(), signin.SignIn, ""); s.State == signin.Granted {
		t.Error("the thief is still in")
	}
	if s := w.Check(copied.Held(), signin.SignIn, ""); s.State == signin.Granted {
		t.Error("a copied session is still in")
	}
	if s := w.Check(owner.Held(), signin.SignIn, ""); s.State != signin.Granted {
		t.Errorf("the owner was thrown out: %v %s", s.State, s.Reason)
	}
	w.Later(time.Minute)
	if s := w.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code())); s.State != signin.Denied {
		t.Error("the password that somebody knows still signs in")
	}
	if w.Events("alarm.not-me") != 1 {
		t.Error("it is no alarm in the log")
	}
	told := strings.Join(p.Collect(), "\n")
	if !strings.Contains(told, "root@example.org") {
		t.Errorf("administrators were not told: %q", told)
	}
}

// The promise: whoever makes the log write about somebody pushes nothing out of what that
// person sees and can report.
func TestHistoryIsNotPushedOut(t *testing.T) {
	w, ada, owner, _ := servertest.WithPasskey(t)
	w.SetPolicy("rules:\n  - name: all\n    require: two-factors\n")
	thief := w.Person()
	thief.Get("/sign-in")
	thief.SignIn("ada", ada.Code())
	owner.Get("/account/history")
	entry := servertest.Last(t, servertest.Disowns, owner.Page)
	account, err := w.Accounts.Find(t.Context(), w.DB, "ada")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // entries that have no words for her
		err := w.DB.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error {
			for range 90 {
				if err := tx.Record(audit.Entry{Event: "approval.wrong-number", Outcome: audit.Refused, Account: int64(account.ID), AccountName: "ada"}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	w.Until("the entries are in the log", func() bool { return w.Events("approval.wrong-number") == 270 })
	owner.Get("/account/history")
	if !strings.Contains(owner.Page, `value="`+entry+`"`) {
		t.Fatal("the thief's sign-in is not to be seen any more")
	}
	owner.Does("/account/do", "action", "report.not-me", "object", entry)
	owner.Sees("Thank you")
	if s := w.Check(thief.Held(), signin.SignIn, ""); s.State == signin.Granted {
		t.Error("the thief is still in")
	}
}

// The promise: a session ends after an hour without use and after a day in any
// case, its secret changes when it gains evidence, and the old one is dead.
func TestSessionLimits(t *testing.T) {
	w, ada := servertest.WithVPN(t)
	secret := w.SignedIn(ada)
	w.Later(59 * time.Minute)
	if s := w.Check(secret, signin.SignIn, ""); s.State != signin.Granted {
		t.Fatalf("after 59 minutes: %v %s", s.State, s.Reason)
	}
	w.Later(59 * time.Minute) // its use a moment ago counted
	if s := w.Check(secret, signin.SignIn, ""); s.State != signin.Granted {
		t.Errorf("used an hour ago: %v %s", s.State, s.Reason)
	}
	w.Later(61 * time.Minute)
	if s := w.Check(secret, signin.SignIn, ""); s.State == signin.Granted {
		t.Error("an hour and a minute unused, and still good")
	}

	busy := w.SignedIn(ada)
	for range 47 {
		w.Later(30 * time.Minute)
		w.Check(busy, signin.SignIn, "")
	}
	if s := w.Check(busy, signin.SignIn, ""); s.State != signin.Granted {
		t.Fatalf("in use for 23 and a half hours: %v %s", s.State, s.Reason)
	}
	w.Later(31 * time.Minute)
	if s := w.Check(busy, signin.SignIn, ""); s.State == signin.Granted {
		t.Error("a day old and still good")
	}

	p := w.Person()
	p.Get("/sign-in")
	p.SignIn("ada", ada.Code())
	before := p.Held()
	w.Later(20 * time.Minute)
	// The page asks nothing of whose session is enough; who signs in by name does so anew.
	p.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
	p.Post("/sign-in", "authenticator", "totp", "text", ada.Code())
	after := p.Held()
	if before == after {
		t.Error("signing in again did not change the secret")
	}
	if s := w.Check(before, signin.SignIn, ""); s.State == signin.Granted {
		t.Error("the secret of before it is still good")
	}
	if s := w.Check(after, signin.SignIn, ""); s.State != signin.Granted {
		t.Errorf("the secret of after it: %v %s", s.State, s.Reason)
	}
	planted := w.Person()
	planted.Get("/sign-in")
	plant(planted, session.Cookie(false), strings.Repeat("A", 43))
	planted.Get("/sign-in")
	w.Later(time.Minute)
	planted.SignIn("ada", ada.Code())
	if held := planted.Held(); held == strings.Repeat("A", 43) {
		t.Error("a planted secret became a session")
	} else if s := w.Check(held, signin.SignIn, ""); s.State != signin.Granted {
		t.Errorf("who had a planted secret did not get in: %v %s", s.State, s.Reason)
	}
}

// The promise: what an account was dormant for is not undone by itself; a second
// person wakes it, and then it goes on as before.
func TestDormantIsWokenByAnother(t *testing.T) {
	w, ada := servertest.WithVPN(t)
	root := w.Clerk()
	w.SetPolicy("rules:\n  - name: all\n    require: two-factors\n  - name: nobody dormant\n    when: account.dormant\n    deny: dormant\n")
	w.Later(31 * 24 * time.Hour)
	if s := w.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code())); s.Reason != "dormant" {
		t.Fatalf("%v %s", s.State, s.Reason)
	}
	// The clerk slept as long: somebody woke them.
	ctx := context.Background()
	err := w.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		d, err := w.Accounts.Find(ctx, tx, "operator")
		if err != nil {
			return err
		}
		d.Used = w.Now()
		if err := w.Accounts.Update(ctx, tx, d); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.woken", Outcome: audit.OK})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := root.Do(ctx, "pass.issue", map[string]any{"account": "ada"}, nil); err == nil {
		t.Error("a dormant account was issued a pass")
	}
	if err := root.Do(ctx, "account.resume", map[string]string{"name": "operator", "reason": "me"}, nil); err == nil {
		t.Error("somebody resumed themselves")
	}
	if err := root.Do(ctx, "account.resume", map[string]string{"name": "ada", "reason": "back from leave"}, nil); err != nil {
		t.Fatal(err)
	}
	w.Later(time.Minute)
	if s := w.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code())); s.State != signin.Granted {
		t.Errorf("woken: %v %s", s.State, s.Reason)
	}
}

// The promise: equipment cannot tell a name that exists from one that does not,
// neither by the steps, nor by the words, nor by the attributes.
func TestDecoyByRADIUS(t *testing.T) {
	w, _ := servertest.WithVPN(t)
	vpn := servertest.Equipment{W: w, Secret: "a-secret-of-the-equipment"}
	shape := regexp.MustCompile(`(?m)^\s+(State|Message-Authenticator) = \S+|Id \d+ |\d+\.\d+\.\d+\.\d+:\d+|length \d+|"(ada|nobody-such)"`)
	answer := func(name, password, state string) string {
		out := vpn.Ask(name, password, state)
		_, received, ok := strings.Cut(out, "Received")
		if !ok {
			t.Fatalf("no answer:\n%s", out)
		}
		return shape.ReplaceAllString(received, "-")
	}
	for _, c := range []struct{ password, code string }{{"a wrong password", ""}, {"", ""}} {
		if a, b := answer("ada", c.password, ""), answer("nobody-such", c.password, ""); a != b {
			t.Errorf("password %q:\n%s\n--- and for nobody:\n%s", c.password, a, b)
		}
	}
}

// The promise: a stranger's wrong answers never keep the owner from a passkey.
func TestPasskeyIsNeverLockedOut(t *testing.T) {
	w, ada, _, key := servertest.WithPasskey(t)
	for i := range 60 {
		w.Begin(servertest.Line("ada", fmt.Sprint("guess ", i), "000000"))
	}
	if s := w.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code())); s.State == signin.Granted {
		t.Fatal("after 60 guesses the password and a code are not locked, so there is nothing that the passkey escapes")
	}
	owner := w.Person()
	owner.Get("/sign-in")
	owner.UsePasskey(key)
	owner.Sees("Where you are signed in")
}
