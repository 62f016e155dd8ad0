package pretend

import (
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/authenticatortest"
	"countersign/internal/prompt"
)

func TestExam(t *testing.T) {
	const links = 100
	authenticatortest.Exam(t, authenticatortest.Subject{
		New: func(testing.TB) authenticator.Authenticator { return Authenticator{} },
		Enroll: func(t testing.TB, _ authenticator.Authenticator, _ authenticator.Person, _ time.Time) (authenticator.Enrolled, authenticatortest.Answerer) {
			t.Helper()
			chain, enrolled, err := New(links)
			if err != nil {
				t.Fatal(err)
			}
			next := 0
			return enrolled, func(testing.TB, prompt.Prompt, time.Time) prompt.Answer {
				next++
				return prompt.Answer{Authenticator: Kind, Text: chain[(next-1)%links]}
			}
		},
		Uses: links,
	})
}
