package signin

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/prompt"
	"countersign/internal/store"
)

// mails counts what an account was written about something.
func (r *rig) mails(a directory.Account, subject string) (n int64) {
	r.t.Helper()
	if err := r.DB.QueryRow(r.t.Context(), `select count(*) from notice where account = $1 and subject = $2`, int64(a.ID), subject).Scan(&n); err != nil {
		r.t.Fatal(err)
	}
	return n
}

const halfRight = "Somebody used your password, and was refused"

// Whose password was right and no more is told, once an hour; the log has each time. A
// right code alone says nothing about a password.
func TestOwnersAreToldThatTheirPasswordIsKnown(t *testing.T) {
	g := withGuesses(t, twoFactors)
	bob := g.account(directory.NewAccount{Name: "bob"}) // who has no address
	g.give(bob, "password", authenticator.Enrolled{Traits: assurance.Known, State: []byte("x")})
	alarms, from := 0, netip.MustParseAddr("198.51.100.1")
	try := func(why string, q Request, ada, bobs int64) {
		t.Helper()
		from = from.Next()
		q.Source = from
		if s := g.begin(q); s.State != Denied || s.Public != bland {
			t.Errorf("%s: %+v", why, s)
		}
		alarms++
		all := g.events("alarm.factor-missing")
		if len(all) != alarms || g.mails(g.ada, halfRight) != ada || g.mails(bob, halfRight) != bobs {
			t.Errorf("%s: %d alarms, %d mails to ada, %d to bob; want %d, %d, %d", why, len(all), g.mails(g.ada, halfRight), g.mails(bob, halfRight), alarms, ada, bobs)
		}
		if en := all[len(all)-1]; en.AccountName != q.Name || en.Source != from.String() || en.Outcome != audit.Refused || (en.Detail["shown"] == "password") == q.CodeAlone {
			t.Errorf("%s: recorded %+v", why, en)
		}
	}
	word := func(name string) Request { return byLine(name, typed("password", secret)) }
	code := byLine("ada", typed("totp", g.app.code()))
	code.CodeAlone = true
	try("a code alone", code, 0, 0)
	try("a password", word("ada"), 1, 0)
	try("another's, at the same time", word("bob"), 1, 0)
	g.clock.Later(time.Hour - time.Second)
	try("within the hour", word("ada"), 1, 0)
	g.clock.Later(time.Second)
	try("an hour later", word("ada"), 2, 0)
	g.change(func(tx *store.Tx) error { return g.people.AddMail(t.Context(), tx, bob.ID, "bob@example.org") })
	try("another's, whose address was checked", word("bob"), 2, 1)
}

// An account that was removed while somebody signed in has nobody to be told.
func TestARemovedAccountIsToldNothing(t *testing.T) {
	r, ada, app := withAda(t)
	s := r.reply(r.begin(browses("wiki", "ada")), "password", secret)
	r.remove(ada, 0)
	r.is("a right code after that", r.reply(s, "totp", app.code()), Denied, "unknown-ticket")
	s = r.begin(browses("wiki", "ada", typed("password", secret)))
	if s.State == Granted || kindsOf(s) == "totp" {
		t.Errorf("by its name: %+v", s)
	}
	if n := r.mails(ada, halfRight); n != 0 {
		t.Errorf("%d mails", n)
	}
}

