package entra

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"sync"
	"time"

	"countersign/internal/signingkey"
)

// certificates are those of our keys, which Entra wants beside each (x5c). Each is made of its key
// alone, so that every server of an installation publishes the same one.
type certificates struct {
	mu   sync.Mutex
	made map[string]*x509.Certificate
}

// years is how long one says that it is good: the key is believed because it is published.
const years = 10

func (c *certificates) of(k signingkey.Key) (*x509.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if made, ok := c.made[k.ID]; ok {
		return made, nil
	}
	sum := sha256.Sum256([]byte("countersign x5c\x00" + k.ID))
	begins := k.Created.UTC().Truncate(time.Second)
	template := &x509.Certificate{SerialNumber: new(big.Int).SetBytes(sum[:15]), Subject: pkix.Name{CommonName: "countersign " + k.ID},
		NotBefore: begins, NotAfter: begins.AddDate(years, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true, SignatureAlgorithm: x509.SHA256WithRSA}
	der, err := x509.CreateCertificate(nil, template, template, k.Private.Public(), k.Private) // PKCS #1 v1.5 takes no random bytes
	if err != nil {
		return nil, err
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if c.made == nil || len(c.made) > 100 {
		c.made = map[string]*x509.Certificate{}
	}
	c.made[k.ID] = made
	return made, nil
}
