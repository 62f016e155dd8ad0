package smscode

import (
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/authenticatortest"
	"countersign/internal/authenticator/sentcode"
	"countersign/internal/prompt"
)

func TestExam(t *testing.T) {
	var came authenticator.Message
	number, err := state{Number: "+4930123456"}.encode()
	if err != nil {
		t.Fatal(err)
	}
	typed := func(testing.TB, prompt.Prompt, time.Time) prompt.Answer {
		return prompt.Answer{Authenticator: Kind, Text: came.Text[:sentcode.Digits]}
	}
	authenticatortest.Exam(t, authenticatortest.Subject{
		New: func(testing.TB) authenticator.Authenticator {
			return authenticatortest.Pressed{Sending: New("Example", "login.example.org"), Came: &came, State: number, To: "+4930123456"}
		},
		Enroll: func(t testing.TB, _ authenticator.Authenticator, _ authenticator.Person, _ time.Time) (authenticator.Enrolled, authenticatortest.Answerer) {
			t.Helper()
			return authenticator.Enrolled{State: number, Traits: traits, Label: "SMS"}, typed
		},
		Confirm: typed,
		Unmoved: true,
	})
}
