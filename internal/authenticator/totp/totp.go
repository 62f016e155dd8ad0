// Package totp checks time-based one-time codes (RFC 6238), of apps and of
// hardware tokens.
//
// It owns the window around the present step, the drift that it learns of each
// device, the demand for two codes in a row after failures, and the stored form
// of a key. It does not compute codes (otp does), keep or spend anything (signin
// does). Its one invariant: a step that was accepted, and any before it, is never
// accepted again, and none is accepted that lies more than one step from the
// device's clock as it was learned.
package totp

import (
	"fmt"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/pin"
	"countersign/internal/prompt"
)

// Kind is the word for TOTP in storage, policy and audit.
const Kind = "totp"

// Window says which steps are accepted besides the present one.
type Window int

const (
	// Previous is the step before as well, for people who type slowly: at most
	// 59 seconds. It is the default.
	Previous Window = iota
	// Present is no other: what ASVS 6.5.5 asks for.
	Present
	// Either is the step before and the one after.
	Either
)

// Options configure an Authenticator. The first four are for new keys; those
// enrolled keep their own.
type Options struct {
	// Issuer is who people see in their app. Required.
	Issuer string
	// Algorithm is SHA1 when empty, which every app knows.
	Algorithm otp.Algorithm
	// Digits are 6 to 8; 0 is 6.
	Digits int
	// Period is 30 or 60 seconds; 0 is 30.
	Period time.Duration
	Window Window
	silent bool // a refusal need not be explained

	// PINs hash the PINs in front of codes; nil refuses every code that has one.
	PINs pin.Keys
	// NextCode is after how many failures two codes in a row are demanded, 1 to
	// 10; 0 is 3.
	NextCode int
}

// Authenticator asks for and checks time-based codes. It is safe for concurrent
// use.
type Authenticator struct {
	options Options
	decoy   state // compared with when there is nothing else
}

// New returns an Authenticator, or one sentence on what is wrong with the options.
func New(o Options) (*Authenticator, error) {
	if o.Algorithm == "" {
		o.Algorithm = otp.SHA1
	}
	if o.Digits == 0 {
		o.Digits = 6
	}
	if o.Period == 0 {
		o.Period = 30 * time.Second
	}
	if o.NextCode == 0 {
		o.NextCode = 3
	}
	switch {
	case o.Issuer == "":
		return nil, fmt.Errorf("totp: the issuer must be named, because people see it in their app")
	case o.Window < Previous || o.Window > Either:
		return nil, fmt.Errorf("totp: the window must be previous, present or either")
	case o.NextCode < 1 || o.NextCode > 10:
		return nil, fmt.Errorf("totp: two codes may be demanded after 1 to 10 failures, not %d", o.NextCode)
	}
	key, err := otp.NewKey(o.Algorithm, o.Digits)
	if err != nil {
		return nil, fmt.Errorf("totp: %w", err)
	}
	a := &Authenticator{options: o, decoy: newState(key, o.Period)}
	return a, a.decoy.check()
}

// Describe returns what one-time codes are.
func (a *Authenticator) Describe() authenticator.Description {
	return authenticator.Description{
		Kind: Kind, Signal: "app",
		Title: "Authenticator app",
		Pitch: "An app on your phone shows a code of six digits every half minute, which you type.",
		Noun:  "authenticator app", Document: "authenticators.md", Mark: authenticator.MarkPhone,
		Traits:    assurance.Held | assurance.Known, // known by a PIN in front
		Media:     prompt.Line | prompt.Single | prompt.Browser,
		Guessable: true,
		First:     true,
	}
}

// Ask asks for a code. The question is the same whether or not there were
// failures: who only typed a name must not learn of them.
func (a *Authenticator) Ask(credentials []authenticator.Credential, _ time.Time) (prompt.Prompt, authenticator.Memo, error) {
	p, err := otp.Ask(prompt.Prompt{
		Authenticator: Kind,
		Kind:          prompt.Code,
		Label:         "Code from your authenticator app",
		Digits:        a.options.Digits,
	}, credentials, func(stored []byte) (otp.Asked, error) {
		s, err := decodeState(stored)
		return otp.Asked{Digits: s.Key.Digits, PIN: s.PIN}, err
	})
	return p, nil, err
}
