// Package ocra checks challenge-response tokens (RFC 6287): the person types our
// number into the token, and what the token answers here.
//
// It owns the suite, the computation, the question and the stored form of a key. It
// has no mutual mode and signs nothing: a signature would have to be shown what it
// is of, which no token of this kind does. It does not keep or spend anything
// (signin does), and it offers no set-up: such tokens come with their key, by
// import. Its one invariant: an answer is right for the number that was asked of
// this account and for no other, once.
package ocra

import (
	"crypto/rand"
	"encoding/json"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/pin"
	"countersign/internal/authenticator/typed"
	"countersign/internal/prompt"
)

// Kind is the word for OCRA in storage, policy and audit.
const Kind = "ocra"

// Authenticator asks for and checks responses. It is safe for concurrent use.
type Authenticator struct {
	pins  pin.Keys
	decoy state // asked about and compared with when there is nothing else
}

// New returns an Authenticator. pins hash the PINs in front of responses; nil
// refuses every response that has one.
func New(pins pin.Keys) (*Authenticator, error) {
	s := state{Version: stateVersion, Suite: "OCRA-1:HOTP-SHA1-6:QN08", Secret: make([]byte, 20)}
	rand.Read(s.Secret)
	return &Authenticator{pins: pins, decoy: s}, s.read()
}

// Describe returns what challenge-response tokens are. A single line cannot bring
// the answer to a number that nobody has seen.
func (a *Authenticator) Describe() authenticator.Description {
	return authenticator.Description{
		Kind: Kind, Signal: "hardware-token",
		Title: "Challenge token",
		Noun:  "challenge token", Document: "tokens.md", Mark: authenticator.MarkPhone,
		Traits:    assurance.Held | assurance.Known, // known by a PIN
		Media:     prompt.Line | prompt.Browser,
		Guessable: true,
	}
}

// memo is what was asked of whom.
type memo struct {
	Account  assurance.AccountID `json:"a"`
	Question string              `json:"q"`
}

// Questions have eight digits where every token of the account takes as many.
// Fewer than shortest would come again too soon where nothing but the question
// changes.
const (
	longest  = 8
	shortest = 6
)

// Ask asks for the response to a random number.
func (a *Authenticator) Ask(credentials []authenticator.Credential, _ time.Time) (prompt.Prompt, authenticator.Memo, error) {
	m, digits := memo{}, longest
	for _, c := range credentials {
		s, err := decodeState(c.State)
		if err != nil {
			return prompt.Prompt{}, nil, err
		}
		m.Account, digits = c.Account, min(digits, s.suite.Length)
	}
	m.Question = typed.Random(digits)
	sealed, err := json.Marshal(m)
	if err != nil {
		return prompt.Prompt{}, nil, err
	}
	p, err := otp.Ask(prompt.Prompt{
		Authenticator: Kind,
		Kind:          prompt.Code,
		Label:         "Answer of your token to the number",
		Number:        m.Question,
		Digits:        a.decoy.suite.Digits,
	}, credentials, func(stored []byte) (otp.Asked, error) {
		s, err := decodeState(stored)
		return otp.Asked{Digits: s.suite.Digits, PIN: s.prefix()}, err
	})
	return p, sealed, err
}
