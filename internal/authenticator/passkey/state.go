package passkey

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"countersign/internal/packed"
)

// stateVersion is raised with any new field, because an older node would drop
// the field when it writes the next state.
const stateVersion = 1

// stateForm is the first octet of what is stored. Releases before stored JSON, which
// begins with a brace and is still read.
const stateForm = 2

// state is a credential record (WebAuthn Level 3 section 4).
type state struct {
	Version int `json:"v"`
	// ID is the credential id, 1 to 1023 bytes.
	ID octets `json:"id"`
	// Key is the public key in COSE, in the one encoding that key.go writes.
	Key octets `json:"key"`
	// Counter is the highest signature counter seen.
	Counter uint32 `json:"n"`
	// BackupEligible never changes; BackupState is the latest seen.
	BackupEligible bool `json:"be"`
	BackupState    bool `json:"bs"`
	// Verified is uvInitialized: the key verified its user when it was enrolled.
	// It is never raised later; see [Authenticator.Check].
	Verified bool `json:"uv"`
	// AAGUID is zero when unknown, and written down even then.
	AAGUID     aaguid   `json:"aaguid"`
	Transports []string `json:"tr,omitempty"`
	// Attestation is the format and type that came: "none", "packed basic_full".
	Attestation string `json:"att"`
	// Attested: the attestation verified up to a root trusted for the model.
	Attested bool `json:"attested"`
	// User is the account's user handle.
	User octets `json:"user"`
}

func (s state) encode() ([]byte, error) {
	b := make([]byte, 0, 96+len(s.ID)+len(s.Key)+len(s.User))
	b = packed.Text(append(b, stateForm), string(s.ID))
	b = packed.Number(packed.Text(b, string(s.Key)), int64(s.Counter))
	for _, flag := range []bool{s.BackupEligible, s.BackupState, s.Verified, s.Attested} {
		b = packed.Flag(b, flag)
	}
	b = packed.Text(packed.Text(packed.Text(b, string(s.AAGUID[:])), s.Attestation), string(s.User))
	b = packed.Count(b, len(s.Transports))
	for _, t := range s.Transports {
		b = packed.Text(b, t)
	}
	return b, nil
}

var errState = errors.New("passkey: a stored credential cannot be read")

// decodeState reads a stored credential. An error means that the row is not one
// of ours, which refuses.
func decodeState(b []byte) (state, error) {
	var s state
	var err error
	switch {
	case len(b) > 0 && b[0] == '{':
		s, err = decodeJSON(b)
	case len(b) > 0 && b[0] == stateForm:
		s, err = unpackState(b[1:])
	default:
		err = errState
	}
	if err == nil && (len(s.ID) == 0 || len(s.ID) > maxCredentialID) {
		err = fmt.Errorf("passkey: stored credential has an id of %d bytes", len(s.ID))
	}
	if err != nil {
		return state{}, err
	}
	return s, nil
}

func decodeJSON(b []byte) (state, error) {
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return state{}, fmt.Errorf("passkey: stored credential: %w", err)
	}
	if s.Version != stateVersion {
		return state{}, fmt.Errorf("passkey: stored credential has version %d; this release reads %d", s.Version, stateVersion)
	}
	return s, nil
}

func unpackState(b []byte) (state, error) {
	r := packed.Read(b)
	s := state{Version: stateVersion, ID: octets(r.Text()), Key: octets(r.Text())}
	counter := r.Number()
	s.BackupEligible, s.BackupState, s.Verified, s.Attested = r.Flag(), r.Flag(), r.Flag(), r.Flag()
	aaguid := r.Text()
	s.Attestation, s.User = r.Text(), octets(r.Text())
	for n := r.Count(); n > 0; n-- {
		s.Transports = append(s.Transports, r.Text())
	}
	if !r.Whole() || counter < 0 || counter > math.MaxUint32 || len(aaguid) != len(s.AAGUID) {
		return state{}, errState
	}
	copy(s.AAGUID[:], aaguid)
	s.Counter = uint32(counter)
	return s, nil
}
