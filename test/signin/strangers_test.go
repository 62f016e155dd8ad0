package signin

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"countersign/internal/prompt"
	"countersign/internal/servertest"
	"countersign/internal/signin"
)

// firstAnswer is an answer that comes with a name and nothing before it, on the pages.
func firstAnswer(name, kind, text, from string) signin.Request {
	return signin.Request{Application: signin.Self, Name: name, Protocol: "browser", Medium: prompt.Browser, Source: netip.MustParseAddr(from),
		Opening: []prompt.Answer{{Authenticator: kind, Text: text}}}
}

// The promise: whoever knows no more than a name switches nothing off, however patient
// they are, by whatever kind; where its owner was let in, and in the browser in which
// she was, she is let in all the time.
func TestStrangersSwitchNothingOff(t *testing.T) {
	t.Parallel()
	w, ada := servertest.WithVPN(t)
	home := func() signin.State {
		w.Later(time.Minute)
		return w.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code())).State
	}
	if s := home(); s != signin.Granted {
		t.Fatal(s)
	}
	for i := range 40 {
		from := fmt.Sprintf("198.51.100.%d", 1+i)
		for _, kind := range []string{"password", "totp", "recoverycode", "accesspass", signin.AnyCode} {
			if s := w.Begin(firstAnswer("ada", kind, fmt.Sprintf("%06d", i), from)); s.State != signin.Ask || !s.Again {
				t.Fatalf("a %s: %v %s", kind, s.State, s.Reason)
			}
		}
		if i%8 == 7 {
			w.Later(2 * time.Hour) // past every delay
		}
		if s := home(); s != signin.Granted {
			t.Fatalf("after %d guesses of each kind the owner at home is refused", i+1)
		}
	}
	if n := w.Events("credential.disabled"); n != 0 {
		t.Errorf("%d authenticators were switched off", n)
	}
}

// The promise: a code that comes before what stands before it is refused as not asked,
// and costs its owner nothing.
func TestCodesBeforeThePasswordCostNothing(t *testing.T) {
	t.Parallel()
	w, ada := servertest.WithVPN(t)
	for i := range 12 {
		for _, kind := range []string{"totp", "hotp", "ocra", "recoverycode", "smscode", "mailcode", "yubicootp", "apikey", signin.AnyCode, ""} {
			for _, name := range []string{"ada", "nobody-such"} {
				if s := w.Begin(firstAnswer(name, kind, fmt.Sprintf("%06d", i), "203.0.113.9")); s.Reason != "not-asked" {
					t.Fatalf("a first %q of %s: %v %s", kind, name, s.State, s.Reason)
				}
			}
		}
	}
	if n := servertest.Count(w, t, `select count(*) from guess where count > 0 and subject not like 'enroll/%'`); n != 0 {
		t.Errorf("%d budgets pay for what nobody asked for", n)
	}
	if s := w.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code())); s.State != signin.Granted {
		t.Errorf("the owner: %v %s", s.State, s.Reason)
	}
}

