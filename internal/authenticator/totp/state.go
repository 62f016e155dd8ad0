package totp

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/pin"
)

// stateVersion and pinVersion are a key without and with a PIN. What is stored has a
// version of its own form ([otp.Keep]); JSON with these numbers is what releases
// before it stored, and is still read, and what a memo holds.
const (
	stateVersion = 1
	pinVersion   = 2
)

// state is a key.
type state struct {
	Version int     `json:"v"`
	Key     otp.Key `json:"k"`
	// Period is in seconds.
	Period int64 `json:"p"`
	// Last is the latest step that was accepted, also as the first of two.
	Last int64 `json:"l,omitempty"`
	// Half is the step of the first of two codes; 0 for none.
	Half int64 `json:"h,omitempty"`
	// Drift is by how many steps the device's clock is ahead: -1 to 1 as it is
	// learned, further only where [Resync] put it.
	Drift int64 `json:"d,omitempty"`
	// PIN is what must be typed in front of each code; nil for nothing.
	PIN *pin.Kept `json:"pin,omitempty"`
}

func newState(k otp.Key, period time.Duration) state {
	return state{Version: stateVersion, Key: k, Period: int64(period / time.Second)}
}

func (s state) check() error {
	if err := s.Key.Check(); err != nil {
		return fmt.Errorf("totp: %w", err)
	}
	switch {
	case s.Period != 30 && s.Period != 60:
		return errors.New("totp: the period must be 30 or 60 seconds")
	case s.Drift < -maxDrift || s.Drift > maxDrift || s.Last < 0 || s.Half < 0 || s.Half > s.Last:
		return errors.New("totp: steps are out of range")
	case !s.PIN.Check() || (s.PIN != nil) != (s.Version == pinVersion):
		return errors.New("totp: a stored PIN cannot be one")
	}
	return nil
}

// Encode writes the key for the store.
func (s state) Encode() ([]byte, error) {
	return otp.Keep(s.Key, []uint64{uint64(s.Period), uint64(s.Last), uint64(s.Half), uint64(s.Drift)}, s.PIN)
}

// decodeState reads a stored key. An error means that the row is not one of
// ours, which refuses; it never shows the row.
func decodeState(b []byte) (state, error) {
	if otp.InJSON(b) {
		return decodeJSON(b)
	}
	var n [4]uint64
	key, kept, err := otp.Kept(b, n[:])
	if err != nil {
		return state{}, fmt.Errorf("totp: %w", err)
	}
	s := state{Version: stateVersion, Key: key, Period: int64(n[0]), Last: int64(n[1]), Half: int64(n[2]), Drift: int64(n[3]), PIN: kept}
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
		return state{}, errors.New("totp: a stored key cannot be read")
	}
	if s.Version != stateVersion && s.Version != pinVersion {
		return state{}, fmt.Errorf("totp: a stored key has version %d; this release reads %d and %d", s.Version, stateVersion, pinVersion)
	}
	return s, s.check()
}

// step is the step that a moment lies in, counted from 1970 (RFC 6238 section
// 4.2). It is never accepted when not positive.
func (s state) step(now time.Time) int64 { return now.Unix() / s.Period }

// Import makes a credential of a seed. Nobody has shown yet that they hold the
// device: the caller has reasons to believe it.
func (*Authenticator) Import(seed authenticator.Seed) (authenticator.Enrolled, error) {
	key := otp.Key{Secret: seed.Secret, Algorithm: otp.Algorithm(seed.Algorithm), Digits: seed.Digits}
	return newState(key, time.Duration(seed.Period)*time.Second).enrolled(seed.Label, "")
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
		label = "Authenticator app"
	}
	detail := fmt.Sprintf("%s, %d digits, %d seconds", s.Key.Algorithm, s.Key.Digits, s.Period)
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
