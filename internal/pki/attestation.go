package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"
)

// Attestation is a manufacturer's statement about one key on a card.
type Attestation struct {
	// Serial is the serial number of the card.
	Serial int64
	// PIN and Touch are the policies of the key.
	PIN   PINPolicy
	Touch TouchPolicy
	// Firmware is the version: three numbers.
	Firmware [3]byte
}

// PINPolicy tells when a card asks for its PIN.
type PINPolicy byte

// TouchPolicy tells when a card must be touched.
type TouchPolicy byte

// The policies, as encoded in the extension.
const (
	PINNever       PINPolicy = 1
	PINOnce        PINPolicy = 2 // in a session with the card
	PINAlways      PINPolicy = 3
	PINMatchOnce   PINPolicy = 4 // a fingerprint, or the PIN
	PINMatchAlways PINPolicy = 5

	TouchNever  TouchPolicy = 1
	TouchAlways TouchPolicy = 2
	TouchCached TouchPolicy = 3
)

// Verifies reports whether the card checks who uses it.
func (p PINPolicy) Verifies() bool { return p >= PINOnce && p <= PINMatchAlways }

// The extensions of Yubico's PIV attestation.
// https://docs.yubico.com/hardware/oid/oid-piv-arc.html
var (
	extensionFirmware = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 41482, 3, 3}
	extensionSerial   = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 41482, 3, 7}
	extensionPolicy   = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 41482, 3, 8}
)

// Why an attestation is refused.
var (
	ErrAttestationForm  = errors.New("it must be two PEM certificates: the attestation of the slot and the card's own (slot f9)")
	ErrAttestationRoot  = errors.New("no trusted manufacturer signed it")
	ErrAttestationKey   = errors.New("it attests a different key from the certificate's")
	ErrAttestationWords = errors.New("it does not say how the key is used")
)

// Attest verifies the attestation of a certificate's key: in PEM, the statement of the
// slot and then the card's own certificate, which must chain to one of the roots.
func (a Authority) Attest(text []byte, leaf *x509.Certificate, now time.Time) (Attestation, error) {
	chain, err := ReadCertificates(text)
	if err != nil || len(chain) < 2 || len(chain) > 4 {
		return Attestation{}, ErrAttestationForm
	}
	roots, between := pools(a.Attestation)
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil || len(a.Attestation) == 0 {
		return Attestation{}, ErrAttestationRoot
	}
	if !bytes.Equal(chain[0].RawSubjectPublicKeyInfo, leaf.RawSubjectPublicKeyInfo) {
		return Attestation{}, ErrAttestationKey
	}
	return statement(chain[0])
}

// statement reads the extensions. Each must be there, and once.
func statement(c *x509.Certificate) (Attestation, error) {
	var out Attestation
	seen := map[string]int{}
	for _, e := range c.Extensions {
		ok := true
		switch {
		case e.Id.Equal(extensionFirmware):
			ok = len(e.Value) == len(out.Firmware)
			copy(out.Firmware[:], e.Value)
		case e.Id.Equal(extensionSerial):
			rest, err := asn1.Unmarshal(e.Value, &out.Serial)
			ok = err == nil && len(rest) == 0 && out.Serial > 0
		case e.Id.Equal(extensionPolicy):
			if ok = len(e.Value) == 2; ok {
				out.PIN, out.Touch = PINPolicy(e.Value[0]), TouchPolicy(e.Value[1])
			}
		default:
			continue
		}
		if seen[e.Id.String()]++; !ok || seen[e.Id.String()] > 1 {
			return Attestation{}, ErrAttestationWords
		}
	}
	if len(seen) != 3 {
		return Attestation{}, ErrAttestationWords
	}
	return out, nil
}

// String returns the attestation for the audit log.
func (a Attestation) String() string {
	pin := map[PINPolicy]string{PINNever: "never", PINOnce: "once", PINAlways: "always", PINMatchOnce: "match once", PINMatchAlways: "match always"}[a.PIN]
	if pin == "" {
		pin = "unknown"
	}
	return fmt.Sprintf("PIV card %d, firmware %d.%d.%d, PIN %s", a.Serial, a.Firmware[0], a.Firmware[1], a.Firmware[2], pin)
}
