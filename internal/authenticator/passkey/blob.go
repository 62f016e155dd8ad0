package passkey

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"crypto"
)

// blobHeader is the JWS header of a metadata BLOB.
type blobHeader struct {
	Algorithm string   `json:"alg"`
	Chain     []string `json:"x5c"`
	ChainURL  string   `json:"x5u"`
}

// verifyBlob checks a BLOB's signature and that the signer's certificate chains
// to a pinned root, and returns the payload (FIDO MDS 3.1.1 section 3.2). It is
// not left to the library because that asks the network about revocation.
func verifyBlob(blob []byte, source MetadataSource, now time.Time) ([]byte, error) {
	if len(blob) > maxBlob {
		return nil, fmt.Errorf("the file is larger than %d MiB", maxBlob>>20)
	}
	parts := bytes.Split(bytes.TrimSpace(blob), []byte("."))
	if len(parts) != 3 {
		return nil, errors.New("the file is not a signed metadata BLOB (header.payload.signature)")
	}
	decoded := make([][]byte, len(parts))
	for i, part := range parts {
		var err error
		if decoded[i], err = rawURL.AppendDecode(nil, part); err != nil {
			return nil, errors.New("the file is not a signed metadata BLOB: bad base64url")
		}
	}
	var header blobHeader
	if err := json.Unmarshal(decoded[0], &header); err != nil {
		return nil, errors.New("the BLOB's header cannot be read")
	}
	leaf, err := verifySigner(header, source, now)
	if err != nil {
		return nil, err
	}
	signed := blob[bytes.Index(blob, parts[0]):]
	signed = signed[:len(parts[0])+1+len(parts[1])]
	if !verifyJWS(header.Algorithm, leaf.PublicKey, signed, decoded[2]) {
		return nil, errors.New("the BLOB's signature is wrong")
	}
	return decoded[1], nil
}

// verifySigner returns the certificate that signs, after checking its chain.
func verifySigner(header blobHeader, source MetadataSource, now time.Time) (*x509.Certificate, error) {
	if header.ChainURL != "" {
		return nil, errors.New("the BLOB refers to its certificates by URL, which is not followed")
	}
	if len(header.Chain) == 0 {
		return nil, errors.New("the BLOB has no certificates")
	}
	var leaf *x509.Certificate
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	for _, root := range source.Roots {
		roots.AddCert(root)
	}
	for i, text := range header.Chain {
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, errors.New("a certificate of the BLOB is not base64")
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("a certificate of the BLOB cannot be read: %w", err)
		}
		if i == 0 {
			leaf = certificate
			continue
		}
		intermediates.AddCert(certificate)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: intermediates,
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		DNSName:       source.Signer,
	}); err != nil {
		return nil, fmt.Errorf("the BLOB's signer is not to be trusted: %w", err)
	}
	return leaf, nil
}

// verifyJWS accepts RS256 and ES256 (RFC 7518 sections 3.3 and 3.4), which are
// what MDS uses, each with a key of its own kind only.
func verifyJWS(algorithm string, key crypto.PublicKey, signed, signature []byte) bool {
	digest := sha256.Sum256(signed)
	switch k := key.(type) {
	case *rsa.PublicKey:
		return algorithm == "RS256" && rsa.VerifyPKCS1v15(k, crypto.SHA256, digest[:], signature) == nil
	case *ecdsa.PublicKey:
		if algorithm != "ES256" || k.Curve.Params().BitSize != 256 || len(signature) != 64 {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		return ecdsa.Verify(k, digest[:], r, s)
	}
	return false
}
