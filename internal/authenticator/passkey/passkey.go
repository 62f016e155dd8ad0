// Package passkey checks WebAuthn assertions and enrolls WebAuthn credentials:
// discoverable passkeys and plain security keys alike, one kind for both.
//
// It owns the WebAuthn Level 3 ceremonies as a relying party sees them (sections
// 7.1 and 7.2), the stored form of a credential, the policy on makes and models,
// and what the FIDO Metadata Service says of them. It does not keep a challenge
// or a credential, spend anything or fetch anything: signin and enrollment do,
// and the metadata is a file that somebody brought. Verifying an assertion is
// done here on the standard library's cryptography; attestation statements, rare
// and many-shaped, are verified by go-webauthn.
//
// Its one invariant: what it accepts was signed, over our own unexpired
// challenge, for one of the configured origins and for our relying party
// identifier, by the key that was enrolled; and every option holds at each check
// as it did at enrollment.
package passkey

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/prompt"
)

// Kind is the word for passkeys in storage, policy and audit.
const Kind = "passkey"

// best is all that an assertion can show.
const best = assurance.Held | assurance.UserVerified | assurance.PhishingResistant | assurance.HardwareBound

// Authenticator asks for and checks passkeys. It is safe for concurrent use.
type Authenticator struct {
	options  Options // validated, with its defaults filled in
	rpIDHash [sha256.Size]byte
	allow    map[aaguid]bool // empty allows every model
	deny     map[aaguid]bool
	// decoy stands in for a credential that does not exist, so that a check
	// against nothing takes as long as a check against something. Nobody has
	// its private key.
	decoy state
}

// New returns an Authenticator, or one sentence on what is wrong with the options.
func New(o Options) (*Authenticator, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("passkey: %w", err)
	}
	allow, err := parseModels(o.AllowAAGUIDs)
	if err != nil {
		return nil, fmt.Errorf("passkey: allowed models: %w", err)
	}
	deny, err := parseModels(o.DenyAAGUIDs)
	if err != nil {
		return nil, fmt.Errorf("passkey: denied models: %w", err)
	}
	decoy, err := newDecoy()
	if err != nil {
		return nil, fmt.Errorf("passkey: %w", err)
	}
	return &Authenticator{
		options:  o,
		rpIDHash: sha256.Sum256([]byte(o.RPID)),
		allow:    allow,
		deny:     deny,
		decoy:    decoy,
	}, nil
}

// Describe returns what passkeys are.
func (a *Authenticator) Describe() authenticator.Description {
	return authenticator.Description{
		Kind: Kind, Signal: "fido2",
		Title: "Passkey or security key",
		Pitch: "Your device or a key signs in for you, after your fingerprint, face or PIN. It cannot be phished.",
		Noun:  "passkey", Document: "authenticators.md", Mark: authenticator.MarkKey,
		Traits: best,
		Media:  prompt.Browser,
		First:  true,
	}
}

// newDecoy makes a credential whose private key is forgotten at once.
func newDecoy() (state, error) {
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return state{}, err
	}
	id := make([]byte, 32)
	rand.Read(id)
	point := private.PublicKey().Bytes()
	return state{Version: stateVersion, ID: id, Key: es256Key(point[1:33], point[33:])}, nil
}
