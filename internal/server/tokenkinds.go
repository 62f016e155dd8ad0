package server

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/pin"
	"countersign/internal/keyring"
	hardware "countersign/internal/token"
	"countersign/internal/tokenfile"
)

// tokenKinds are the authenticators that hardware tokens are, by kind.
type tokenKinds map[string]authenticator.Token

// named is the kind of that name.
func (t tokenKinds) named(kind string) (authenticator.Token, error) {
	if a, ok := t[kind]; ok {
		return a, nil
	}
	return nil, fmt.Errorf("no token is %q", kind)
}

func (t tokenKinds) Import(s hardware.Seed) (authenticator.Enrolled, error) {
	a, ok := t[s.Kind]
	if !ok {
		return authenticator.Enrolled{}, fmt.Errorf("a token is one of %s", strings.Join(slices.Sorted(maps.Keys(t)), ", "))
	}
	return a.Import(s)
}

func (t tokenKinds) Resync(kind string, state []byte, codes string, now time.Time) (authenticator.Result, error) {
	a, err := t.named(kind)
	if err != nil {
		return authenticator.Result{}, err
	}
	return a.Resync(state, codes, now)
}

func (t tokenKinds) Secret(kind string, state []byte) ([]byte, error) {
	a, err := t.named(kind)
	if err != nil {
		return nil, err
	}
	return a.Secret(state)
}

func (t tokenKinds) Shown(kind string) bool {
	a, ok := t[kind]
	return ok && a.Shown()
}

func (t tokenKinds) Handle(kind string, state []byte) (string, error) {
	a, err := t.named(kind)
	if err != nil {
		return "", err
	}
	return a.Handle(state)
}

// Says is what a file says of a token, for people and without its secret.
func (t tokenKinds) Says(token tokenfile.Token) string {
	if a, ok := t[token.Kind]; ok {
		return a.Says(SeedOf(token))
	}
	return token.Kind
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
	tokens tokenKinds
	keys   pin.Keys
	least  int // digits of a new PIN
}

var errNoPIN = errors.New("that kind of authenticator has no PIN")

// put sets a PIN, or takes it away where p is nil: what has none has none then.
func (k pinKinds) put(kind string, state []byte, p *pin.Kept, digits string) (authenticator.Enrolled, error) {
	switch a := k.tokens[kind].(type) {
	case pin.Bearer:
		return a.SetPIN(state, p, digits)
	case authenticator.Token:
		if p == nil {
			return authenticator.Enrolled{State: state, Traits: assurance.Held}, nil
		}
	}
	return authenticator.Enrolled{}, errNoPIN
}

func (k pinKinds) PINState(kind string, state []byte) string {
	bearer, ok := k.tokens[kind].(pin.Bearer)
	if !ok {
		return ""
	}
	kept, needed, err := bearer.PIN(state)
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

// SeedOf is what a file says of a token, without its label.
func SeedOf(t tokenfile.Token) hardware.Seed {
	return hardware.Seed{Kind: t.Kind, Suite: t.Suite, Algorithm: t.Algorithm, Digits: t.Digits, Period: t.Period, Counter: t.Counter, Secret: t.Secret, Public: t.Public, Private: t.Private}
}
