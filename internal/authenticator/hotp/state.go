package hotp

import (
	"encoding/json"
	"errors"
	"fmt"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/pin"
)

// stateVersion is raised with any new field, because an older node would drop
// the field when it writes the next state. A key without a PIN stays at 1, so that
// an older node still reads it.
const (
	stateVersion = 1
	pinVersion   = 2
)

// maxCounter bounds a counter, so that no window runs over the end of 64 bits
// and begins again at codes that were used.
const maxCounter = 1 << 62

// state is a key as it is kept.
type state struct {
	Version int     `json:"v"`
	Key     otp.Key `json:"k"`
	// Next is the lowest counter whose code may still be accepted.
	Next uint64 `json:"n,omitempty"`
	// Wanted is the counter of the second of two codes, when the first was right
	// and the second is awaited; 0 for none, because no second code is the
	// device's first.
	Wanted uint64 `json:"w,omitempty"`
	// PIN is what must be typed in front of each code; nil for nothing.
	PIN *pin.Kept `json:"pin,omitempty"`
}

func newState(k otp.Key, next uint64) state {
	return state{Version: stateVersion, Key: k, Next: next}
}

func (s state) check() error {
	if err := s.Key.Check(); err != nil {
		return fmt.Errorf("hotp: %w", err)
	}
	if s.Next > maxCounter || s.Wanted > maxCounter || s.Wanted > 0 && s.Wanted <= s.Next {
		return errors.New("hotp: counters are out of range")
	}
	if !s.PIN.Check() || (s.PIN != nil) != (s.Version == pinVersion) {
		return errors.New("hotp: a stored PIN cannot be one")
	}
	return nil
}

// Encode writes the key for the store.
func (s state) Encode() ([]byte, error) {
	return otp.Keep(s.Key, []uint64{s.Next, s.Wanted}, s.PIN)
}

// decodeState reads a stored key. An error means that the row is not one of
// ours, which refuses; it never shows the row.
func decodeState(b []byte) (state, error) {
	if otp.InJSON(b) {
		return decodeJSON(b)
	}
	var n [2]uint64
	key, kept, err := otp.Kept(b, n[:])
	if err != nil {
		return state{}, fmt.Errorf("hotp: %w", err)
	}
	s := state{Version: stateVersion, Key: key, Next: n[0], Wanted: n[1], PIN: kept}
	if kept != nil {
		s.Version = pinVersion
	}
	return s, s.check()
}

// decodeJSON reads a key that an earlier release stored. Its next state is written as
// any other.
func decodeJSON(b []byte) (state, error) {
	var s state
	if json.Unmarshal(b, &s) != nil {
		return state{}, errors.New("hotp: a stored key cannot be read")
	}
	if s.Version != stateVersion && s.Version != pinVersion {
		return state{}, fmt.Errorf("hotp: a stored key has version %d; this release reads %d and %d", s.Version, stateVersion, pinVersion)
	}
	return s, s.check()
}

// Import makes a credential of a seed. Nobody has shown yet that they hold the
// device: the caller has reasons to believe it.
func (*Authenticator) Import(seed authenticator.Seed) (authenticator.Enrolled, error) {
	key := otp.Key{Secret: seed.Secret, Algorithm: otp.Algorithm(seed.Algorithm), Digits: seed.Digits}
	return newState(key, seed.Counter).enrolled(seed.Label, "")
}

func (s state) enrolled(label, once string) (authenticator.Enrolled, error) {
	if err := s.check(); err != nil {
		return authenticator.Enrolled{}, err
	}
	b, err := s.Encode()
	if err != nil {
		return authenticator.Enrolled{}, err
	}
	if label == "" {
		label = "Code token"
	}
	detail := fmt.Sprintf("%s, %d digits, next counter %d", s.Key.Algorithm, s.Key.Digits, s.Next)
	return authenticator.Enrolled{State: b, Traits: assurance.Held, Label: label, Detail: detail, Once: once}, nil
}

// SetPIN puts a PIN in front of a stored key's codes, or takes it away where it is
// nil.
func (*Authenticator) SetPIN(stored []byte, p *pin.Kept, _ string) (authenticator.Enrolled, error) {
	s, err := decodeState(stored)
	if err != nil {
		return authenticator.Enrolled{}, err
	}
	if s.Version, s.PIN = stateVersion, p; p != nil {
		s.Version = pinVersion
	}
	b, err := s.Encode()
	return authenticator.Enrolled{State: b, Traits: p.Traits()}, errors.Join(err, s.check())
}

// PIN returns what is kept of a stored key's PIN, nil for none; the codes are right
// without one.
func (*Authenticator) PIN(stored []byte) (kept *pin.Kept, needed bool, err error) {
	s, err := decodeState(stored)
	return s.PIN, false, err
}

// Secret returns the secret of what is stored, by which two devices are known for one.
func (*Authenticator) Secret(stored []byte) ([]byte, error) {
	s, err := decodeState(stored)
	if err != nil {
		return nil, err
	}
	return s.Key.Secret, nil
}
