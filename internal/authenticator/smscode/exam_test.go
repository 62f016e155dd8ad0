package smscode

import (
	"context"
	"errors"
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/authenticatortest"
	"countersign/internal/authenticator/sentcode"
	"countersign/internal/prompt"
)

// pressed is the authenticator with somebody who always has a code sent, and the
// telephone that it comes to.
type pressed struct {
	*Authenticator
	came   *authenticator.Message
	number []byte
}

func (p pressed) Ask(credentials []authenticator.Credential, now time.Time) (prompt.Prompt, authenticator.Memo, error) {
	c := authenticator.Credential{State: p.number} // nobody's: only who has shown a password is asked at all
	if len(credentials) > 0 {
		c = credentials[0]
	}
	message, q, memo, err := p.Send(c, now)
	*p.came = message
	return q, memo, err
}

// Offer is the second question of an enrollment, for the code that came.
func (p pressed) Offer(who authenticator.Person, now time.Time) (prompt.Prompt, authenticator.Memo, error) {
	_, memo, err := p.Authenticator.Offer(who, now)
	if err != nil {
		return prompt.Prompt{}, nil, err
	}
	var another *authenticator.Another
	if _, err = p.Accept(context.Background(), who, memo, prompt.Answer{Authenticator: Kind, Text: "+4930123456"}, now); !errors.As(err, &another) {
		return prompt.Prompt{}, nil, err
	}
	*p.came = another.Message
	return another.Prompt, another.Memo, nil
}

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
			return pressed{New("Example", "login.example.org"), &came, number}
		},
		Enroll: func(t testing.TB, _ authenticator.Authenticator, _ authenticator.Person, _ time.Time) (authenticator.Enrolled, authenticatortest.Answerer) {
			t.Helper()
			return authenticator.Enrolled{State: number, Traits: traits, Label: "SMS"}, typed
		},
		Confirm: typed,
		Unmoved: true,
	})
}
