package dbsc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
)

// sign signs a text as JWS does: two numbers as long as the curve's (RFC 7518 section 3.4), PKCS #1
// v1.5 for RSA (section 3.3).
func sign(key crypto.Signer, text string) ([]byte, error) {
	sum := sha256.Sum256([]byte(text))
	own, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return key.Sign(rand.Reader, sum[:], crypto.SHA256)
	}
	r, s, err := ecdsa.Sign(rand.Reader, own, sum[:])
	if err != nil {
		return nil, err
	}
	size := (own.Params().BitSize + 7) / 8
	out := make([]byte, 2*size)
	r.FillBytes(out[:size])
	s.FillBytes(out[size:])
	return out, nil
}
