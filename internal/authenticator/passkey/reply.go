package passkey

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
)

const (
	maxCredentialID = 1023      // bytes; WebAuthn Level 3 section 4, Credential ID
	maxReply        = 64 * 1024 // bytes of JSON; a TPM's attestation takes some 10 KiB
)

// reply is what PublicKeyCredential.toJSON writes, for either ceremony
// (section 5.1: AuthenticationResponseJSON, RegistrationResponseJSON). Client
// extension results are not read: none are asked for.
type reply struct {
	ID       string `json:"id"`
	RawID    octets `json:"rawId"`
	Type     string `json:"type"`
	Response struct {
		ClientData octets `json:"clientDataJSON"`
		// An assertion has these three,
		AuthData   octets `json:"authenticatorData"`
		Signature  octets `json:"signature"`
		UserHandle octets `json:"userHandle"`
		// and a creation these two.
		Attestation octets   `json:"attestationObject"`
		Transports  []string `json:"transports"`
	} `json:"response"`
}

var errReply = errors.New("not the reply of a WebAuthn ceremony")

// parseReply reads a reply and checks its outer form only.
func parseReply(data []byte) (*reply, error) {
	if len(data) > maxReply {
		return nil, errReply
	}
	r, plain := quickReply(data)
	if !plain {
		r = &reply{}
		if err := json.Unmarshal(data, r); err != nil {
			return nil, errReply
		}
	}
	if r.Type != "public-key" || len(r.RawID) == 0 || len(r.RawID) > maxCredentialID || r.ID != r.RawID.String() {
		return nil, errReply
	}
	return r, nil
}

// clientData is what the browser says that it did (section 5.8.1). Members
// beyond these are allowed for and not read.
type clientData struct {
	Type        string  `json:"type"`
	Challenge   string  `json:"challenge"`
	Origin      string  `json:"origin"`
	CrossOrigin bool    `json:"crossOrigin"`
	TopOrigin   *string `json:"topOrigin"`
}

// check takes the steps that both ceremonies share, in the order of section
// 7.2: type, challenge, origin, framing. It returns a reason, with a detail for
// the audit log, or nothing.
func (d clientData) check(m memo, origins []string) (reason, detail string) {
	switch {
	case d.Type != m.Type:
		return reasonType, "saw " + quote(d.Type)
	case !m.echoed(d.Challenge):
		return reasonChallenge, ""
	case !slices.Contains(origins, d.Origin):
		return reasonOrigin, "expected " + strings.Join(origins, " or ") + ", saw " + quote(d.Origin)
	case d.TopOrigin != nil:
		return reasonFramed, "framed by " + quote(*d.TopOrigin)
	case d.CrossOrigin:
		return reasonFramed, "framed by another origin"
	}
	return "", ""
}

// quote makes text from outside fit for one line of the audit log.
func quote(s string) string {
	const most = 200
	if len(s) > most {
		s = s[:most]
	}
	return fmt.Sprintf("%q", s)
}

// The flags of authenticator data (section 6.1).
const (
	flagPresent        = 0x01
	flagVerified       = 0x04
	flagBackupEligible = 0x08
	flagBackupState    = 0x10
	flagAttested       = 0x40
	flagExtensions     = 0x80
)

// authData is the fixed part of authenticator data.
type authData struct {
	rpIDHash [sha256.Size]byte
	flags    byte
	counter  uint32
}

const authDataSize = sha256.Size + 1 + 4

// parseAssertion reads the authenticator data of an assertion: no attested
// credential, and after the fixed part one CBOR map exactly when the flags say so.
func parseAssertion(b []byte) (authData, error) {
	if len(b) < authDataSize {
		return authData{}, errReply
	}
	d := authData{flags: b[32], counter: binary.BigEndian.Uint32(b[33:])}
	copy(d.rpIDHash[:], b)
	rest := b[authDataSize:]
	if d.flags&flagAttested != 0 || (d.flags&flagExtensions != 0) != (len(rest) > 0) {
		return authData{}, errReply
	}
	if len(rest) > 0 {
		var extensions map[string]webauthncbor.RawMessage
		if err := webauthncbor.Unmarshal(rest, &extensions); err != nil {
			return authData{}, errReply
		}
	}
	return d, nil
}

func (d authData) has(flag byte) bool { return d.flags&flag != 0 }

// check takes the steps that both ceremonies share: relying party, presence,
// verification, and that nothing is backed up that cannot be.
func (d authData) check(rpIDHash [sha256.Size]byte, needVerified bool) (reason string) {
	switch {
	case d.rpIDHash != rpIDHash:
		return reasonRelyingParty
	case !d.has(flagPresent):
		return reasonPresent
	case needVerified && !d.has(flagVerified):
		return reasonVerified
	case d.has(flagBackupState) && !d.has(flagBackupEligible):
		return reasonBackup
	}
	return ""
}
