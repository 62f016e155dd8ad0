package jws

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"countersign/internal/failure"
	"countersign/internal/signingkey"
)

// compact signs a statement under a header that is encoded already (RFC 7515 section 7.1): by
// ES256 or RS256 (RFC 7518 section 3.1), which are all that keys of ours sign by.
func compact(k signingkey.Key, header string, statement []byte) (string, error) {
	out := make([]byte, 0, len(header)+1+base64.RawURLEncoding.EncodedLen(len(statement))+1+base64.RawURLEncoding.EncodedLen(512))
	out = append(append(out, header...), '.')
	out = base64.RawURLEncoding.AppendEncode(out, statement)
	digest := sha256.Sum256(out)
	signature, err := k.Private.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err == nil && k.Algorithm == signingkey.ES256 {
		signature, err = fixed(signature)
	}
	if err != nil {
		return "", err
	}
	return string(base64.RawURLEncoding.AppendEncode(append(out, '.'), signature)), nil
}

// half is the length of each number of a signature by ES256.
const half = 32

// fixed is a signature by ES256 as JWS has it: both numbers, each in 32 bytes (RFC 7518 section
// 3.4), of one as Go gives it.
func fixed(der []byte) ([]byte, error) {
	var inner cryptobyte.String
	var r, s []byte
	input := cryptobyte.String(der)
	if !input.ReadASN1(&inner, asn1.SEQUENCE) || !inner.ReadASN1Integer(&r) || !inner.ReadASN1Integer(&s) || len(r) > half || len(s) > half {
		return nil, failure.New(failure.Internal, "a signature is not one of P-256")
	}
	out := make([]byte, 2*half)
	copy(out[half-len(r):half], r)
	copy(out[2*half-len(s):], s)
	return out, nil
}
