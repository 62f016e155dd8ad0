package certificate

import (
	"bytes"
	"encoding/json"
	"errors"

	"countersign/internal/assurance"
	"countersign/internal/pki"
)

// state is what is kept of an enrolled certificate. There is no secret in it.
type state struct {
	Version   int         `json:"v"`
	Authority string      `json:"a"`
	Mapping   pki.Mapping `json:"m"`
	// Name is the one that the certificate was bound by; empty where it was bound
	// by issuer and serial number.
	Name string `json:"n,omitempty"`
	// Key is the SHA-256 of the public key at enrollment.
	Key []byte `json:"k"`
	// Attested says that its maker attested that key; Verifies, that the card asks
	// for its PIN.
	Attested bool `json:"t,omitempty"`
	Verifies bool `json:"u,omitempty"`
}

const stateVersion = 1

var errState = errors.New("certificate: the stored state cannot be read")

func (s state) encode() ([]byte, error) {
	s.Version = stateVersion
	return json.Marshal(s)
}

func decodeState(b []byte) (state, error) {
	var s state
	if json.Unmarshal(b, &s) != nil || s.Version != stateVersion || s.Authority == "" || len(s.Key) != 32 || (s.Name == "") != (s.Mapping == pki.IssuerSerial) {
		return state{}, errState
	}
	return s, nil
}

// fits reports whether a certificate is the one that was bound: under
// IssuerSerial with the same key, since another authority of the same name can give
// the same serial number; otherwise of the same name, which a renewed one has too.
func (s state) fits(seen sight) bool {
	if s.Authority != seen.authority.Name || s.Mapping != seen.authority.Mapping || s.Name != seen.id.Name {
		return false
	}
	return s.Mapping != pki.IssuerSerial || bytes.Equal(s.Key, seen.id.Key)
}

// traits are what a certificate shows. That a key is on hardware and behind a PIN
// is the authority's promise, or its maker's attestation of this very key: nothing
// in TLS says so. A PIN that the card asks for once in a session counts, as it does
// for PIV (FIPS 201-3 section 6.2.3.1).
func (s state) traits(seen sight) assurance.Trait {
	t := assurance.Held | assurance.PhishingResistant
	if seen.authority.Cards {
		return t | assurance.UserVerified | assurance.HardwareBound
	}
	if s.Attested && len(seen.authority.Attestation) > 0 && bytes.Equal(s.Key, seen.id.Key) {
		t |= assurance.HardwareBound
		if s.Verifies {
			t |= assurance.UserVerified
		}
	}
	return t
}
