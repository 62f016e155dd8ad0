package accesspass

import (
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/authenticatortest"
	"countersign/internal/prompt"
)

func TestExam(t *testing.T) {
	authenticatortest.Exam(t, authenticatortest.Subject{
		New: func(testing.TB) authenticator.Authenticator { return Authenticator{} },
		Enroll: func(t testing.TB, _ authenticator.Authenticator, _ authenticator.Person, now time.Time) (authenticator.Enrolled, authenticatortest.Answerer) {
			t.Helper()
			code, e, err := Issue(now, 8*time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			return e, func(testing.TB, prompt.Prompt, time.Time) prompt.Answer {
				return prompt.Answer{Authenticator: Kind, Text: code}
			}
		},
		Uses: 1, Unmoved: true,
	})
}

// A pass ends at its end, exactly, and what it showed ends with it.
func TestEnd(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	code, e, err := Issue(now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for after, ok := range map[time.Duration]bool{0: true, time.Hour - time.Second: true, time.Hour: false, 24 * time.Hour: false} {
		r, err := Authenticator{}.Check(t.Context(), []authenticator.Credential{{ID: 1, State: e.State}}, nil, prompt.Answer{Text: code}, now.Add(after))
		if err != nil || r.OK != ok || ok && !r.Until.Equal(now.Add(time.Hour)) || !ok && r.Reason != "expired" {
			t.Errorf("after %s: %+v %v", after, r, err)
		}
	}
}
