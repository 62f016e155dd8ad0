package signin

import (
	"fmt"
	"testing"
	"time"

	"countersign/internal/prompt"
	"countersign/internal/throttle"
)

// limited has other limits from now on.
func (g *guessed) limited(edit func(l *throttle.Limits)) {
	g.t.Helper()
	edit(&g.Limits)
	g.remake()
}

// Where too much is wrong in the whole installation, strangers wait from their first
// wrong answer on. Nobody is refused for it, and who is known there waits as ever.
func TestStrangersWaitWhereTooMuchIsWrong(t *testing.T) {
	g := withGuesses(t, anyFactor)
	g.limited(func(l *throttle.Limits) { l.PerInstallation = 6 })
	again := func(q Request) (reason string) {
		t.Helper()
		q.Opening = []prompt.Answer{typed("password", "wrong")}
		if s := g.begin(q); s.Reason != "wrong" {
			t.Errorf("the wrong one: %v %s", s.State, s.Reason)
		}
		q.Opening = []prompt.Answer{typed("password", secret)}
		if s := g.begin(q); s.State != Granted {
			return s.Reason
		}
		return ""
	}
	inBrowser := g.by(outside, "")
	inBrowser.Browser = g.throttle.Browser(g.ada.ID)
	if why := again(g.by(g.stranger, "")); why != "" {
		t.Errorf("a stranger, in peace: %q", why)
	}
	for i := range 5 { // in one moment, of names that nobody has
		g.tries(fmt.Sprint("nobody", i), outside)
	}
	if why := again(g.by(home, "")); why != "" {
		t.Errorf("at home: %q", why)
	}
	if why := again(inBrowser); why != "" {
		t.Errorf("in her browser: %q", why)
	}
	if why := again(g.by(g.stranger, "")); why != "delayed" {
		t.Errorf("a stranger: %q", why)
	}
	g.clock.Later(30 * time.Second)
	if s := g.begin(g.by(g.stranger, secret)); s.State != Granted {
		t.Errorf("the stranger, after half a minute: %v %s", s.State, s.Reason)
	}
	g.clock.Later(10 * time.Minute)
	if why := again(g.by(g.stranger, "")); why != "" {
		t.Errorf("a stranger, in peace again: %q", why)
	}
}

// An account's hour begins with its first wrong answer, and not anew with each.
func TestAnHourBeginsWithItsFirstWrongAnswer(t *testing.T) {
	g := withGuesses(t, anyFactor)
	g.limited(func(l *throttle.Limits) { l.PerAccount = 3 })
	for _, wait := range []time.Duration{0, 50 * time.Minute, 5 * time.Minute} {
		g.clock.Later(wait)
		g.tries("ada", outside)
	}
	g.clock.Later(4 * time.Minute)
	if s := g.begin(g.by(outside, secret)); s.Reason != "account-budget" {
		t.Errorf("after 59 minutes: %v %s", s.State, s.Reason)
	}
	g.clock.Later(time.Minute)
	if s := g.begin(g.by(outside, secret)); s.State != Granted {
		t.Errorf("after an hour: %v %s", s.State, s.Reason)
	}
}

// A right answer costs an account nothing, whether it was paid for ahead or not, and
// gives back none of its wrong ones.
func TestRightAnswersCostNothing(t *testing.T) {
	g := withGuesses(t, anyFactor)
	g.limited(func(l *throttle.Limits) { l.PerAccount, l.PerSource = 3, 3 })
	for i := range 5 {
		if s := g.begin(g.by(outside, secret)); s.State != Granted {
			t.Fatalf("the %dth right password: %v %s", i+1, s.State, s.Reason)
		}
	}
	code := g.by(outside, "")
	code.CodeAlone = true
	for i := range 3 {
		g.clock.Later(time.Minute)
		code.Opening = []prompt.Answer{typed("totp", g.app.code())}
		if s := g.begin(code); s.State != Granted {
			t.Fatalf("a right code after %d wrong passwords: %v %s", i, s.State, s.Reason)
		}
		g.tries("ada", outside)
		if s := g.begin(g.by(home, secret)); s.State != Granted {
			t.Fatalf("at home after %d wrong passwords: %v %s", i+1, s.State, s.Reason)
		}
	}
	if s := g.begin(g.by(g.stranger, secret)); s.Reason != "account-budget" {
		t.Errorf("a stranger after three wrong ones: %v %s", s.State, s.Reason)
	}
	if s := g.begin(g.by(home, secret)); s.State != Granted {
		t.Errorf("at home after three wrong ones of strangers: %v %s", s.State, s.Reason)
	}
}

// A right answer makes good the wrong ones in a row of all sides at once, for its own
// authenticator and no other.
func TestARightAnswerIsForAllSides(t *testing.T) {
	g := withGuesses(t, anyFactor)
	nas := func(text string) Request {
		return Request{Application: "vpn", Name: "ada", Protocol: "radius", Medium: prompt.Line, Partner: "nas", Opening: []prompt.Answer{typed("password", text)}}
	}
	if s := g.begin(nas(secret)); s.State != Granted {
		t.Fatalf("%+v", s)
	}
	inBrowser := g.by(outside, "wrong")
	inBrowser.Browser = g.throttle.Browser(g.ada.ID)
	code := g.by(outside, "")
	code.CodeAlone, code.Opening = true, []prompt.Answer{typed("totp", "none")}
	for _, q := range []Request{g.by(outside, "wrong"), g.by(home, "wrong"), inBrowser, code, nas("wrong")} {
		if s := g.begin(q); s.State == Granted {
			t.Fatalf("%+v", s)
		}
	}
	var sides int64
	of := func() int64 {
		t.Helper()
		if err := g.DB.QueryRow(t.Context(), `select count(*) from guess where subject like $1 and count > 0`, guessesAt(g.password.ID)+"%").Scan(&sides); err != nil {
			t.Fatal(err)
		}
		return sides
	}
	if of() != 4 || g.charged(g.app.Credential) != 1 {
		t.Fatalf("wrong on %d sides; %d of the app", of(), g.charged(g.app.Credential))
	}
	if s := g.begin(g.by(home, secret)); s.State != Granted {
		t.Fatalf("%v %s", s.State, s.Reason)
	}
	if of() != 0 || g.charged(g.app.Credential) != 1 {
		t.Errorf("after the right one: wrong on %d sides; %d of the app", of(), g.charged(g.app.Credential))
	}
}

// A right password does not touch what all servers count together, not even for a moment, so that
// people who sign in do not wait for each other; a wrong one counts once.
func TestARightPasswordLeavesTheInstallationAlone(t *testing.T) {
	g := withGuesses(t, anyFactor)
	count := func() (n int64) {
		t.Helper()
		if err := g.DB.QueryRow(t.Context(), `select coalesce(max(count), 0) from guess where subject = 'installation'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for i := range int64(3) {
		if s := g.begin(g.by(home, secret)); s.State != Granted {
			t.Fatalf("%+v", s)
		}
		if n := count(); n != i {
			t.Errorf("%d after %d wrong passwords", n, i)
		}
		var rows int64
		if err := g.DB.QueryRow(t.Context(), `select count(*) from guess where subject = 'installation'`).Scan(&rows); err != nil || i == 0 && rows > 0 {
			t.Errorf("a right password left %d rows, %v", rows, err)
		}
		g.tries("ada", outside)
		g.clock.Later(time.Minute)
	}
	if n := count(); n != 3 {
		t.Errorf("%d after 3 wrong passwords", n)
	}
}
