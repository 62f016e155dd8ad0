package signin

import (
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/prompt"
	"countersign/internal/store/storetest"
)

// without does something while the database begins no transaction that writes.
func without(t *testing.T, f *storetest.Faults, what string, do func() (Step, error)) Step {
	t.Helper()
	f.ArmAt("begin", 0, storetest.Before)
	defer f.Disarm()
	s, err := do()
	if err != nil {
		t.Errorf("%s: it takes a transaction: %v", what, err)
	}
	return s
}

// What is asked first, and what a session holds already, is put without a transaction:
// whoever asks for a thousand pages holds nobody up, and needs no disk.
func TestWhatTakesNoTransaction(t *testing.T) {
	f, kinds := storetest.NewFaults(t, ""), everyKind(t)
	instead(kinds, "passkey", func(how authenticator.Authenticator) authenticator.Authenticator { return right{how} })
	r := newRigOver(t, f.Driver, twoFactors, kinds...)
	ada := r.person("ada")
	r.withPassword(ada)
	key := r.give(ada, "passkey", authenticator.Enrolled{Traits: strong, State: []byte("x")})
	r.sessions.put("enough", Held{Account: ada.ID, Number: "n1", Expires: r.Now().Add(time.Hour), Evidence: []assurance.Evidence{{Account: ada.ID, Kind: "passkey", Credential: key.ID, Traits: strong, Time: r.Now(), Channel: "browser"}}})
	r.sessions.put("empty", Held{Account: ada.ID, Number: "n2", Expires: r.Now().Add(time.Hour)})
	inside := func(session string) Request {
		q := browses("wiki", "")
		q.Session = session
		return q
	}
	for _, c := range []struct {
		what  string
		q     Request
		state State
	}{
		{"a page", browses("wiki", ""), Ask},
		{"a page for a name", browses("wiki", "ada"), Ask},
		{"a page for a name that nobody has", browses("wiki", "nobody"), Ask},
		{"a line", Request{Application: "vpn", Name: "ada", Source: home, Protocol: "radius", Medium: prompt.Line, Partner: "nas"}, Ask},
		{"in a session that is not enough", inside("empty"), Ask},
		{"in a session that is enough", inside("enough"), Granted},
	} {
		s := without(t, f, c.what, func() (Step, error) { return r.Begin(t.Context(), c.q) })
		if s.State != c.state || !isSealed(s.Ticket) || (s.State == Ask) != (len(s.Prompts) > 0) {
			t.Fatalf("%s: %+v", c.what, s)
		}
		again := without(t, f, c.what+", looked at", func() (Step, error) { return r.Poll(t.Context(), s.Ticket) })
		if again.State != c.state || kindsOf(again) != kindsOf(s) || again.Attempt != s.Attempt {
			t.Errorf("%s, looked at: %+v", c.what, again)
		}
	}
	if n := countAttempts(r); n != 0 || len(r.events("signin.refused"))+len(r.events("signin.granted")) != 0 {
		t.Errorf("%d rows, and entries of nothing", n)
	}
}

// An attempt of equipment that is too long for what it carries is a row instead, of so
// many a minute for each; beyond that its person is told, and other equipment is not
// kept from its own.
func TestEquipmentWhoseAttemptsAreTooLong(t *testing.T) {
	r, _, app := withAda(t)
	long := strings.Repeat("a", 300)
	ask := func(partner string) Step {
		return r.begin(Request{Application: "vpn", Name: "ada", Path: long, Source: home, Protocol: "radius", Medium: prompt.Line, Partner: partner, Carries: 236})
	}
	s := ask("nas-1")
	if s.State != Ask || isSealed(s.Ticket) || len(s.Ticket) > 236 || countAttempts(r) != 1 {
		t.Fatalf("%+v, %d rows", s, countAttempts(r))
	}
	for range rowsOfPartner {
		r.Strangers.roomFor("nas-1")
	}
	r.is("one too many", ask("nas-1"), Denied, "too-long")
	if n := countAttempts(r); n != 1 {
		t.Errorf("%d rows", n)
	}
	if other := ask("nas-2"); other.State != Ask || isSealed(other.Ticket) {
		t.Errorf("other equipment: %+v", other)
	}
	r.clock.Later(sumEvery)
	if later := ask("nas-1"); later.State != Ask {
		t.Errorf("a minute later: %+v", later)
	}
	for _, answer := range []prompt.Answer{typed("password", secret), typed("totp", app.code())} {
		next, err := r.Answer(t.Context(), s.Ticket, Reply{Answer: answer, Partner: "nas-1", Source: home})
		if err != nil {
			t.Fatal(err)
		}
		s = next
	}
	if s.State != Granted {
		t.Errorf("the first goes on: %+v", s)
	}
}

// Of a passkey that was found without a name its owner is read in the transaction that
// decides, and not before it as well; one that changes in between is found again, with
// its owner's name.
func TestWhoseAFoundPasskeyIs(t *testing.T) {
	var then func()
	f, kinds := storetest.NewFaults(t, ""), everyKind(t)
	instead(kinds, "passkey", func(how authenticator.Authenticator) authenticator.Authenticator {
		return meanwhileFound{meanwhile{right{how}, &then, []byte("next")}}
	})
	r := newRigOver(t, f.Driver, twoFactors, kinds...)
	ada := r.person("ada")
	c := r.give(ada, "passkey", authenticator.Enrolled{Traits: strong, State: []byte("x"), Handle: "key-1"})
	use := func() {
		t.Helper()
		before := len(r.events("evidence.accepted"))
		s := r.begin(browses("wiki", "", typed("passkey", "key-1")))
		r.is("by the key alone", s, Granted, "")
		if en := r.last("evidence.accepted"); len(r.events("evidence.accepted")) != before+1 || en.AccountName != "ada" || en.Account != int64(ada.ID) {
			t.Errorf("recorded %+v", en)
		}
	}
	f.AroundReads(func(query string) {
		if strings.Contains(query, "from account") {
			t.Errorf("read before the transaction: %s", query)
		}
	})
	use()
	f.AroundReads(nil)
	then = func() { r.alter(c, func(c *directory.Credential) { c.Label = "renamed" }) }
	if use(); then != nil {
		t.Error("it was not changed in between")
	}
}

// meanwhileFound finds its credential by what was typed.
type meanwhileFound struct{ meanwhile }

func (meanwhileFound) Discover(a prompt.Answer) (string, bool) { return a.Text, a.Text != "" }
