package signin

import (
	"context"
	"errors"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/prompt"
)

// hooked calls what it is set to, once, when somebody next wants to know what it is: that
// is after a ticket was read and before it is used.
type hooked struct {
	right
	then *func()
}

func (a hooked) Describe() authenticator.Description {
	if f := *a.then; f != nil {
		*a.then = nil
		f()
	}
	return a.right.Describe()
}

// withHook is ada with a password and an authenticator of a kind, that takes any answer.
func withHook(t *testing.T, kind string) (r *rig, then *func()) {
	t.Helper()
	then = new(func())
	kinds := everyKind(t)
	instead(kinds, kind, func(how authenticator.Authenticator) authenticator.Authenticator { return hooked{right{how}, then} })
	r = newRig(t, twoFactors, kinds...)
	ada := r.person("ada")
	r.withPassword(ada)
	r.give(ada, kind, authenticator.Enrolled{Traits: assurance.Held, State: []byte("x")})
	return r, then
}

// Of two answers with one ticket that are read in the same moment one goes on: on pages,
// where the row stays, and on a line, where it goes; whether the ticket is taken before
// the answer is looked at or with what comes of it.
func TestTwoAnswersInOneMoment(t *testing.T) {
	for _, kind := range []string{"totp", "recoverycode"} {
		for _, medium := range []prompt.Medium{prompt.Browser, prompt.Line} {
			r, then := withHook(t, kind)
			s := r.begin(Request{Application: "vpn", Name: "ada", Source: home, Protocol: "radius", Medium: medium, Opening: []prompt.Answer{typed("password", secret)}})
			if s.State != Ask || isSealed(s.Ticket) {
				t.Fatalf("%s: %+v", kind, s)
			}
			var first Step
			*then = func() { first = r.reply(s, kind, "x") }
			second := r.reply(s, kind, "x")
			r.is(kind+", the first", first, Granted, "")
			reason := "used-ticket"
			if kind == "recoverycode" && medium == prompt.Line {
				reason = "unknown-ticket" // its row is looked for, and is gone
			}
			r.is(kind+", the second", second, Denied, reason)
			if n := len(r.events("evidence.accepted")); n != 2 || len(r.events("alarm.factor-missing")) != 0 {
				t.Errorf("%s: %d answers were accepted, %d alarms", kind, n, len(r.events("alarm.factor-missing")))
			}
		}
	}
}

// sessionsThen calls what it is set to, once, before it reads a session.
type sessionsThen struct {
	under ActiveSessions
	then  func()
}

func (s *sessionsThen) Active(ctx context.Context, secret string) (Held, error) {
	if f := s.then; f != nil {
		s.then = nil
		f()
	}
	return s.under.Active(ctx, secret)
}

// Of two claims with one ticket that are read in the same moment one is granted.
func TestTwoClaimsInOneMoment(t *testing.T) {
	r, ada, app := withAda(t)
	sessions := &sessionsThen{under: r.sessions}
	r.Engine.sessions.held = sessions
	r.sessions.put("hers", Held{Account: ada.ID, Number: "n1", Expires: r.Now().Add(time.Hour)})
	q := browses("wiki", "")
	q.Session = "hers"
	s := r.reply(r.reply(r.begin(q), "password", secret), "totp", app.code())
	if s.State != Granted || isSealed(s.Ticket) {
		t.Fatalf("%+v", s)
	}
	first := "not claimed"
	sessions.then = func() { first = claimFor(r, s) }
	second := claimFor(r, s)
	if first != "" || second != "used-ticket" || len(r.events("signin.granted")) != 1 {
		t.Errorf("the first: %q, the second: %q, %d grants", first, second, len(r.events("signin.granted")))
	}
}

// fails is one whose check breaks down while an error is set.
type fails struct {
	right
	with *error
}

func (a fails) Check(ctx context.Context, c []authenticator.Credential, m authenticator.Memo, answer prompt.Answer, now time.Time) (authenticator.Result, error) {
	if *a.with != nil {
		return authenticator.Result{}, *a.with
	}
	return a.right.Check(ctx, c, m, answer, now)
}

// What breaks down while an answer is looked at is no refusal, and whoever gave a quick
// one gives it again with the same ticket; that of a slow one is used up.
func TestATicketAfterABreakdown(t *testing.T) {
	for kind, next := range map[string]State{"totp": Granted, "recoverycode": Denied} {
		var with error
		kinds := everyKind(t)
		instead(kinds, kind, func(how authenticator.Authenticator) authenticator.Authenticator { return fails{right{how}, &with} })
		r := newRig(t, twoFactors, kinds...)
		ada := r.person("ada")
		r.withPassword(ada)
		r.give(ada, kind, authenticator.Enrolled{Traits: assurance.Held, State: []byte("x")})
		s := r.reply(r.begin(browses("wiki", "ada")), "password", secret)
		with = errors.New("the disk is gone")
		if broken, err := r.Answer(t.Context(), s.Ticket, Reply{Answer: typed(kind, "123456"), Source: home}); !errors.Is(err, with) || broken.State != Denied {
			t.Errorf("%s: %+v, %v", kind, broken, err)
		}
		if n := len(r.events("signin.refused")) + len(r.events("answer.refused")); n != 0 {
			t.Errorf("%s: %d refusals", kind, n)
		}
		with = nil
		if again := r.reply(s, kind, "123456"); again.State != next || next == Denied && again.Reason != "used-ticket" {
			t.Errorf("%s, once more: %v %s", kind, again.State, again.Reason)
		}
	}
}

// What a session gains after a question was put is granted anew, and not by the ticket of
// the question: that names nothing that could be claimed once.
func TestASessionThatGainsInBetween(t *testing.T) {
	r, ada, key := withTouch(t)
	held := Held{Account: ada.ID, Number: "n1", Expires: r.Now().Add(time.Hour)}
	r.sessions.put("hers", held)
	q := browses("wiki", "")
	q.Session = "hers"
	s := r.begin(q)
	if s.State != Ask || !isSealed(s.Ticket) {
		t.Fatalf("%+v", s)
	}
	held.Evidence = []assurance.Evidence{{Account: ada.ID, Kind: "passkey", Credential: key.ID, Traits: strong, Time: r.Now(), Channel: "browser"}}
	r.sessions.put("hers", held)
	for range 2 {
		if why := claimFor(r, s); why != "not-enough" {
			t.Errorf("by the ticket of the question: %q", why)
		}
	}
	s, err := r.Poll(t.Context(), s.Ticket)
	if err != nil || s.State != Granted {
		t.Fatalf("looked at: %+v, %v", s, err)
	}
	for _, want := range []string{"", "used-ticket"} {
		if why := claimFor(r, s); why != want {
			t.Errorf("then: %q; want %q", why, want)
		}
	}
}
