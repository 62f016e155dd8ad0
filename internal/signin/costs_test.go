package signin

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/mailcode"
	"countersign/internal/directory"
	"countersign/internal/prompt"
)

// charged is how many wrong answers in a row a credential has, from whichever side has
// most.
func (r *rig) charged(c directory.Credential) (n int64) {
	r.t.Helper()
	err := r.DB.QueryRow(r.t.Context(), `select coalesce(max(count), 0) from guess where subject like $1`, guessesAt(c.ID)+"%").Scan(&n)
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

// A wrong answer costs one, checked before the transaction or in it; a right one costs
// nothing and makes good those before it; what is refused unseen costs nothing.
func TestWhatAnAnswerCosts(t *testing.T) {
	r := newRig(t, twoFactors)
	ada := r.person("ada")
	word, app := r.withPassword(ada), r.withCodes(ada)
	is := func(what string, c directory.Credential, want int64) {
		t.Helper()
		if n := r.charged(c); n != want {
			t.Errorf("%s: %d wrong answers in a row; want %d", what, n, want)
		}
	}
	s := r.begin(browses("wiki", "ada"))
	is("nothing was answered", word, 0)
	for i := range int64(2) {
		s = r.reply(s, "password", "wrong")
		is("a wrong password", word, i+1)
	}
	s = r.reply(s, "password", secret)
	is("the right one", word, 0)
	s = r.reply(s, "password", "wrong")
	is("one that was not asked", word, 0)
	for i := range int64(2) {
		s = r.reply(s, "totp", "000000")
		is("a wrong code", app.Credential, i+1)
	}
	r.is("the right code", r.reply(s, "totp", app.code()), Granted, "")
	is("the right code", app.Credential, 0)
	is("the code after the password", word, 0)

	// So many in a row, and the right one must wait: untouched, and told like a wrong one.
	for i := range r.Limits.Delay {
		r.is("a wrong password", r.begin(browses("wiki", "ada", typed("password", fmt.Sprint("wrong", i)))), Ask, "wrong")
	}
	s = r.begin(browses("wiki", "ada", typed("password", secret)))
	if r.is("the right one, too soon", s, Ask, "delayed"); !s.Again || s.Public != bland {
		t.Errorf("told %+v", s)
	}
	is("one that was not looked at", word, int64(r.Limits.Delay))
	r.clock.Later(time.Minute)
	s = r.begin(browses("wiki", "ada", typed("password", secret)))
	if r.is("the right one, later", s, Ask, ""); kindsOf(s) == "password" {
		t.Errorf("asked for %s", kindsOf(s))
	}
	is("the right one, later", word, 0)
}

// The first half of two codes costs nothing that was not paid before.
func TestWhatHalfAnAnswerCosts(t *testing.T) {
	r, c, result := withSaying(t)
	s := r.reply(r.begin(browses("wiki", "ada")), "password", secret)
	*result = authenticator.Result{}
	s = r.reply(s, "totp", "123456")
	*result = authenticator.Result{Partial: true, Once: "1"}
	s = r.reply(s, "totp", "123456")
	if n := r.charged(c); s.State != Ask || n != 1 {
		t.Errorf("after one wrong and one half: %d, %+v", n, s)
	}
}

// Guessing at many from one address raises one alarm at each step, and none before.
func TestGuessingFromOneSource(t *testing.T) {
	r := newRig(t, anyFactor)
	guess := func(i int) {
		r.begin(Request{Application: "vpn", Name: fmt.Sprint("nobody", i), Source: outside, Protocol: "radius", Medium: prompt.Single, Opening: []prompt.Answer{typed("password", "x")}})
	}
	of := func() (n int) {
		for _, en := range r.events("alarm.guessing") {
			if en.Reason == "source" {
				n++
			}
			if en.Detail["wrong-answers"] != "20" || en.Detail["window"] == "" || en.AccountName != "" {
				t.Errorf("%+v", en)
			}
		}
		return n
	}
	for i := range 19 {
		guess(i)
	}
	if n := of(); n != 0 {
		t.Errorf("%d alarms after 19", n)
	}
	guess(19)
	once := of()
	guess(20)
	if n := of(); once == 0 || n != once {
		t.Errorf("%d alarms after 20, %d after 21", once, n)
	}
}

// Where an answer came from is what counts; where nothing is said of it, where the
// attempt began.
func TestWhereAnAnswerComesFrom(t *testing.T) {
	r, _, app := withAda(t)
	line := func(from netip.Addr) Step {
		t.Helper()
		r.clock.Later(time.Minute)
		s := r.begin(Request{Application: "vpn", Name: "ada", Source: home, Protocol: "radius", Medium: prompt.Line, Partner: "nas", Opening: []prompt.Answer{typed("password", secret)}})
		done, err := r.Answer(t.Context(), s.Ticket, Reply{Answer: typed("totp", app.code()), Source: from, Partner: "nas"})
		if err != nil || done.State != Granted {
			t.Fatalf("%+v, %v", done, err)
		}
		return done
	}
	if s := line(outside); s.Grant.Source() != outside {
		t.Errorf("it came from %v", s.Grant.Source())
	}
	if s := line(netip.Addr{}); s.Grant.Source() != home {
		t.Errorf("of nowhere it came from %v", s.Grant.Source())
	}
}

// Behind strangers' noise a refusal of a stranger is counted; that of whoever has shown
// something, or has a session, has its entry.
func TestWhoseRefusalIsWrittenInNoise(t *testing.T) {
	r, ada, _ := withAda(t)
	r.sessions.put("hers", Held{Account: ada.ID, Number: "n1", Expires: r.Now().Add(time.Hour)})
	written := func(q Request, answers ...prompt.Answer) int {
		t.Helper()
		makeLoud(r)
		before := len(r.events("signin.refused"))
		q.Source, q.Protocol, q.Opening = outside, "radius", answers
		if s := r.begin(q); s.State != Denied {
			t.Fatalf("%+v", s)
		}
		return len(r.events("signin.refused")) - before
	}
	if n := written(Request{Application: "vpn", Name: "ada", Medium: prompt.Single}, typed("password", "wrong")); n != 0 {
		t.Errorf("a stranger's: %d entries", n)
	}
	if n := written(Request{Application: "vpn", Name: "ada", Medium: prompt.Single}, typed("password", secret)); n != 1 {
		t.Errorf("who has shown a password: %d entries", n)
	}
	if n := written(Request{Application: "nowhere", Session: "hers", Medium: prompt.Browser}); n != 1 {
		t.Errorf("who has a session: %d entries", n)
	}
}

// Getting back in by codes is refused at once where one of both cannot be had, and
// nothing else is.
func TestRecoverWithoutMail(t *testing.T) {
	ask := func(r *rig, action string) Step {
		q := browses(Self, "ada")
		q.Action = action
		return r.begin(q)
	}
	r := newRig(t, anyFactor)
	r.person("ada")
	r.is("with both", ask(r, Recover), Ask, "")
	without := slices.DeleteFunc(everyKind(t), func(a authenticator.Authenticator) bool { return a.Describe().Kind == mailcode.Kind })
	r = newRig(t, anyFactor, without...)
	r.person("ada")
	r.is("without mail", ask(r, Recover), Denied, "nothing-to-ask")
	r.is("signing in", ask(r, SignIn), Ask, "")
}
