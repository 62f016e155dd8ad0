// Package smscode is the authenticator for codes that are sent to a telephone by
// SMS.
//
// It owns telephone numbers, the making and checking of a code, and what is
// written in the message. It sends nothing and decides nothing: signin queues what
// is to be sent and says how often, and a gateway outside carries it. Its one
// invariant: a code is right only for the question that it was made for, by the
// number that it was sent to, once, for ten minutes.
//
// It is a restricted authenticator (SP 800-63B-4 sections 3.1.3.3 and 3.2.9):
// whoever has the number moved to another card, or reads the network, has the code.
package smscode

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/typed"
	"countersign/internal/prompt"
)

// Kind is this authenticator's word in storage, policy and audit.
const Kind = "smscode"

const (
	digits = 6
	// life is how long a code is good (SP 800-63B-4 section 3.1.3: ten minutes at
	// most).
	life   = 10 * time.Minute
	traits = assurance.Held | assurance.Restricted
)

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
	return authenticator.Description{Kind: Kind, Title: "Code by SMS", Traits: traits, Media: prompt.Line | prompt.Browser, Guessable: true}
}

// Ask offers to send a code; it sends none.
func (a *Authenticator) Ask(credentials []authenticator.Credential, _ time.Time) (prompt.Prompt, authenticator.Memo, error) {
	p := prompt.Prompt{Authenticator: Kind, Kind: prompt.Sending, Label: "Send a code by SMS", Digits: digits}
	if len(credentials) > 0 {
		s, err := decodeState(credentials[0].State)
		if err != nil {
			return p, nil, err
		}
		p.Label = "Send a code by SMS to " + s.Number.Masked()
	}
	return p, nil, nil
}

// memo is a code that was sent. It is kept sealed, and the code in it hashed, for
// whoever may read a log of what was unsealed.
type memo struct {
	Credential assurance.CredentialID `json:"c"`
	Salt       []byte                 `json:"s"`
	Sum        []byte                 `json:"h"`
	Expires    int64                  `json:"e"` // Unix seconds
	// Number and Account are those of an enrollment.
	Number  Number              `json:"n,omitempty"`
	Account assurance.AccountID `json:"a,omitempty"`
}

func sum(salt []byte, code string) []byte {
	h := sha256.Sum256(append([]byte("countersign sms code\x00"+string(salt)), code...))
	return h[:]
}

// make makes a code, its message and its memo.
func (a *Authenticator) make(to Number, now time.Time) (authenticator.Message, memo) {
	m := memo{Salt: make([]byte, 16), Expires: now.Add(life).Unix()}
	rand.Read(m.Salt)
	code := typed.Random(digits)
	m.Sum = sum(m.Salt, code)
	return authenticator.Message{To: string(to), Text: a.text(code)}, m
}

// text ends with the code bound to the host, in the form of WICG's "Origin-bound
// one-time codes delivered via SMS", so that browsers fill it in there and nowhere
// else.
func (a *Authenticator) text(code string) string {
	return fmt.Sprintf("%s is your code for %s. Nobody who calls you needs it.\n\n@%s #%s", code, a.service, a.host, code)
}

// right checks a typed code against a memo.
func (m memo) right(text string, now time.Time) string {
	code, ok := typed.Digits(text)
	switch {
	case !ok || len(code) != digits:
		return "malformed"
	case len(m.Sum) == 0:
		return "not-sent"
	case !now.Before(time.Unix(m.Expires, 0)):
		return "expired"
	case subtle.ConstantTimeCompare(m.Sum, sum(m.Salt, code)) != 1:
		return "wrong"
	}
	return ""
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
	return message, prompt.Prompt{Authenticator: Kind, Kind: prompt.Code, Label: "Code sent to " + s.Number.Masked(), Hint: "It comes by SMS and is good for ten minutes.", Digits: digits, Resend: true}, kept, err
}

// Check compares with the code that was sent.
func (a *Authenticator) Check(_ context.Context, credentials []authenticator.Credential, sealed authenticator.Memo, answer prompt.Answer, now time.Time) (authenticator.Result, error) {
	var m memo
	if len(sealed) > 0 {
		if json.Unmarshal(sealed, &m) != nil {
			return authenticator.Wrong("malformed"), nil
		}
	}
	if reason := m.right(answer.Text, now); reason != "" {
		return authenticator.Wrong(reason), nil
	}
	for _, c := range credentials {
		if c.ID != m.Credential {
			continue
		}
		if _, err := decodeState(c.State); err != nil {
			return authenticator.Result{}, err
		}
		return authenticator.Result{OK: true, Credential: c.ID, Traits: traits, Once: "m" + base64.RawURLEncoding.EncodeToString(m.Salt)}, nil
	}
	return authenticator.Wrong("wrong"), nil
}

var _ authenticator.Sender = (*Authenticator)(nil)
var _ authenticator.Enroller = (*Authenticator)(nil)
