package keyring

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"countersign/internal/store"

	"golang.org/x/mod/sumdb/note"
)

// auditLog is the audit log's keys, and the public one as text.
type auditLog struct {
	keys   store.AuditKeys
	public string
}

// newAuditLog makes the audit log's keys of two data keys. The log's origin is
// made of its public key: it stays when the installation moves, and no two
// installations share one.
func newAuditLog(mac, seed [keySize]byte) (auditLog, error) {
	private := ed25519.NewKeyFromSeed(seed[:])
	public := private.Public().(ed25519.PublicKey)
	id := sha256.Sum256(public)
	origin := "countersign.local/log/" + hex.EncodeToString(id[:8])
	verifierKey, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		return auditLog{}, fmt.Errorf("keyring: the audit log's key: %w", err)
	}
	verifier, err := note.NewVerifier(verifierKey)
	if err != nil {
		return auditLog{}, fmt.Errorf("keyring: the audit log's key: %w", err)
	}
	signer, err := note.NewSigner(signerKey(origin, seed[:], public))
	if err != nil {
		return auditLog{}, fmt.Errorf("keyring: the audit log's key: %w", err)
	}
	k := store.AuditKeys{MAC: mac[:], Signer: signer, Verifier: verifier, Origin: origin}
	return auditLog{keys: k, public: verifierKey}, nil
}

// algEd25519 is the algorithm's number in signed notes
// (https://c2sp.org/signed-note).
const algEd25519 = 1

// signerKey writes an Ed25519 key as note.NewSigner reads it.
func signerKey(name string, seed []byte, public ed25519.PublicKey) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n", name)
	h.Write(append([]byte{algEd25519}, public...))
	hash := binary.BigEndian.Uint32(h.Sum(nil))
	return fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", name, hash,
		base64.StdEncoding.EncodeToString(append([]byte{algEd25519}, seed...)))
}
