package certkey

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"time"
)

// life is how long a certificate says that it is good, in years. Those who were told it
// believe the key because it was told to them, and not because of a date.
const life = 10

// selfSigned makes a certificate of a key that says nothing but a name.
func selfSigned(signer crypto.Signer, subject string, now time.Time) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: subject},
		NotBefore: now.Add(-time.Hour).UTC(), NotAfter: now.AddDate(life, 0, 0).UTC(),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	return x509.CreateCertificate(rand.Reader, c, c, signer.Public(), signer)
}

func digest(b []byte) []byte {
	h := sha256.Sum256(b)
	return h[:]
}
