package signin

import (
	"testing"

	"countersign/internal/authenticator"
	"countersign/internal/directory"
)

// A ticket of an attempt that has shown something is good for one answer, however the
// second comes in between: whichever of the two is worked on longer, one goes on.
func TestATicketIsAnsweredOnce(t *testing.T) {
	for _, kind := range []string{"passkey", "recoverycode"} {
		var then func()
		kinds := whileChecked(t, kind, &then, []byte("next"))
		r := newRig(t, twoFactors, kinds...)
		ada := r.person("ada")
		r.withPassword(ada)
		r.give(ada, kind, authenticator.Enrolled{Traits: r.kinds[kind].Describe().Traits, State: []byte("x")})
		s := r.reply(r.begin(browses("wiki", "ada")), "password", secret)
		if s.State != Ask || isSealed(s.Ticket) {
			t.Fatalf("%s: %+v", kind, s)
		}
		var inner Step
		then = func() { inner = r.reply(s, kind, "x") }
		outer := r.reply(s, kind, "x")
		went := 0
		for _, one := range []Step{inner, outer} {
			switch {
			case one.State == Granted:
				went++
			case one.State != Denied || one.Reason != "used-ticket" || one.Public != bland:
				t.Errorf("%s: %v %q", kind, one.State, one.Reason)
			}
		}
		if went != 1 || len(r.events("evidence.accepted")) != 2 {
			t.Errorf("%s: %d went on, %d answers were accepted", kind, went, len(r.events("evidence.accepted")))
		}
		if next := r.reply(s, kind, "x"); next.Reason != "used-ticket" {
			t.Errorf("%s, later: %+v", kind, next)
		}
	}
}

// A slow answer takes its ticket before it is looked at, and so costs its one guess only.
func TestASlowAnswerTakesItsTicket(t *testing.T) {
	var then func()
	kinds := whileChecked(t, "recoverycode", &then, []byte("next"))
	r := newRig(t, twoFactors, kinds...)
	ada := r.person("ada")
	r.withPassword(ada)
	c := r.give(ada, "recoverycode", authenticator.Enrolled{Traits: r.kinds["recoverycode"].Describe().Traits, State: []byte("x")})
	s := r.reply(r.begin(browses("wiki", "ada")), "password", secret)
	then = func() {
		if next := r.reply(s, "recoverycode", "x"); next.Reason != "used-ticket" {
			t.Errorf("while it was looked at: %+v", next)
		}
		if n := r.charged(c); n != 1 {
			t.Errorf("%d guesses are paid for", n)
		}
		if look, err := r.Poll(t.Context(), s.Ticket); err != nil || look.Reason != "used-ticket" {
			t.Errorf("a look with it: %+v, %v", look, err)
		}
	}
	if end := r.reply(s, "recoverycode", "x"); end.State != Granted {
		t.Errorf("%+v", end)
	}
	if now, err := r.credentials.Get(t.Context(), r.DB, ada.ID, c.ID); err != nil || now.Status != directory.CredentialActive || r.charged(c) != 0 {
		t.Errorf("%+v, %v", now, err)
	}
}
