package virtualauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"time"
)

// CA is a root of our own, for attestation certificates and for metadata.
type CA struct {
	root    *x509.Certificate
	private *ecdsa.PrivateKey
}

// Certificates are valid in any year that a test's clock may show.
var (
	notBefore = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	notAfter  = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
)

// aaguidExtension is id-fido-gen-ce-aaguid (section 8.2.1).
var aaguidExtension = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4}

// NewCA makes a root with this name.
func NewCA(name string) (*CA, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name, Organization: []string{"Countersign test"}},
		NotBefore:             notBefore,
		NotAfter:              notAfter,
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, err
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &CA{root: root, private: private}, nil
}

// Root is the CA's own certificate.
func (ca *CA) Root() *x509.Certificate { return ca.root }

// certify makes an attestation certificate for a model (section 8.2.1).
func (ca *CA) certify(model [16]byte) (der []byte, private crypto.Signer, err error) {
	value, err := asn1.Marshal(model[:])
	if err != nil {
		return nil, nil, err
	}
	return ca.issue(&x509.Certificate{
		Subject: pkix.Name{
			Country:            []string{"DE"},
			Organization:       []string{"Countersign test"},
			OrganizationalUnit: []string{"Authenticator Attestation"},
			CommonName:         "softkey",
		},
		ExtraExtensions: []pkix.Extension{{Id: aaguidExtension, Value: value}},
	})
}

// issue completes a template and signs it.
func (ca *CA) issue(template *x509.Certificate) (der []byte, private *ecdsa.PrivateKey, err error) {
	private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template.SerialNumber = new(big.Int).SetBytes(randomBytes(16))
	template.NotBefore, template.NotAfter = notBefore, notAfter
	template.BasicConstraintsValid = true
	der, err = x509.CreateCertificate(rand.Reader, template, ca.root, private.Public(), ca.private)
	return der, private, err
}
