package main

import (
	"errors"
	"fmt"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/hotp"
	"countersign/internal/authenticator/ocra"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/pin"
	"countersign/internal/authenticator/totp"
	"countersign/internal/authenticator/yubicootp"
	"countersign/internal/enrollment"
	"countersign/internal/keyring"
)

// tokenKinds are the authenticators that hardware tokens are.
type tokenKinds struct{}

func (tokenKinds) Import(s enrollment.Seed) (authenticator.Enrolled, error) {
	key := otp.Key{Secret: s.Secret, Algorithm: otp.Algorithm(s.Algorithm), Digits: s.Digits}
	switch s.Kind {
	case hotp.Kind:
		return hotp.Import(hotp.Seed{Key: key, Counter: s.Counter, Label: s.Label})
	case totp.Kind:
		return totp.Import(totp.Seed{Key: key, Period: time.Duration(s.Period) * time.Second, Label: s.Label})
	case ocra.Kind:
		return ocra.Import(ocra.Seed{Suite: s.Suite, Secret: s.Secret, Counter: s.Counter, Label: s.Label})
	case yubicootp.Kind:
		return yubicootp.Import(yubicootp.Seed{Public: s.Public, Private: s.Private, Key: s.Secret, Label: s.Label})
	}
	return authenticator.Enrolled{}, fmt.Errorf("a token is hotp, totp, ocra or yubico-otp, not %q", s.Kind)
}

func (tokenKinds) Resync(kind string, state []byte, codes string, now time.Time) (authenticator.Result, error) {
	switch kind {
	case hotp.Kind:
		return hotp.Resync(state, codes)
	case ocra.Kind:
		return ocra.Resync(state, codes, now)
	case yubicootp.Kind:
		return yubicootp.Resync(state, codes)
	}
	return totp.Resync(state, codes, now)
}

func (tokenKinds) Secret(kind string, state []byte) ([]byte, error) {
	switch kind {
	case hotp.Kind:
		return hotp.Secret(state)
	case totp.Kind:
		return totp.Secret(state)
	case ocra.Kind:
		return ocra.Secret(state)
	case yubicootp.Kind:
		return yubicootp.Secret(state)
	}
	return nil, fmt.Errorf("no token is %q", kind)
}

// Shown is true of what counts: a clock's codes pass by themselves, and an answer to a
// number is for that number alone.
func (tokenKinds) Shown(kind string) bool { return kind == hotp.Kind || kind == yubicootp.Kind }

func (tokenKinds) Handle(kind string, state []byte) (string, error) {
	if kind == yubicootp.Kind {
		return yubicootp.Handle(state)
	}
	return "", nil
}

// pinKeys hash PINs under keys of the keyring, so that neither a sealed row that
// somebody opened nor the keys alone let them be tried.
type pinKeys struct{ keys *keyring.Keyring }

func pinFields(salt []byte, pin string) *keyring.Fields {
	return keyring.NewFields().Bytes(salt).String(pin)
}

func (k pinKeys) MAC(salt []byte, pin string) []byte {
	return k.keys.MAC(keyring.PIN, pinFields(salt, pin))
}

func (k pinKeys) Verify(salt []byte, pin string, mac []byte) bool {
	return k.keys.VerifyMAC(keyring.PIN, pinFields(salt, pin), mac)
}

// pinKinds are the authenticators that can have a PIN in front of their codes.
type pinKinds struct {
	keys  pin.Keys
	least int // digits of a new PIN
}

var errNoPIN = errors.New("that kind of authenticator has no PIN")

// put sets a PIN, or takes it away where p is nil: what has none has none then.
func (pinKinds) put(kind string, state []byte, p *pin.Kept, digits string) (authenticator.Enrolled, error) {
	switch kind {
	case yubicootp.Kind:
		if p == nil {
			return authenticator.Enrolled{State: state, Traits: assurance.Held}, nil
		}
	case hotp.Kind:
		return hotp.SetPIN(state, p)
	case totp.Kind:
		return totp.SetPIN(state, p)
	case ocra.Kind:
		return ocra.SetPIN(state, p, digits)
	}
	return authenticator.Enrolled{}, errNoPIN
}

func (pinKinds) Standing(kind string, state []byte) string {
	var kept *pin.Kept
	needed, err := false, errNoPIN
	switch kind {
	case hotp.Kind:
		kept, err = hotp.PIN(state)
	case totp.Kind:
		kept, err = totp.PIN(state)
	case ocra.Kind:
		kept, needed, err = ocra.PIN(state)
	}
	switch {
	case err != nil:
		return ""
	case kept == nil && needed:
		return "wanted"
	case kept == nil:
		return "none"
	case kept.First:
		return "first"
	}
	return "set"
}

func (p pinKinds) Set(kind string, state []byte, text string) (authenticator.Enrolled, error) {
	kept, digits, err := pin.New(p.keys, text)
	if err != nil {
		return authenticator.Enrolled{}, err
	}
	if len(digits) < p.least {
		return authenticator.Enrolled{}, &authenticator.Refused{Reason: "length", Public: fmt.Sprintf("A PIN has %d to %d digits here.", p.least, pin.MaxLength)}
	}
	return p.put(kind, state, kept, digits)
}

func (p pinKinds) Give(kind string, state []byte) (authenticator.Enrolled, string, error) {
	kept, digits := pin.Give(p.keys, p.least)
	e, err := p.put(kind, state, kept, digits)
	return e, digits, err
}

func (p pinKinds) Clear(kind string, state []byte) (authenticator.Enrolled, error) {
	return p.put(kind, state, nil, "")
}
