// Package pki verifies the certificate of a person: which authority issued it, whom it
// names, and what the manufacturer attests about the key.
//
// It implements the rules of RFC 5280 for the certificate itself, and parses what
// crypto/x509 does not: user principal names and the extensions of PIV attestation.
// The package revocation checks revocation. authenticator/certificate decides with the
// result, and protocol/mutualtls uses it to find the sources of revocation. Invariant:
// of what a client sent only what a configured authority signed is trusted.
package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Mapping is the part of a certificate that binds it to its owner.
type Mapping string

// The mappings. IssuerSerial is one certificate and its key. The others are a name in
// the certificate, so that a renewed certificate continues to work; they are only as
// reliable as the authority's checks of that name.
const (
	IssuerSerial Mapping = "issuer-serial"
	UPN          Mapping = "upn"
	Email        Mapping = "email"
)

// Purpose is the extended key usage that a certificate must have.
type Purpose string

// The purposes: id-kp-clientAuth (RFC 5280 section 4.2.1.12) and Microsoft's
// smart card logon, 1.3.6.1.4.1.311.20.2.2.
const (
	ClientAuth     Purpose = "client-auth"
	SmartcardLogon Purpose = "smartcard-logon"
)

var smartcardLogon = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 2}

// Authority is a certification authority that issues certificates to people.
type Authority struct {
	// Name is its name in the configuration, to which enrolled certificates are bound.
	Name string
	// Certificates are its root and its intermediate authorities. Intermediates
	// that a client sends are not used.
	Certificates []*x509.Certificate
	Mapping      Mapping
	// Realm is what follows the account's name and the @ in a user principal name;
	// empty if account names are whole user principal names.
	Realm   string
	Purpose Purpose
	// Cards is set if it certifies only keys that were generated on a card and are
	// protected by its PIN.
	Cards bool
	// Attestation are the roots and intermediates of manufacturers that attest keys.
	Attestation []*x509.Certificate
}

// Authorities are all configured authorities.
type Authorities []Authority

// Refusal is a stable word for the audit log: why a certificate is refused.
type Refusal string

func (r Refusal) Error() string { return "certificate refused: " + string(r) }

// The refusals.
const (
	Malformed        Refusal = "malformed-certificate"
	UnknownAuthority Refusal = "unknown-authority"
	Expired          Refusal = "expired"
	WrongUsage       Refusal = "wrong-usage"
	WeakKey          Refusal = "weak-key"
	NoName           Refusal = "no-name"
	Unhandled        Refusal = "unhandled-extension"
)

// Largest is the size in bytes of the largest certificate that is accepted.
const Largest = 8 << 10

// Verify returns the authority that issued a certificate, and the path from the
// certificate to the authority's root. An error is a [Refusal].
func (all Authorities) Verify(der []byte, now time.Time) (Authority, []*x509.Certificate, error) {
	leaf, err := parse(der)
	if err != nil {
		return Authority{}, nil, err
	}
	var refusal error = UnknownAuthority
	for _, a := range all {
		path, err := a.path(leaf, now)
		if err == nil {
			return a, path, nil
		}
		if !errors.Is(err, UnknownAuthority) {
			refusal = err
		}
	}
	return Authority{}, nil, refusal
}

// parse reads a person's certificate. A critical subject alternative name that
// holds only names which crypto/x509 skips is read by this room, and so is not
// unhandled. A name that no mapping could take is refused only where it is wanted.
func parse(der []byte) (*x509.Certificate, error) {
	if len(der) > Largest {
		return nil, Malformed
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, Malformed
	}
	if _, err := UPNs(leaf); err != nil && !errors.Is(err, errName) {
		return nil, Malformed
	}
	leaf.UnhandledCriticalExtensions = slices.DeleteFunc(leaf.UnhandledCriticalExtensions, subjectAltName.Equal)
	return leaf, nil
}

