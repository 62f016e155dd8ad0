package testbed

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// Authority is a certification authority that the tests run.
type Authority struct {
	t           testing.TB
	Certificate *x509.Certificate
	Key         *ecdsa.PrivateKey
	serial      int64
	crls        int64
	revoked     []x509.RevocationListEntry
}

// NewAuthority makes a root of this name, or one below another authority.
func NewAuthority(t testing.TB, name string, above *Authority) *Authority {
	t.Helper()
	a := &Authority{t: t, Key: NewKey(t), serial: 100}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(365 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature}
	if above == nil {
		above = &Authority{Certificate: template, Key: a.Key}
	} else {
		template.SerialNumber = big.NewInt(2)
	}
	a.Certificate = Certify(t, template, above.Certificate, a.Key.Public(), above.Key)
	return a
}

// NewKey makes a P-256 key.
func NewKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Certify makes a certificate.
func Certify(t testing.TB, template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) *x509.Certificate {
	t.Helper()
	b, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Issue certifies a person's key for client authentication. Edit changes the
// template first.
func (a *Authority) Issue(name string, public crypto.PublicKey, edit ...func(*x509.Certificate)) *x509.Certificate {
	a.t.Helper()
	a.serial++
	template := &x509.Certificate{SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, f := range edit {
		f(template)
	}
	return Certify(a.t, template, a.Certificate, public, a.Key)
}

// Revoke puts a certificate on the next list.
func (a *Authority) Revoke(c *x509.Certificate) {
	a.revoked = append(a.revoked, x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: time.Now(), ReasonCode: 1})
}

// CRL returns a list, in DER, that is good for so long.
func (a *Authority) CRL(lasts time.Duration, extensions ...pkix.Extension) []byte {
	a.t.Helper()
	a.crls++
	now := time.Now()
	b, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(a.crls), ThisUpdate: now.Add(min(0, lasts) - time.Minute), NextUpdate: now.Add(lasts),
		RevokedCertificateEntries: a.revoked, ExtraExtensions: extensions}, a.Certificate, a.Key)
	if err != nil {
		a.t.Fatal(err)
	}
	return b
}

// PEM writes certificates to a file.
func PEM(t testing.TB, path string, all ...*x509.Certificate) string {
	t.Helper()
	var out []byte
	for _, c := range all {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return keep(t, path, out)
}

// KeyPEM writes a private key to a file.
func KeyPEM(t testing.TB, path string, k *ecdsa.PrivateKey) string {
	t.Helper()
	b, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return keep(t, path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b}))
}

func keep(t testing.TB, path string, b []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// UPN is a subject alternative name with user principal names, critical as in a
// certificate without a subject.
func UPN(t testing.TB, critical bool, names ...string) pkix.Extension {
	t.Helper()
	return UPNAs(t, der.UTF8String, critical, names...)
}

// UPNAs is UPN with names of another type of text.
func UPNAs(t testing.TB, kind der.Tag, critical bool, names ...string) pkix.Extension {
	t.Helper()
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, name := range names {
			b.AddASN1(der.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3})
				b.AddASN1(der.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
					b.AddASN1(kind, func(b *cryptobyte.Builder) { b.AddBytes([]byte(name)) })
				})
			})
		}
	})
	value, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: critical, Value: value}
}

// PIVAttestation is what a maker says of a key on one of its cards: the statement
// of the slot, and the certificate of the card below the maker's root.
func PIVAttestation(t testing.TB, maker *Authority, key crypto.PublicKey, pinPolicy byte) []*x509.Certificate {
	t.Helper()
	device := NewAuthority(t, "Test PIV Attestation", maker)
	serial, err := asn1.Marshal(7654321)
	if err != nil {
		t.Fatal(err)
	}
	arc := func(last int, value []byte) pkix.Extension {
		return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 41482, 3, last}, Value: value}
	}
	slot := Certify(t, &x509.Certificate{SerialNumber: big.NewInt(9), Subject: pkix.Name{CommonName: "YubiKey PIV Attestation 9a"},
		NotBefore: device.Certificate.NotBefore, NotAfter: device.Certificate.NotAfter,
		ExtraExtensions: []pkix.Extension{arc(3, []byte{5, 7, 1}), arc(7, serial), arc(8, []byte{pinPolicy, 1})}}, device.Certificate, key, device.Key)
	return []*x509.Certificate{slot, device.Certificate}
}

// TLSFiles writes a certificate for a name on this machine, and its key, and returns their paths.
func TLSFiles(t testing.TB, dir, name string) (certificate, key string) {
	t.Helper()
	k := NewKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(365 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	c := Certify(t, template, template, k.Public(), k)
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, dir, name+".pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))),
		write(t, dir, name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}
