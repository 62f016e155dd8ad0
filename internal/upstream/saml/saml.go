// Package saml has people sign in at another organisation's SAML identity provider.
package saml

import (
	"crypto/x509"
	"encoding/pem"

	"countersign/internal/failure"
)

// Certificates reads the certificates of a provider's keys, in PEM: one at least.
func Certificates(text string) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil || block.Type != "CERTIFICATE" {
			return nil, failure.New(failure.Invalid, "One of the certificates cannot be read.")
		}
		out = append(out, c)
	}
	if len(out) == 0 || len(out) > 10 {
		return nil, failure.New(failure.Invalid, "Give 1 to 10 certificates of its signing keys, in PEM.")
	}
	return out, nil
}