func (a Authority) path(leaf *x509.Certificate, now time.Time) ([]*x509.Certificate, error) {
	chains, err := a.chains(leaf, now)
	if err != nil {
		return nil, a.refusalOf(leaf, now, err)
	}
	if !a.Purpose.in(leaf) || leaf.IsCA || leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return nil, WrongUsage
	}
	if !strong(leaf) {
		return nil, WeakKey
	}
	return chains[0], nil
}

// chains are the paths from a certificate to the roots, as crypto/x509 finds them.
func (a Authority) chains(leaf *x509.Certificate, now time.Time) ([][]*x509.Certificate, error) {
	roots, between := pools(a.Certificates)
	usage := x509.ExtKeyUsageClientAuth
	if a.Purpose == SmartcardLogon {
		usage = x509.ExtKeyUsageAny // crypto/x509 cannot be asked for it; path looks for it
	}
	return leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}})
}

// pools splits what is configured: what signed itself is a root. Where nothing did,
// all of it is trusted as it stands.
func pools(all []*x509.Certificate) (roots, between *x509.CertPool) {
	roots, between = x509.NewCertPool(), x509.NewCertPool()
	anchors := slices.DeleteFunc(slices.Clone(all), func(c *x509.Certificate) bool { return !selfSigned(c) })
	if len(anchors) == 0 {
		anchors = all
	}
	for _, c := range anchors {
		roots.AddCert(c)
	}
	for _, c := range all {
		between.AddCert(c)
	}
	return roots, between
}

func selfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(c) == nil
}

// refusalOf says why there is no path.
func (a Authority) refusalOf(leaf *x509.Certificate, now time.Time, err error) error {
	if u := a.unhandled(leaf, now); u != nil {
		return u
	}
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &invalid) {
		return UnknownAuthority
	}
	switch invalid.Reason {
	case x509.Expired:
		return Expired
	case x509.IncompatibleUsage:
		return WrongUsage
	}
	return UnknownAuthority
}

// in reports whether a certificate says by itself that it is made for this. One
// that says nothing is good for everything to crypto/x509, and for nothing here.
func (p Purpose) in(leaf *x509.Certificate) bool {
	if p == SmartcardLogon {
		return slices.ContainsFunc(leaf.UnknownExtKeyUsage, smartcardLogon.Equal)
	}
	return slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
}

// strong reports whether a key is as strong as NIST SP 800-131A asks, 112 bits.
func strong(leaf *x509.Certificate) bool {
	switch k := leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() >= 2048
	case *ecdsa.PublicKey:
		return k.Curve.Params().BitSize >= 256
	case ed25519.PublicKey:
		return true
	}
	return false
}

// Identity identifies a certificate.
type Identity struct {
	// Handle finds the credential. It is unique for the authority and the mapped
	// part of the certificate.
	Handle string
	// Name is the user principal name or the address, in lower case; empty under
	// IssuerSerial.
	Name string
	// Key is the SHA-256 of the public key.
	Key []byte
}

// Identify returns the identity of a certificate of this authority.
func (a Authority) Identify(leaf *x509.Certificate) (Identity, error) {
	key := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	id := Identity{Key: key[:]}
	if a.Mapping == IssuerSerial {
		id.Handle = handle(a.Name, string(a.Mapping), string(leaf.RawIssuer), leaf.SerialNumber.String())
		return id, nil
	}
	name, err := a.name(leaf)
	if err != nil {
		return Identity{}, err
	}
	id.Name, id.Handle = name, handle(a.Name, string(a.Mapping), name)
	return id, nil
}

func handle(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// ReadCertificates parses PEM certificates: at least one, and nothing else.
func ReadCertificates(text []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("unexpected PEM block %q; only certificates are allowed", block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errors.New("no PEM certificate found")
	}
	return out, nil
}

// Describe returns issuer and serial number for the audit log, in the form that
// openssl prints.
func Describe(c *x509.Certificate) string {
	return fmt.Sprintf("issuer %q, serial %X", clip(c.Issuer.String()), c.SerialNumber)
}

func clip(s string) string {
	if len(s) > 200 {
		s = s[:200]
	}
	return s
}
