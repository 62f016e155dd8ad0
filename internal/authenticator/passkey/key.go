package passkey

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/big"
	"slices"

	"github.com/go-webauthn/webauthn/protocol/webauthncose"
)

// The COSE algorithms that are asked for, in order of preference, and that are
// accepted (RFC 9053, RFC 8812).
const (
	algES256 = -7
	algEdDSA = -8
	algRS256 = -257
)

// A credential's key is kept in the one encoding below, CTAP2 canonical CBOR, so
// that reading it back needs no CBOR decoder and one key has one text.
var (
	// {1: 2, 3: -7, -1: 1, -2: x, -3: y}
	es256Start  = []byte{0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20}
	es256Middle = []byte{0x22, 0x58, 0x20}
	// {1: 1, 3: -8, -1: 6, -2: x}
	eddsaStart = []byte{0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 0x20}
	// {1: 3, 3: -257, -1: n, -2: 65537}
	rs256Start = []byte{0xa4, 0x01, 0x03, 0x03, 0x39, 0x01, 0x00, 0x20, 0x59}
	rs256End   = []byte{0x21, 0x43, 0x01, 0x00, 0x01}
)

const (
	minRSA = 2048 / 8 // bytes of modulus
	maxRSA = 4096 / 8 // beyond it a check costs more than it is worth
)

var (
	errKeyForm   = errors.New("passkey: stored public key is not in canonical form")
	errAlgorithm = errors.New("the key is of a kind that was not asked for")
)

func es256Key(x, y []byte) octets { return slices.Concat(es256Start, x, es256Middle, y) }

// canonicalKey takes a COSE key as an authenticator sent it, holds it to the
// algorithms that are accepted, and writes it in our encoding.
func canonicalKey(cose []byte) (octets, error) {
	parsed, err := webauthncose.ParsePublicKey(cose)
	if err != nil {
		return nil, err
	}
	var key octets
	switch k := parsed.(type) {
	case webauthncose.EC2PublicKeyData:
		if k.Algorithm != algES256 || k.Curve != int64(webauthncose.P256) {
			return nil, errAlgorithm
		}
		key = es256Key(k.XCoord, k.YCoord)
	case webauthncose.OKPPublicKeyData:
		if k.Algorithm != algEdDSA {
			return nil, errAlgorithm
		}
		key = slices.Concat(eddsaStart, k.XCoord)
	case webauthncose.RSAPublicKeyData:
		if k.Algorithm != algRS256 || !bytes.Equal(k.Exponent, []byte{1, 0, 1}) ||
			len(k.Modulus) < minRSA || len(k.Modulus) > maxRSA || k.Modulus[0] == 0 {
			return nil, errAlgorithm
		}
		size := binary.BigEndian.AppendUint16(nil, uint16(len(k.Modulus)))
		key = slices.Concat(rs256Start, size, k.Modulus, rs256End)
	default:
		return nil, errAlgorithm
	}
	_, err = parseKey(key)
	return key, err
}

// parseKey reads the canonical form and nothing else: an *ecdsa.PublicKey, an
// ed25519.PublicKey or an *rsa.PublicKey.
func parseKey(key octets) (crypto.PublicKey, error) {
	switch {
	case bytes.HasPrefix(key, es256Start):
		x, rest := cut(key[len(es256Start):], 32)
		y, ok := bytes.CutPrefix(rest, es256Middle)
		if !ok || len(y) != 32 {
			return nil, errKeyForm
		}
		point := append(append(append(make([]byte, 0, 65), 4), x...), y...)
		return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	case bytes.HasPrefix(key, eddsaStart):
		x := key[len(eddsaStart):]
		if len(x) != ed25519.PublicKeySize {
			return nil, errKeyForm
		}
		return ed25519.PublicKey(x), nil
	case bytes.HasPrefix(key, rs256Start):
		size, rest := cut(key[len(rs256Start):], 2)
		if len(size) != 2 {
			return nil, errKeyForm
		}
		n, rest := cut(rest, int(binary.BigEndian.Uint16(size)))
		if len(n) < minRSA || len(n) > maxRSA || !bytes.Equal(rest, rs256End) {
			return nil, errKeyForm
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}, nil
	}
	return nil, errKeyForm
}

// cut takes the first n bytes, or all there are.
func cut(b []byte, n int) (head, rest []byte) {
	n = min(n, len(b))
	return b[:n], b[n:]
}

// verify reports whether signature is key's over message.
func verify(key crypto.PublicKey, message, signature []byte) bool {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		digest := sha256.Sum256(message)
		return ecdsa.VerifyASN1(k, digest[:], signature)
	case ed25519.PublicKey:
		return ed25519.Verify(k, message, signature)
	case *rsa.PublicKey:
		digest := sha256.Sum256(message)
		return rsa.VerifyPKCS1v15(k, crypto.SHA256, digest[:], signature) == nil
	}
	return false
}
