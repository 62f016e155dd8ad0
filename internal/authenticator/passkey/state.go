package passkey

import (
	"encoding/json"
	"fmt"
)

// stateVersion is raised with any new field, because an older node would drop
// the field when it writes the next state.
const stateVersion = 1

// state is a credential record (WebAuthn Level 3 section 4) as it is kept.
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

func (s state) encode() ([]byte, error) { return json.Marshal(s) }

// decodeState reads a stored credential. An error means that the row is not one
// of ours, which refuses.
func decodeState(b []byte) (state, error) {
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return state{}, fmt.Errorf("passkey: stored credential: %w", err)
	}
	if s.Version != stateVersion {
		return state{}, fmt.Errorf("passkey: stored credential has version %d; this release reads %d", s.Version, stateVersion)
	}
	if len(s.ID) == 0 || len(s.ID) > maxCredentialID {
		return state{}, fmt.Errorf("passkey: stored credential has an id of %d bytes", len(s.ID))
	}
	return s, nil
}
