package passkey

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/metadata"
	"github.com/go-webauthn/webauthn/protocol"
)

// formats are the attestation statement formats that are understood. SafetyNet
// is dead, and compound statements are not seen in the wild yet.
var formats = []protocol.AttestationFormat{
	protocol.AttestationFormatNone,
	protocol.AttestationFormatPacked,
	protocol.AttestationFormatTPM,
	protocol.AttestationFormatAndroidKey,
	protocol.AttestationFormatApple,
	protocol.AttestationFormatFIDOUniversalSecondFactor,
}

// verdict is what an attestation statement turned out to be.
type verdict struct {
	// words are its format and type: "none", "packed basic_full".
	words string
	// trusted: a certificate chain up to a root that vouches for the model.
	trusted bool
}

// attest verifies the statement itself, and then whether anybody trusted stands
// behind it. Self attestation and none are valid statements that nobody stands
// behind, whatever model they claim.
func (a *Authenticator) attest(o *protocol.AttestationObject, clientDataHash []byte, now time.Time) (verdict, bool) {
	if !slices.Contains(formats, protocol.AttestationFormat(o.Format)) {
		return verdict{}, false
	}
	if err := o.VerifyAttestation(clientDataHash, nil, protocol.AttestationPolicy{}, protocol.SignaturePolicy{}); err != nil {
		return verdict{}, false
	}
	if o.Format == string(protocol.AttestationFormatNone) {
		return verdict{words: None}, true
	}
	v := verdict{words: o.Format + " " + o.Type}
	switch metadata.AuthenticatorAttestationType(o.Type) {
	case metadata.BasicFull, metadata.AttCA, metadata.AnonCA:
		v.trusted = a.vouched(o, now)
	}
	return v, true
}

// vouched reports whether the statement's certificates chain to a root that is
// trusted for the model. Nobody vouches for the zero AAGUID: it names none. For a TPM the subject is in a critical extension that
// only the statement's own verification understands (section 8.3.1).
func (a *Authenticator) vouched(o *protocol.AttestationObject, now time.Time) bool {
	var g aaguid
	copy(g[:], o.AuthData.AttData.AAGUID)
	if g == (aaguid{}) {
		return false
	}
	roots := x509.NewCertPool()
	for _, root := range a.options.Roots {
		roots.AddCert(root)
	}
	entry, _ := a.options.MDS.model(g)
	for _, der := range entry.roots {
		if root, err := x509.ParseCertificate(der); err == nil {
			roots.AddCert(root)
		}
	}
	chain, ok := certificates(o.AttStatement["x5c"])
	if !ok {
		return false
	}
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	leaf := chain[0]
	if o.Format == string(protocol.AttestationFormatTPM) {
		leaf.UnhandledCriticalExtensions = slices.DeleteFunc(leaf.UnhandledCriticalExtensions, subjectAlternativeName.Equal)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: intermediates,
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	return err == nil
}

// certificates reads an x5c: at least one, all of them readable.
func certificates(x5c any) ([]*x509.Certificate, bool) {
	list, _ := x5c.([]any)
	var chain []*x509.Certificate
	for _, item := range list {
		der, _ := item.([]byte)
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, false
		}
		chain = append(chain, c)
	}
	return chain, len(chain) > 0
}

// subjectAlternativeName is id-ce-subjectAltName (RFC 5280 section 4.2.1.6).
var subjectAlternativeName = asn1.ObjectIdentifier{2, 5, 29, 17}
