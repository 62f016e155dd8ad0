package authenticatortest

import (
	"testing"

	"countersign/internal/authenticator"
)

// rewound gives the authenticator the state that it had before it accepted an
// answer, as a restored backup does: the answer must not be right again, also
// for one who has another copy of it in the minutes after.
func rewound(t *testing.T, s Subject) {
	how := s.New(t)
	desk := s.open(t, how, ada, bothGuards)
	before := desk.read()
	memo, answer := desk.ask(t, s.after(1))
	r := desk.answer(t, memo, answer, s.after(1))
	if !r.OK {
		t.Fatalf("the right answer was refused: %s", r.Reason)
	}
	if memo != nil || r.Once == "" {
		return // a challenge is forgotten with its attempt, and what is not spent may be given again
	}
	back, ok := how.(authenticator.RollbackRecoverer)
	if !ok {
		t.Fatal("its answers are spent and it keeps no challenge, so it must be a Rewinder: after a restore they could be given again")
	}
	next, usable, err := back.AfterRollback(before.State, s.after(1))
	if err != nil {
		t.Fatal(err)
	}
	if !usable {
		return
	}
	before.State = next
	for n := 1; n < 4; n++ {
		if r := check(t, how, []authenticator.Credential{before}, memo, answer, s.after(n)); r.OK || r.Partial {
			t.Errorf("an answer accepted before the restore was right again %v after", s.after(n).Sub(s.after(1)))
		}
	}
}
