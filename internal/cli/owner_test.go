package cli

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/prompt"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/softkey"
	"countersign/internal/store"
)

// check asks what a session may do in Countersign itself.
func (w *world) check(secret, action, object string) signin.Step {
	w.t.Helper()
	s, err := w.Engine.Check(context.Background(), signin.Request{Application: signin.Self, Action: action, Object: object, Session: secret, Protocol: "browser", Medium: prompt.Browser})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// promote makes an account an administrator.
func (w *world) promote(name string) {
	w.t.Helper()
	w.join(name, directory.Administrators)
}

// join puts an account into a group.
func (w *world) join(name, team string) {
	w.t.Helper()
	ctx := context.Background()
	err := w.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		d, err := w.Directory.Find(ctx, tx, name)
		if err != nil {
			return err
		}
		group, err := w.Groups.Find(ctx, tx, team)
		if err != nil {
			return err
		}
		if err := w.Groups.AddMember(ctx, tx, group, d); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.joined", Outcome: audit.OK})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// The promise: an authenticator that was added to an account signs in, and for a
// day approves nothing privileged, whoever added it.
func TestQuarantine(t *testing.T) {
	w, ada := withVPN(t)
	w.promote("ada")
	key := &softkey.Key{}
	browser := w.person()
	weaker(w)
	browser.get("/sign-in")
	browser.signIn("ada", ada.code())
	browser.addPasskey(key)
	phishingResistant(w)
	fresh := w.person()
	fresh.get("/sign-in")
	fresh.usePasskey(key)
	if s := w.check(fresh.held(), signin.SignIn, ""); s.State != signin.Granted {
		t.Fatalf("a new passkey does not sign in: %v %s", s.State, s.Reason)
	}
	if s := w.check(fresh.held(), "group.create", "group x (), privileged false"); s.State == signin.Granted {
		t.Error("a passkey of this minute administers")
	}
	w.later(25 * time.Hour)
	later := w.person()
	later.get("/sign-in")
	later.usePasskey(key)
	if s := w.check(later.held(), "group.create", "group x (), privileged false"); s.State != signin.Granted {
		t.Errorf("a day later it does not: %v %s", s.State, s.Reason)
	}
}

// weaker lets administrators in with codes, phishingResistant does not.
func weaker(w *world) { w.setPolicy("rules:\n  - name: all\n    require: two-factors\n") }

func phishingResistant(w *world) {
	w.setPolicy("rules:\n  - name: all\n    require: phishing-resistant\n")
}

// The promise: who reports that something was not them loses every other session
// and the password that somebody knows, keeps the session they report from, and
// administrators are told.
func TestNotMe(t *testing.T) {
	w, ada, owner, key := withPasskey(t)
	p := w.postOffice()
	w.administrator("root")
	w.address("root", "root@example.org")
	w.setPolicy("rules:\n  - name: all\n    require: two-factors\n")
	p.collect()
	thief := w.person()
	thief.get("/sign-in")
	thief.signIn("ada", ada.code())
	copied := w.person() // a browser whose session somebody copied
	copied.get("/sign-in")
	copied.usePasskey(key)
	owner.get("/account/history")
	owner.does("/account/do", "action", "report.not-me", "object", last(t, disowns, owner.page))
	owner.sees("Thank you")
	if s := w.check(thief.held(), signin.SignIn, ""); s.State == signin.Granted {
		t.Error("the thief is still in")
	}
	if s := w.check(copied.held(), signin.SignIn, ""); s.State == signin.Granted {
		t.Error("a copied session is still in")
	}
	if s := w.check(owner.held(), signin.SignIn, ""); s.State != signin.Granted {
		t.Errorf("the owner was thrown out: %v %s", s.State, s.Reason)
	}
	w.later(time.Minute)
	if s := w.begin(line("ada", passphrase, ada.code())); s.State != signin.Denied {
		t.Error("the password that somebody knows still signs in")
	}
	if w.events("alarm.not-me") != 1 {
		t.Error("it is no alarm in the log")
	}
	told := strings.Join(p.collect(), "\n")
	if !strings.Contains(told, "root@example.org") {
		t.Errorf("administrators were not told: %q", told)
	}
}

// The promise: a session ends after an hour without use and after a day in any
// case, its secret changes when it gains evidence, and the old one is dead.
func TestSessionLimits(t *testing.T) {
	w, ada := withVPN(t)
	secret := w.signedIn(ada)
	w.later(59 * time.Minute)
	if s := w.check(secret, signin.SignIn, ""); s.State != signin.Granted {
		t.Fatalf("after 59 minutes: %v %s", s.State, s.Reason)
	}
	w.later(59 * time.Minute) // its use a moment ago counted
	if s := w.check(secret, signin.SignIn, ""); s.State != signin.Granted {
		t.Errorf("used an hour ago: %v %s", s.State, s.Reason)
	}
	w.later(61 * time.Minute)
	if s := w.check(secret, signin.SignIn, ""); s.State == signin.Granted {
		t.Error("an hour and a minute unused, and still good")
	}

	busy := w.signedIn(ada)
	for range 47 {
		w.later(30 * time.Minute)
		w.check(busy, signin.SignIn, "")
	}
	if s := w.check(busy, signin.SignIn, ""); s.State != signin.Granted {
		t.Fatalf("in use for 23 and a half hours: %v %s", s.State, s.Reason)
	}
	w.later(31 * time.Minute)
	if s := w.check(busy, signin.SignIn, ""); s.State == signin.Granted {
		t.Error("a day old and still good")
	}

	p := w.person()
	p.get("/sign-in")
	p.signIn("ada", ada.code())
	before := p.held()
	w.later(20 * time.Minute)
	// The page asks nothing of whose session is enough; who signs in by name does so anew.
	p.post("/sign-in", "name", "ada", "authenticator", "password", "text", passphrase)
	p.post("/sign-in", "authenticator", "totp", "text", ada.code())
	after := p.held()
	if before == after {
		t.Error("signing in again did not change the secret")
	}
	if s := w.check(before, signin.SignIn, ""); s.State == signin.Granted {
		t.Error("the secret of before it is still good")
	}
	if s := w.check(after, signin.SignIn, ""); s.State != signin.Granted {
		t.Errorf("the secret of after it: %v %s", s.State, s.Reason)
	}
	planted := w.person()
	planted.get("/sign-in")
	planted.plant(session.Cookie(false), strings.Repeat("A", 43))
	planted.get("/sign-in")
	w.later(time.Minute)
	planted.signIn("ada", ada.code())
	if held := planted.held(); held == strings.Repeat("A", 43) {
		t.Error("a planted secret became a session")
	} else if s := w.check(held, signin.SignIn, ""); s.State != signin.Granted {
		t.Errorf("who had a planted secret did not get in: %v %s", s.State, s.Reason)
	}
}

// The promise: what an account was dormant for is not undone by itself; a second
// person wakes it, and then it goes on as before.
func TestDormantIsWokenByAnother(t *testing.T) {
	w, ada := withVPN(t)
	root := w.clerk()
	w.setPolicy("rules:\n  - name: all\n    require: two-factors\n  - name: nobody dormant\n    when: account.dormant\n    deny: dormant\n")
	w.later(31 * 24 * time.Hour)
	if s := w.begin(line("ada", passphrase, ada.code())); s.Reason != "dormant" {
		t.Fatalf("%v %s", s.State, s.Reason)
	}
	// The clerk slept as long: somebody woke them.
	ctx := context.Background()
	err := w.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		d, err := w.Directory.Find(ctx, tx, "operator")
		if err != nil {
			return err
		}
		d.Used = w.now()
		if err := w.Directory.Update(ctx, tx, d); err != nil {
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
	w.later(time.Minute)
	if s := w.begin(line("ada", passphrase, ada.code())); s.State != signin.Granted {
		t.Errorf("woken: %v %s", s.State, s.Reason)
	}
}

// The promise: equipment cannot tell a name that exists from one that does not,
// neither by the steps, nor by the words, nor by the attributes.
func TestDecoyByRADIUS(t *testing.T) {
	w, _ := withVPN(t)
	vpn := equipment{w, "a-secret-of-the-equipment"}
	shape := regexp.MustCompile(`(?m)^\s+(State|Message-Authenticator) = \S+|Id \d+ |\d+\.\d+\.\d+\.\d+:\d+|length \d+|"(ada|nobody-such)"`)
	answer := func(name, password, state string) string {
		out := vpn.ask(name, password, state)
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
	w, ada, _, key := withPasskey(t)
	for i := range 60 {
		w.begin(line("ada", fmt.Sprint("guess ", i), "000000"))
	}
	if s := w.begin(line("ada", passphrase, ada.code())); s.State == signin.Granted {
		t.Fatal("after 60 guesses the password and a code are not locked, so there is nothing that the passkey escapes")
	}
	owner := w.person()
	owner.get("/sign-in")
	owner.usePasskey(key)
	owner.sees("Where you are signed in")
}