// What a session asks for in administration and does not get at once is in the log, with
// whose it was and why; what it asks for of its owner's own, or of an application, is not.
func TestAdministrationThatIsNotProvedIsRecorded(t *testing.T) {
	r, ada, _ := withAda(t)
	root := r.person("root", directory.Administrators)
	r.withPassword(root)
	r.withCodes(root)
	for name, a := range map[string]directory.Account{"hers": ada, "roots": root} {
		all, err := r.credentials.All(t.Context(), r.DB, a.ID)
		if err != nil {
			t.Fatal(err)
		}
		r.sessions.put(name, Held{Account: a.ID, Number: "n-" + name, Expires: r.Now().Add(time.Hour), Evidence: evidenceOf(all, "password", r.Now())})
	}
	wish := 0
	for _, c := range []struct {
		session, application, action, object string
		state                                State
		reason                               string
		recorded                             bool
	}{
		{"roots", Self, "account.create", "bob", Ask, "step-up", true},
		{"roots", Self, "account.list", "", Ask, "step-up", true},
		{"hers", Self, "account.create", "bob", Denied, "not-administrator", true},
		{"hers", Self, "recovery.open", "bob", Denied, "not-administrator", true},
		{"hers", Self, "report.not-me", "3", Ask, "step-up", false},
		{"roots", Self, SignIn, "", Ask, "step-up", false},
		{"hers", "wiki", SignIn, "", Ask, "step-up", false},
		{"roots", "wiki", "account.create", "bob", Ask, "step-up", false},
		{"", Self, "account.create", "bob", Ask, "no-session", false},
		{"made up", Self, "account.create", "bob", Ask, "no-session", false},
	} {
		if c.recorded {
			wish++
		}
		s, err := r.Check(t.Context(), Request{Application: c.application, Action: c.action, Object: c.object, Session: c.session, Source: home, Protocol: "browser"})
		if err != nil || s.State != c.state || s.Reason != c.reason || s.Ticket != "" {
			t.Errorf("%+v: %+v, %v", c, s, err)
		}
		all := r.events("action.refused")
		if len(all) != wish {
			t.Fatalf("%+v: %d entries, want %d", c, len(all), wish)
		}
		if !c.recorded {
			continue
		}
		en := all[len(all)-1]
		name := map[string]string{"hers": "ada", "roots": "root"}[c.session]
		if en.AccountName != name || en.Action != c.action || en.Detail["object"] != c.object || en.Reason != c.reason || en.Outcome != audit.Refused || en.Detail["session"] != "n-"+c.session || en.Source != home.String() {
			t.Errorf("%+v: recorded %+v", c, en)
		}
	}
}

// After a database was brought back from a copy no attempt of before goes on, and nothing
// that waited for its owner is approved.
func TestAttemptsOfBeforeACopyAreDropped(t *testing.T) {
	b := withBells(t)
	waits := b.waits()
	asked := b.reply(b.begin(browses("wiki", "ada")), "password", secret)
	if waits.State != Wait || asked.State == Denied || isSealed(asked.Ticket) {
		t.Fatalf("%+v, %+v", waits, asked)
	}
	count := func(table string) (n int64) {
		t.Helper()
		if err := b.DB.QueryRow(t.Context(), `select count(*) from `+table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if a, w := count("attempt"), count("approval"); a != 2 || w != 1 {
		t.Fatalf("%d attempts, %d wait", a, w)
	}
	b.change(func(tx *store.Tx) error {
		n, err := DropAttemptsTx(t.Context(), tx)
		if n != 2 {
			t.Errorf("%d were dropped", n)
		}
		return err
	})
	if a, w := count("attempt"), count("approval"); a != 0 || w != 0 {
		t.Errorf("%d attempts, %d wait", a, w)
	}
	for _, s := range []Step{waits, asked} {
		if next, err := b.Poll(t.Context(), s.Ticket); err != nil || next.State != Denied || next.Reason != "used-ticket" && next.Reason != "unknown-ticket" {
			t.Errorf("%+v, %v", next, err)
		}
	}
}

// A grant is filled in from what was decided, and from nothing that was not.
func TestAGrantIsOfADecision(t *testing.T) {
	r, ada, _ := withAda(t)
	at := &attempt{Request: Request{Application: "wiki", Action: SignIn, Medium: prompt.Browser}, Created: r.Now()}
	for _, d := range []decision{{}, {state: Ask, account: ada}, {state: Denied, account: ada}, {state: Wait, account: ada}, {state: Granted}} {
		if g, err := fill(at, d, r.Now()); err == nil || g.g != nil {
			t.Errorf("%v for %q: %+v, %v", d.state, d.account.Name, g, err)
		}
	}
	if g, err := fill(at, decision{state: Granted, account: ada}, r.Now()); err != nil || g.Account() != ada.ID || !g.Covers("wiki", SignIn, "") || !slices.Equal(g.Evidence(), nil) {
		t.Errorf("%+v, %v", g, err)
	}
}
