// Package hotp checks counter-based one-time codes (RFC 4226), of tokens with a
// button and of apps.
//
// It owns the window ahead of the counter, the way back for a device that ran
// far ahead, the demand for two codes in a row after failures, and the stored
// form of a key. It does not compute codes (otp does), keep or spend anything
// (signin does), and it asks no clock: a code that was not used stays right until
// a later one is. Its one invariant: the counter only moves forward, past what
// was accepted, so that no code at or before it is accepted again.
package hotp

import (
	"fmt"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/pin"
	"countersign/internal/prompt"
)

// Kind is the word for HOTP in storage, policy and audit.
const Kind = "hotp"

// guesses is how many codes may be right, over all the single codes that are
// looked at before two are demanded: SP 800-63B-4 section 3.2.2 lets a guesser
// try 100 times at one code of six digits, and a window of w codes makes one try
// as good as w.
const guesses = 100

// maxResync bounds the window for two codes in a row. A pair within it is
// guessed once in a thousand million tries; what bounds it is the work, one HMAC
// for each code, inside the transaction that spends one.
const maxResync = 1000

// Options configure an Authenticator. The first three are for new keys; those
// enrolled keep their own.
type Options struct {
	// Issuer is who people see in their app. Required.
	Issuer string
	// Algorithm is SHA1 when empty: the only one in RFC 4226, and all that most
	// tokens know.
	Algorithm otp.Algorithm
	// Digits are 6 to 8; 0 is 6.
	Digits int
	// Window is how many codes count from the next one on, so that a button
	// pressed in a pocket locks nobody out (RFC 4226 section 7.4): 0 is 10.
	// Window times NextCode is 100 at most.
	Window int
	// Resync is how many codes two in a row are looked for in: 0 is 100, and it
	// is Window to 1000.
	Resync int
	silent bool // a refusal need not be explained

	// PINs hash the PINs in front of codes; nil refuses every code that has one.
	PINs pin.Keys
	// NextCode is after how many failures two codes in a row are demanded, 1 to
	// 10; 0 is 3.
	NextCode int
}

// fill puts in the defaults.
func (o *Options) fill() {
	if o.Algorithm == "" {
		o.Algorithm = otp.SHA1
	}
	for _, d := range []struct {
		field *int
		value int
	}{{&o.Digits, 6}, {&o.Window, 10}, {&o.Resync, 100}, {&o.NextCode, 3}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
}

func (o Options) check() error {
	switch {
	case o.Issuer == "":
		return fmt.Errorf("hotp: the issuer must be named, because people see it in their app")
	case o.NextCode < 1 || o.NextCode > 10:
		return fmt.Errorf("hotp: two codes may be demanded after 1 to 10 failures, not %d", o.NextCode)
	case o.Window < 1 || o.Window*o.NextCode > guesses:
		return fmt.Errorf("hotp: with two codes after %d failures the window may be 1 to %d, not %d", o.NextCode, guesses/o.NextCode, o.Window)
	case o.Resync < o.Window || o.Resync > maxResync:
		return fmt.Errorf("hotp: the window for two codes may be %d to %d, not %d", o.Window, maxResync, o.Resync)
	}
	return nil
}

// Authenticator asks for and checks counter-based codes. It is safe for
// concurrent use.
type Authenticator struct {
	options Options
	decoy   state // compared with when there is nothing else
}

// New returns an Authenticator, or one sentence on what is wrong with the options.
func New(o Options) (*Authenticator, error) {
	o.fill()
	if err := o.check(); err != nil {
		return nil, err
	}
	key, err := otp.NewKey(o.Algorithm, o.Digits)
	if err != nil {
		return nil, fmt.Errorf("hotp: %w", err)
	}
	return &Authenticator{options: o, decoy: newState(key, 0)}, nil
}

// Describe returns what counter-based codes are.
func (a *Authenticator) Describe() authenticator.Description {
	return authenticator.Description{
		Kind: Kind, Signal: "hardware-token",
		Title: "Code token",
		Pitch: "A token or an app that shows its next code when you press a button.",
		Noun:  "code token", Document: "tokens.md", Mark: authenticator.MarkPhone,
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
		Label:         "Next code from your code token",
		Digits:        a.options.Digits,
	}, credentials, func(stored []byte) (otp.Asked, error) {
		s, err := decodeState(stored)
		return otp.Asked{Digits: s.Key.Digits, PIN: s.PIN}, err
	})
	return p, nil, err
}
