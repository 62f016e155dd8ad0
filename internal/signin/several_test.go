package signin

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/prompt"
	"countersign/internal/throttle"
)

// spelled takes for right what a credential's state spells, and for half of it what
// stands there behind "half ".
type spelled struct{ authenticator.Authenticator }

func (a spelled) Check(_ context.Context, credentials []authenticator.Credential, _ authenticator.Memo, answer prompt.Answer, now time.Time) (authenticator.Result, error) {
	for _, c := range credentials {
		switch string(c.State) {
		case answer.Text:
			return authenticator.Result{OK: true, Credential: c.ID, Traits: a.Describe().Traits}, nil
		case "half " + answer.Text:
			return authenticator.Result{Partial: true, Credential: c.ID, Once: now.String()}, nil
		}
	}
	return authenticator.Wrong("wrong"), nil
}

// withSpelled is ada, whose codes spell what the test says, on a line that asks for codes
// alone.
func withSpelled(t *testing.T, kinds ...string) (g *guessed, q Request) {
	t.Helper()
	all := everyKind(t)
	for i, how := range all {
		if slices.Contains(kinds, how.Describe().Kind) {
			all[i] = spelled{how}
		}
	}
	g = &guessed{rig: newRig(t, anyFactor, all...), stranger: outside}
	g.ada = g.person("ada")
	q = Request{Application: "vpn", Name: "ada", Source: outside, Protocol: "radius", Medium: prompt.Single, CodeAlone: true}
	return g, q
}

func (g *guessed) spells(kind, state string) directory.Credential {
	g.t.Helper()
	return g.give(g.ada, kind, authenticator.Enrolled{Traits: g.kinds[kind].Describe().Traits, State: []byte(state)})
}

