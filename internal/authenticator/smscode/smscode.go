// Package smscode is the authenticator for codes that are sent to a telephone by
// SMS.
//
// It owns telephone numbers and what is written in the message; sentcode makes and
// compares the codes. It sends nothing and decides nothing: signin queues what
// is to be sent and says how often, and a gateway outside carries it. Its one
// invariant: a code is right only for the question that it was made for, by the
// number that it was sent to, once, for ten minutes.
//
// It is a restricted authenticator (SP 800-63B-4 sections 3.1.3.3 and 3.2.9):
// whoever has the number moved to another card, or reads the network, has the code.
package smscode

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/sentcode"
	"countersign/internal/language"
	"countersign/internal/prompt"
)

// Kind is this authenticator's word in storage, policy and audit.
const Kind = "smscode"

const traits = assurance.Held | assurance.Restricted

// Authenticator makes and checks codes. It is safe for concurrent use.
type Authenticator struct {
	service string // what people call the service
	host    string // whose pages the code is for
}

// New makes one. Its messages name the service, and the host whose pages the code
// is for.
func New(service, host string) *Authenticator { return &Authenticator{service, host} }

// Describe says what such a code can show.
func (a *Authenticator) Describe() authenticator.Description {
	return authenticator.Description{Kind: Kind, Signal: "phone-sms", Title: "Code by SMS", Noun: "code by SMS", Pitch: "A code on your telephone. Others can have it sent to them, so take it only if nothing else works.", Document: "messages.md", Mark: authenticator.MarkPhone, AMR: "sms", Carrier: authenticator.Telephone, Traits: traits, Media: prompt.Line | prompt.Browser, Guessable: true}
}

// Ask offers to send a code; it sends none.
func (a *Authenticator) Ask(credentials []authenticator.Credential, _ time.Time) (prompt.Prompt, authenticator.Memo, error) {
	p := prompt.Prompt{Authenticator: Kind, Kind: prompt.Sending, Label: "Send a code by SMS", Digits: sentcode.Digits}
	if len(credentials) > 0 {
		s, err := decodeState(credentials[0].State)
		if err != nil {
			return p, nil, err
		}
		p = p.Saying(language.Say("Send a code by SMS to %s", s.Number.Masked()))
	}
	return p, nil, nil
}

// make makes a code, its message and its memo.
func (a *Authenticator) make(to Number, now time.Time) (authenticator.Message, sentcode.Memo) {
	code, sent := sentcode.Make(now)
	return authenticator.Worded(string(to), a.says(code)), sentcode.Memo{Sent: sent}
}

// says ends with the code bound to the host, in the form of WICG's "Origin-bound
// one-time codes delivered via SMS", so that browsers fill it in there and nowhere
// else. No translation has a part in that.
func (a *Authenticator) says(code string) authenticator.Wording {
	return authenticator.Wording{Text: language.Say("%s is your code for %s. Nobody who calls you needs it.", code, a.service), Tail: fmt.Sprintf("\n\n@%s #%s", a.host, code)}
}

// asked asks for the code that was sent to a number.
func asked(to string) prompt.Prompt {
	return prompt.Prompt{Authenticator: Kind, Kind: prompt.Code, Hint: "It comes by SMS and is good for ten minutes.", Digits: sentcode.Digits}.Saying(language.Say("Code sent to %s", to))
}

// Send makes a code for a credential.
func (a *Authenticator) Send(c authenticator.Credential, now time.Time) (authenticator.Message, prompt.Prompt, authenticator.Memo, error) {
	s, err := decodeState(c.State)
	if err != nil {
		return authenticator.Message{}, prompt.Prompt{}, nil, err
	}
	message, m := a.make(s.Number, now)
	m.Credential = c.ID
	kept, err := json.Marshal(m)
	p := asked(s.Number.Masked())
	p.Resend = true
	return message, p, kept, err
}

// Check compares with the code that was sent.
func (a *Authenticator) Check(_ context.Context, credentials []authenticator.Credential, sealed authenticator.Memo, answer prompt.Answer, now time.Time) (authenticator.Result, error) {
	c, m, wrong := sentcode.Check(sealed, credentials, answer.Text, now)
	if wrong != "" {
		return authenticator.Wrong(wrong), nil
	}
	_, err := decodeState(c.State)
	return authenticator.Result{OK: err == nil, Credential: c.ID, Traits: traits, Once: m.Once()}, err
}

var _ authenticator.Sender = (*Authenticator)(nil)
var _ authenticator.Enroller = (*Authenticator)(nil)
