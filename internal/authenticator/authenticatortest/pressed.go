package authenticatortest

import (
	"context"
	"errors"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/prompt"
)

// Sending is an authenticator whose codes are sent.
type Sending interface {
	authenticator.Authenticator
	authenticator.Sender
	authenticator.Enroller
}

// Pressed is such an authenticator with somebody who always has a code sent, and
// what came: the exam's questions are then those for a code.
type Pressed struct {
	Sending
	Came *authenticator.Message
	// State is of a credential; To is where an enrollment has its code sent.
	State []byte
	To    string
}

// Ask sends a code. For nobody's credential it sends one too: only who has shown
// something before is asked at all.
func (p Pressed) Ask(credentials []authenticator.Credential, now time.Time) (prompt.Prompt, authenticator.Memo, error) {
	c := authenticator.Credential{State: p.State}
	if len(credentials) > 0 {
		c = credentials[0]
	}
	message, q, memo, err := p.Send(c, now)
	*p.Came = message
	return q, memo, err
}

// Offer is the second question of an enrollment, for the code that came.
func (p Pressed) Offer(who authenticator.Person, now time.Time) (prompt.Prompt, authenticator.Memo, error) {
	_, memo, err := p.Sending.Offer(who, now)
	if err != nil {
		return prompt.Prompt{}, nil, err
	}
	var another *authenticator.Another
	if _, err = p.Accept(context.Background(), who, memo, prompt.Answer{Authenticator: p.Describe().Kind, Text: p.To}, now); !errors.As(err, &another) {
		return prompt.Prompt{}, nil, err
	}
	*p.Came = another.Message
	return another.Prompt, another.Memo, nil
}
