package recoverycode

import (
	"encoding/json"
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/authenticatortest"
	"countersign/internal/authenticator/slowhash"
	"countersign/internal/prompt"
)

func codes(t testing.TB, offer prompt.Prompt) []string {
	t.Helper()
	var shown struct{ Codes []string }
	if err := json.Unmarshal(offer.Data, &shown); err != nil || len(shown.Codes) != count {
		t.Fatal(err, len(shown.Codes))
	}
	return shown.Codes
}

func TestExam(t *testing.T) {
	authenticatortest.Exam(t, authenticatortest.Subject{
		New: func(t testing.TB) authenticator.Authenticator {
			a, err := New(authenticatortest.Hashing(), slowhash.NewGate(4, 1000))
			return authenticatortest.Hashed(t, a, err)
		},
		Enroll: func(t testing.TB, a authenticator.Authenticator, p authenticator.Person, now time.Time) (authenticator.Enrolled, authenticatortest.Answerer) {
			t.Helper()
			offer, memo, err := a.(*Authenticator).Offer(p, now)
			if err != nil {
				t.Fatal(err)
			}
			list := codes(t, offer)
			e, err := a.(*Authenticator).Accept(t.Context(), p, memo, prompt.Answer{Text: list[3]}, now)
			if err != nil {
				t.Fatal(err)
			}
			next := 0
			return e, func(testing.TB, prompt.Prompt, time.Time) prompt.Answer {
				next++
				return prompt.Answer{Authenticator: Kind, Text: list[(next-1)%count]}
			}
		},
		Confirm: func(t testing.TB, offer prompt.Prompt, _ time.Time) prompt.Answer {
			return prompt.Answer{Authenticator: Kind, Text: codes(t, offer)[0]}
		},
		Uses: count,
	})
}