// A code may be of any device: only the one that it is of takes it, and to the others it
// is no wrong answer. One that is of none is wrong for each, and for the account once.
func TestACodeOfSeveralDevices(t *testing.T) {
	g, q := withSpelled(t, "totp", "hotp")
	app, token := g.spells("totp", "111111"), g.spells("hotp", "222222")
	of := func() (n int64) {
		t.Helper()
		if err := g.DB.QueryRow(t.Context(), `select coalesce(sum(count), 0) from guess where subject = $1`, fmt.Sprint("account/", g.ada.ID)).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, c := range []struct {
		text, shows         string
		app, token, account int64 // wrong answers afterwards
	}{
		{"333333", "", 1, 1, 1},
		{"222222", "hotp", 1, 0, 1},
		{"333333", "", 2, 1, 2},
		{"111111", "totp", 0, 1, 2},
	} {
		q.Opening, q.Source = []prompt.Answer{typed(AnyCode, c.text)}, q.Source.Next() // always a stranger
		s := g.begin(q)
		if c.shows == "" {
			g.is(c.text, s, Denied, "wrong")
		} else if s.State != Granted || strings.Join(shows(s.Grant.Evidence()), " ") != c.shows {
			t.Errorf("%s: %v %s", c.text, s.State, s.Reason)
		}
		if a, b, n := g.charged(app), g.charged(token), of(); a != c.app || b != c.token || n != c.account {
			t.Errorf("%s: wrong %d and %d times, %d of the account; want %d, %d and %d", c.text, a, b, n, c.app, c.token, c.account)
		}
	}
}

// The same of words, which may be a password or a saved code where both are asked for.
func TestAWordOfSeveralKinds(t *testing.T) {
	g, q := withSpelled(t, "password", "recoverycode")
	word, saved := g.spells("password", "correct"), g.spells("recoverycode", "abcd-efgh")
	g.sessions.put("hers", Held{Account: g.ada.ID, Number: "n1", Expires: g.Now().Add(time.Hour)})
	q.Session, q.Medium, q.CodeAlone = "hers", prompt.Line, false
	for text, shown := range map[string]string{"correct": "password", "abcd-efgh": "recoverycode"} {
		s := g.begin(q)
		if s.State != Ask || kindsOf(s) != "password recoverycode" {
			t.Fatalf("%+v", s)
		}
		if s = g.reply(s, "", text); s.State != Granted || strings.Join(shows(s.Grant.Evidence()), " ") != shown {
			t.Errorf("%s: %v %s", text, s.State, s.Reason)
		}
		if a, b := g.charged(word), g.charged(saved); a != 0 || b != 0 {
			t.Errorf("%s: wrong %d and %d times", text, a, b)
		}
	}
}

// Half of what one device wants is of that one as well.
func TestHalfACodeOfSeveralDevices(t *testing.T) {
	g, q := withSpelled(t, "totp", "hotp")
	app, token := g.spells("totp", "111111"), g.spells("hotp", "half 222222")
	q.Opening, q.Medium, q.Partner = []prompt.Answer{typed(AnyCode, "222222")}, prompt.Line, "nas"
	s := g.begin(q)
	if g.is("half a code", s, Ask, ""); len(g.events("evidence.half")) != 1 || g.last("evidence.half").Detail["authenticator"] != "hotp" {
		t.Errorf("the log says %+v", g.events("evidence.half"))
	}
	if g.charged(app) != 0 || g.charged(token) != 0 {
		t.Errorf("charged %d and %d", g.charged(app), g.charged(token))
	}
}

// Of two devices of a kind a wrong code wears out both: both are closed by it, and one is
// closed in the answer by which the other becomes slow.
func TestTwoDevicesAreClosed(t *testing.T) {
	g, q := withSpelled(t, "totp")
	closed := func() (out []string) {
		for _, en := range g.events("credential.closed") {
			out = append(out, en.Detail["authenticator"])
		}
		slices.Sort(out)
		return out
	}
	name := func(c directory.Credential) string {
		return "totp/" + strings.TrimPrefix(guessesAt(c.ID), "credential/")
	}
	_, second := g.spells("totp", "111111"), g.spells("totp", "222222")
	slow := slowestTries(g.rig)
	guess := func(times int, text string) {
		t.Helper()
		q.Opening = []prompt.Answer{typed("totp", text)}
		if s := g.guess(times, q); s != "wrong" {
			t.Fatal(s)
		}
	}
	guess(g.Limits.Disable-slow, "333333")
	g.clock.Later(2 * time.Hour)
	q.Opening = []prompt.Answer{typed("totp", "111111")} // makes good what was wrong of the first
	g.is("the first", g.begin(q), Granted, "")
	guess(slow-1, "333333")
	if got := closed(); len(got) != 0 {
		t.Errorf("closed %v", got)
	}
	guess(1, "333333")
	if got := closed(); !slices.Equal(got, []string{name(second)}) {
		t.Errorf("closed %v; want the second", got)
	}
	if why := g.guess(1, q); why != "closed" {
		t.Errorf("one more: %s", why)
	}

	g, q = withSpelled(t, "totp")
	first := g.spells("totp", "111111")
	second = g.spells("totp", "222222")
	guess(g.Limits.Disable-1, "333333")
	if got := closed(); len(got) != 0 {
		t.Errorf("closed %v", got)
	}
	guess(1, "333333")
	if got := closed(); !slices.Equal(got, []string{name(first), name(second)}) {
		t.Errorf("closed %v; want both", got)
	}
	if got := g.closedFor(); !slices.Equal(got, []string{"strangers", "strangers"}) {
		t.Errorf("closed for %v", got)
	}
}

// The right code of one device makes good what was wrong of that one, on every side, and
// nothing of the other.
func TestARightCodeIsOfItsOwnDevice(t *testing.T) {
	g, q := withSpelled(t, "totp")
	first, second := g.spells("totp", "111111"), g.spells("totp", "222222")
	answer := func(text string) Step {
		t.Helper()
		q.Opening = []prompt.Answer{typed("totp", text)}
		return g.begin(q)
	}
	g.is("of the second", answer("222222"), Granted, "") // outside is known from now on
	q.Source = home
	g.is("a wrong one from elsewhere", answer("333333"), Denied, "wrong")
	q.Source = outside
	g.is("of the second once more", answer("222222"), Granted, "")
	if a, b := g.charged(first), g.charged(second); a != 1 || b != 0 {
		t.Errorf("wrong in a row: %d of the first and %d of the second", a, b)
	}
}

// Half of a slow answer is paid back what it was charged, and what was wrong elsewhere
// stays: on each side an account's hour is its own.
func TestHalfASlowAnswer(t *testing.T) {
	g, q := withSpelled(t, "recoverycode")
	g.limited(func(l *throttle.Limits) { l.PerAccount = 1 })
	c := g.spells("recoverycode", "half 222222")
	answer := func(from netip.Addr, text string) Step {
		t.Helper()
		q.Source, q.Opening = from, []prompt.Answer{typed("recoverycode", text)}
		return g.begin(q)
	}
	notePlace(g.rig, g.ada, home, g.Now())
	g.is("a wrong one at home", answer(home, "333333"), Denied, "wrong")
	for range 3 {
		g.clock.Later(time.Second) // so that each half is another
		answer(outside, "222222")
	}
	if n := len(g.events("evidence.half")); n != 3 || g.charged(c) != 1 {
		t.Errorf("%d halves were taken; %d wrong in a row", n, g.charged(c))
	}
	g.is("another at home", answer(home, "222222"), Denied, "account-budget")
}

// A wrong code that may be of two devices is one wrong answer to whoever looks for sprays.
func TestACodeOfSeveralDevicesIsOneName(t *testing.T) {
	g, q := withSpelled(t, "totp", "hotp")
	q.Opening = []prompt.Answer{typed(AnyCode, "333333")}
	for i := range 20 {
		if n := len(g.events("alarm.spray")); n != 0 {
			t.Fatalf("after %d people: %d alarms", i, n)
		}
		g.ada = g.person("person" + strconv.Itoa(i))
		g.spells("totp", "111111")
		g.spells("hotp", "222222")
		q.Name = g.ada.Name
		g.is(q.Name, g.begin(q), Denied, "wrong")
	}
	if n := len(g.events("alarm.spray")); n != 1 {
		t.Errorf("after twenty: %d alarms", n)
	}
}
