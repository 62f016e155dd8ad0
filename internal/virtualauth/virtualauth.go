// Package softkey is a passkey in memory together with the browser it is used
// in, for canaries and tests: it answers creation and request options as a page would be
// answered, and lies on demand.
//
// It owns no product code and shares none: its encoders are its own, so that a
// mistake in the product is not made here a second time. Its neighbours are the
// tests of internal/authenticator/passkey and every test that signs somebody in.
// Its one invariant: without a [Lie] it does only what an honest browser and an
// honest key would do, and refuses what they would refuse.
package virtualauth

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"sync"
)

// Algorithm is a COSE algorithm identifier.
type Algorithm int

// The algorithms that a Key can sign with. The zero Algorithm is ES256.
const (
	ES256 Algorithm = -7
	EdDSA Algorithm = -8
	RS256 Algorithm = -257
	// ES384 is for answering with an algorithm that nobody asked for.
	ES384 Algorithm = -35
)

// Attestation is what a Key says about its make when it is asked.
type Attestation string

// The attestations. A browser asked for none replaces the others by none.
const (
	None       Attestation = ""
	PackedSelf Attestation = "packed-self"
	PackedX5C  Attestation = "packed-x5c" // signed under Key.CA
)

// Key is an authenticator and its browser. The zero Key is an honest ES256 key
// that verifies its user, keeps discoverable credentials, counts signatures and
// is bound to its device. Fields may be changed between ceremonies. Ceremonies
// of one Key may run at once; the fields must not change meanwhile.
type Key struct {
	Algorithm Algorithm
	AAGUID    [16]byte
	// NoUV: it cannot verify its user, as a security key without a PIN.
	NoUV bool
	// NoResident: it keeps no discoverable credentials, as a U2F key.
	NoResident bool
	// BackupEligible and BackupState are the BE and BS flags of credentials
	// that it makes: both for a synced passkey.
	BackupEligible, BackupState bool
	// NoCounter leaves the signature counter at zero, as synced passkeys do.
	NoCounter   bool
	Transports  []string
	Attestation Attestation
	// CA signs PackedX5C.
	CA *CA
	// Lie bends what comes out.
	Lie Lie

	mu          sync.Mutex
	credentials []*credential
}

// Lie is what differs from the truth in the ceremonies that follow. The zero Lie
// is none.
type Lie struct {
	// Disobey ignores what the options demand and the page may not do: the tie
	// of origin and rpId, excludeCredentials, allowCredentials,
	// userVerification, pubKeyCredParams and attestation none.
	Disobey bool
	// Origin, Type, Challenge, CrossOrigin and TopOrigin go into client data.
	Origin, Type string
	Challenge    []byte
	CrossOrigin  bool
	TopOrigin    string
	// ClientData replaces client data altogether.
	ClientData []byte
	// RPID is hashed into authenticator data.
	RPID string
	// SetFlags and ClearFlags change its flags: 1 UP, 4 UV, 8 BE, 16 BS, 64 AT,
	// 128 ED.
	SetFlags, ClearFlags byte
	// Counter is signed as the signature counter.
	Counter *uint32
	// BogusSignature flips a bit of the signature.
	BogusSignature bool
	// UserHandle is returned; empty but not nil for none at all.
	UserHandle []byte
	// CredentialID is what a creation makes or a request claims.
	CredentialID []byte
	// ClaimedAAGUID differs from the one that the attestation certificate names.
	ClaimedAAGUID *[16]byte
	// Extensions follow the authenticator data of a request, with the ED flag.
	Extensions []byte
	// Truncate cuts this many bytes off the end of the attestation object or
	// the authenticator data, before anything is signed over the latter.
	Truncate int
}

// credential is one credential source.
type credential struct {
	id, user  []byte
	rpID      string
	algorithm Algorithm
	private   crypto.Signer
	resident  bool
	be, bs    bool
	counter   uint32
}

// Errors that a browser would report, by their DOMException names.
var (
	ErrSecurity     = errors.New("softkey: SecurityError: this page may not use that rpId")
	ErrInvalidState = errors.New("softkey: InvalidStateError: the key is enrolled already")
	ErrNotAllowed   = errors.New("softkey: NotAllowedError: no key here can do that")
	ErrNotSupported = errors.New("softkey: NotSupportedError: none of these algorithms")
)

// Clone returns a second Key with the same private keys and counters, as a thief
// would have. It tells the truth until told otherwise.
func (k *Key) Clone() *Key {
	k.mu.Lock()
	defer k.mu.Unlock()
	twin := &Key{
		Algorithm: k.Algorithm, AAGUID: k.AAGUID, NoUV: k.NoUV, NoResident: k.NoResident,
		BackupEligible: k.BackupEligible, BackupState: k.BackupState, NoCounter: k.NoCounter,
		Transports: slices.Clone(k.Transports), Attestation: k.Attestation, CA: k.CA,
	}
	for _, c := range k.credentials {
		dup := *c
		twin.credentials = append(twin.credentials, &dup)
	}
	return twin
}

// Len is how many credentials the key holds.
func (k *Key) Len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.credentials)
}

func (k *Key) algorithm() Algorithm {
	if k.Algorithm == 0 {
		return ES256
	}
	return k.Algorithm
}

// find returns the credential to answer with: of those listed, or with no list
// the newest discoverable one.
func (k *Key) find(rpID string, ids [][]byte) *credential {
	for _, c := range slices.Backward(k.credentials) {
		listed := slices.ContainsFunc(ids, func(id []byte) bool { return bytes.Equal(id, c.id) })
		switch {
		case k.Lie.Disobey:
			return c
		case c.rpID != rpID:
		case len(ids) == 0 && c.resident, listed:
			return c
		}
	}
	return nil
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// flip returns a copy with its last bit turned.
func flip(b []byte) []byte {
	b = slices.Clone(b)
	if len(b) > 0 {
		b[len(b)-1] ^= 1
	}
	return b
}

// merge returns a and then b, for optional members of a JSON object.
func merge(a, b map[string]any) map[string]any {
	maps.Copy(a, b)
	return a
}
