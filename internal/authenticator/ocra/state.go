package ocra

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
// the field when it writes the next state.
const stateVersion = 1

// maxCounter bounds a counter, so that no window runs over the end of 64 bits.
const maxCounter = 1 << 62

// state is a key as it is kept.
type state struct {
	Version int    `json:"v"`
	Suite   string `json:"q"`
	Secret  []byte `json:"s"`
	// Next is the lowest counter whose response may still be accepted.
	Next uint64 `json:"n,omitempty"`
	// Drift is by how many steps the token's clock was ahead when last seen.
	Drift int64 `json:"d,omitempty"`
	// PIN is what was set as one, nil for nothing. It is typed in front of the
	// response, or into the token where the suite hashes it: then PINHash is what
	// the suite wants, which RFC 6287 has without a salt.
	PIN     *pin.Kept `json:"pin,omitempty"`
	PINHash []byte    `json:"p,omitempty"`

	suite Suite
}

// read fills in what the suite says, and checks all of it.
func (s *state) read() error {
	var err error
	if s.suite, err = ParseSuite(s.Suite); err != nil {
		return err
	}
	_, size := s.suite.PIN.Hash()
	switch {
	case s.suite.Digits < 6 || s.suite.Digits > 8:
		return fmt.Errorf("responses must have 6 to 8 digits, not %d", s.suite.Digits)
	case s.suite.Session > 0:
		return errors.New("a suite with session information cannot be used, because nobody types it into a token")
	case !s.suite.Counter && s.suite.Length < shortest:
		return fmt.Errorf("without a counter the question must have room for %d digits", shortest)
	case len(s.Secret) < otp.MinSecret || len(s.Secret) > otp.MaxSecret:
		return fmt.Errorf("the secret must have %d to %d bytes, not %d", otp.MinSecret, otp.MaxSecret, len(s.Secret))
	case s.Next > maxCounter || s.Drift < -maxDrift || s.Drift > maxDrift:
		return errors.New("the counter or the clock is out of range")
	case !s.PIN.Check(), s.suite.PIN == "" && s.PINHash != nil, s.suite.PIN != "" && s.PINHash != nil && len(s.PINHash) != size:
		return errors.New("a stored PIN cannot be one")
	}
	return nil
}

// decodeState reads a stored key. An error means that the row is not one of
// ours, which refuses; it never shows the row.
func decodeState(b []byte) (state, error) {
	var s state
	if json.Unmarshal(b, &s) != nil {
		return state{}, errors.New("ocra: a stored key cannot be read")
	}
	if s.Version != stateVersion {
		return state{}, fmt.Errorf("ocra: a stored key has version %d; this release reads %d", s.Version, stateVersion)
	}
	if err := s.read(); err != nil {
		return state{}, fmt.Errorf("ocra: %w", err)
	}
	return s, nil
}

// Encode writes the key for the store.
func (s state) Encode() ([]byte, error) { return json.Marshal(s) }

// prefix is the PIN that is typed in front of the response, if any.
func (s state) prefix() *pin.Kept {
	if s.suite.PIN != "" {
		return nil // it goes into the token
	}
	return s.PIN
}

// Import makes a credential of a seed. Nobody has shown yet that they hold the
// token: the caller has reasons to believe it. A token whose suite hashes a PIN
// cannot be used before one is set.
func (*Authenticator) Import(seed authenticator.Seed) (authenticator.Enrolled, error) {
	s := state{Version: stateVersion, Suite: seed.Suite, Secret: seed.Secret, Next: seed.Counter}
	if err := s.read(); err != nil {
		return authenticator.Enrolled{}, err
	}
	b, err := s.Encode()
	if seed.Label == "" {
		seed.Label = "Challenge token"
	}
	return authenticator.Enrolled{State: b, Traits: assurance.Held, Label: seed.Label, Detail: seed.Suite}, err
}

// SetPIN sets the PIN of a stored key, or takes it away where p is nil. digits is
// the PIN itself.
func (*Authenticator) SetPIN(stored []byte, p *pin.Kept, digits string) (authenticator.Enrolled, error) {
	s, err := decodeState(stored)
	if err != nil {
		return authenticator.Enrolled{}, err
	}
	s.PIN, s.PINHash = p, nil
	if p != nil && s.suite.PIN != "" {
		s.PINHash = s.hash(digits)
	}
	if err := s.read(); err != nil {
		return authenticator.Enrolled{}, err
	}
	b, err := s.Encode()
	return authenticator.Enrolled{State: b, Traits: p.Traits()}, err
}

// hash is the PIN as the suite hashes it.
func (s state) hash(digits string) []byte {
	newHash, _ := s.suite.PIN.Hash()
	h := newHash()
	h.Write([]byte(digits))
	return h.Sum(nil)
}

// PIN returns what is kept of a stored key's PIN, nil for none, and whether no
// response is right without one.
func (*Authenticator) PIN(stored []byte) (kept *pin.Kept, needed bool, err error) {
	s, err := decodeState(stored)
	return s.PIN, s.suite.PIN != "", err
}

// Secret returns the secret of what is stored, by which two devices are known for one.
func (*Authenticator) Secret(stored []byte) ([]byte, error) {
	s, err := decodeState(stored)
	if err != nil {
		return nil, err
	}
	return s.Secret, nil
}
