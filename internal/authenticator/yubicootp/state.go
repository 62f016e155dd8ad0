package yubicootp

import (
	"encoding/json"
	"errors"
	"fmt"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
)

// stateVersion is raised with any new field, because an older node would drop
// the field when it writes the next state.
const stateVersion = 1

// state is a key as it is kept.
type state struct {
	Version int    `json:"v"`
	Public  string `json:"i"` // modhex
	Private []byte `json:"p"` // 6 octets
	Key     []byte `json:"k"` // AES-128
	// Seen says that something was accepted, and Last what: see touch.order.
	Seen bool   `json:"s,omitempty"`
	Last uint32 `json:"l,omitempty"`
}

var errState = errors.New("yubicootp: a stored key cannot be read")

func decode(b []byte) (state, error) {
	var s state
	if json.Unmarshal(b, &s) != nil || s.Version != stateVersion || s.check() != nil {
		return state{}, errState
	}
	return s, nil
}

func (s state) encode() ([]byte, error) { return json.Marshal(s) }

func (s state) check() error {
	switch _, ok := fromModhex(s.Public, alphabet); {
	case !ok || len(s.Public) < 2 || len(s.Public) > maxPublic:
		return errors.New("the public id must be 1 to 16 octets in modhex")
	case len(s.Private) != 6:
		return fmt.Errorf("the private id must have 6 octets, not %d", len(s.Private))
	case len(s.Key) != 16:
		return fmt.Errorf("the AES key must have 16 octets, not %d", len(s.Key))
	}
	return nil
}

// Import makes a credential of a seed. Nobody has shown yet that they hold the
// key: the caller has reasons to believe it.
func (Authenticator) Import(seed authenticator.Seed) (authenticator.Enrolled, error) {
	s := state{Version: stateVersion, Public: lower(seed.Public), Private: seed.Private, Key: seed.Secret}
	if err := s.check(); err != nil {
		return authenticator.Enrolled{}, err
	}
	b, err := s.encode()
	label := seed.Label
	if label == "" {
		label = "YubiKey"
	}
	return authenticator.Enrolled{State: b, Handle: s.Public, Traits: assurance.Held, Label: label, Detail: "public id " + s.Public}, err
}

// Handle is the public id of a stored key: every one-time password begins with it.
func (Authenticator) Handle(stored []byte) (string, error) {
	s, err := decode(stored)
	return s.Public, err
}

// Secret returns the secret of what is stored, by which two devices are known for one.
func (Authenticator) Secret(stored []byte) ([]byte, error) {
	s, err := decode(stored)
	if err != nil {
		return nil, err
	}
	return s.Key, nil
}