// The promise: a token with a PIN may come first, because its PIN stands before the code; a
// token without one may not, and guesses at the one close it to strangers alone.
func TestOnlyAPINStandsBeforeACode(t *testing.T) {
	t.Parallel()
	w := servertest.NewWorld(t)
	desk := servertest.TokenDesk(w)
	w.Welcomed("grace")
	grace := servertest.TakesToken(w, desk, "C-1", "grace")
	first := func(text, from string) signin.Step {
		w.Later(2 * time.Hour)
		return w.Begin(firstAnswer("grace", signin.AnyCode, text, from))
	}
	if s := first(grace.Press(), "192.0.2.1"); s.Reason != "not-asked" {
		t.Errorf("a code with nothing before it: %v %s", s.State, s.Reason)
	}
	servertest.Settled(w)
	servertest.SetsPIN(servertest.ComesIn(w, "grace", "hotp", grace.Press()), servertest.OwnPIN)
	if s := first(servertest.OwnPIN+grace.Press(), "192.0.2.1"); s.State != signin.Granted {
		t.Errorf("PIN and code: %v %s", s.State, s.Reason)
	}
	for i := range 20 {
		guess := fmt.Sprintf("%06d%06d", 700_100+i, i)
		if i >= 3 {
			guess += "123456" // two in a row are demanded
		}
		if s := first(guess, "198.51.100.9"); s.State != signin.Ask || s.Reason == "not-asked" {
			t.Fatalf("guess %d: %v %s", i, s.State, s.Reason)
		}
	}
	if s := first(servertest.OwnPIN+grace.Press(), "198.51.100.9"); s.Reason != "closed" {
		t.Errorf("after 20 guesses: %v %s", s.State, s.Reason)
	}
	p := servertest.ComesIn(w, "grace", "hotp", servertest.OwnPIN+grace.Press()) // at home
	p.Sees("Where you are signed in")
}

// The promise: two thousand wrong answers of one subscriber, from all networks of an
// IPv6 /56, keep nobody out: not by equipment that tells no addresses, not at a known
// place, not at a new one with the right password, not in a browser that is remembered.
func TestFloodOfOneSubscriber(t *testing.T) {
	t.Parallel()
	w, ada := servertest.WithVPN(t)
	bob := w.EnrollCodes("bob")
	byEquipment := func(p *servertest.Person, name string) signin.Step {
		r := servertest.Line(name, servertest.Passphrase, p.Code())
		r.Source, r.Partner = netip.Addr{}, "gateway 192.0.2.1"
		return w.Begin(r)
	}
	w.Later(time.Minute)
	if s := byEquipment(ada, "ada"); s.State != signin.Granted {
		t.Fatal(s.Reason)
	}
	w.Later(time.Minute)
	if s := w.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code())); s.State != signin.Granted {
		t.Fatal(s.Reason)
	}
	w.Later(time.Minute)
	browser := w.Person()
	browser.Comes("ada", ada.Secret)
	kept := keeps(browser, "countersign-browser").Value
	refused := 0
	const guesses = 700 // of a subscriber's 400; each is hashed, or takes as long
	for i := range guesses {
		r := firstAnswer(fmt.Sprint("name-", i), "password", "wrong horse", "192.0.2.1")
		r.Source = netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, byte(i), 15: 1})
		if s := w.Begin(r); s.Reason != "wrong" {
			refused++
		}
	}
	if refused < 250 {
		t.Errorf("one subscriber had %d of %d guesses compared", guesses-refused, guesses)
	}
	if w.Events("alarm.guessing") == 0 {
		t.Error("the flood raised no alarm")
	}
	siege(w)
	w.Later(time.Minute)
	if s := byEquipment(bob, "bob"); s.State != signin.Granted {
		t.Errorf("by equipment, for the first time: %s", s.Reason)
	}
	if s := byEquipment(ada, "ada"); s.State != signin.Granted {
		t.Errorf("by equipment: %s", s.Reason)
	}
	w.Later(time.Minute)
	if s := w.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code())); s.State != signin.Granted {
		t.Errorf("at a known place: %s", s.Reason)
	}
	w.Later(time.Minute)
	travels := servertest.Line("ada", servertest.Passphrase, ada.Code())
	travels.Source = netip.MustParseAddr("198.51.100.77")
	if s := w.Begin(travels); s.State != signin.Granted {
		t.Errorf("at a new place: %s", s.Reason)
	}
	w.Later(time.Minute)
	travels = servertest.Line("ada", servertest.Passphrase, ada.Code())
	travels.Source, travels.Browser = netip.MustParseAddr("2001:db8:1::9"), kept // where it all comes from
	if s := w.Begin(travels); s.State != signin.Granted {
		t.Errorf("in a remembered browser: %s", s.Reason)
	}
}
