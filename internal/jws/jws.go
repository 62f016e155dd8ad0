// Package jws is what is signed as a JSON Web Signature (RFC 7515): our own statements, and what
// the statements of others have in common.
//
// It owns how a statement of ours is signed by a key of signingkey, by which algorithms a public
// key of somebody else may sign, and how the claims are read that all statements share (RFC 7519).
// It fetches no key, stores nothing and decides nothing: whose key counts and what a statement is
// good for, each protocol says. Its neighbours are signingkey and the protocols that issue tokens.
// Its one invariant: the key says by which algorithm it signs, and never the token.
package jws

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"sync"

	"github.com/go-jose/go-jose/v4"

	"countersign/internal/signingkey"
)

// Signers sign what this installation states. The header of each key and type is encoded once, and
// kept. The zero value is ready, and it is safe for concurrent use.
type Signers struct {
	mu      sync.Mutex
	headers map[header]string
}

// header is what the header of a statement of ours says (RFC 7515 section 4.1).
type header struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
	Type      string `json:"typ"`
}

// of encodes a header.
func (s *Signers) of(h header) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if made, ok := s.headers[h]; ok {
		return made, nil
	}
	plain, err := json.Marshal(h)
	if err != nil {
		return "", err
	}
	if s.headers == nil || len(s.headers) > 100 {
		s.headers = map[header]string{}
	}
	made := base64.RawURLEncoding.EncodeToString(plain)
	s.headers[h] = made
	return made, nil
}

// Sign signs a statement by the key that signs now by an algorithm of signingkey, with a type for
// its header (typ), in the compact form.
func (s *Signers) Sign(ctx context.Context, keys *signingkey.Keys, algorithm, typ string, statement []byte) (string, error) {
	key, err := keys.Signer(ctx, algorithm)
	if err != nil {
		return "", err
	}
	h, err := s.of(header{key.Algorithm, key.ID, typ})
	if err != nil {
		return "", err
	}
	return compact(key, h, statement)
}

// KeyAlgorithms are those by which the key of somebody else may sign; nil is a key that is not taken. It is
// the key that says so, and never the token: no public key is a shared secret, and none is "none".
func KeyAlgorithms(k jose.JSONWebKey) []jose.SignatureAlgorithm {
	switch key := k.Key.(type) {
	case *ecdsa.PublicKey:
		switch key.Curve.Params().BitSize {
		case 256:
			return []jose.SignatureAlgorithm{jose.ES256}
		case 384:
			return []jose.SignatureAlgorithm{jose.ES384}
		case 521:
			return []jose.SignatureAlgorithm{jose.ES512}
		}
	case *rsa.PublicKey:
		if key.N.BitLen() >= 2048 {
			return []jose.SignatureAlgorithm{jose.PS256, jose.RS256, jose.PS384, jose.PS512}
		}
	case ed25519.PublicKey:
		return []jose.SignatureAlgorithm{jose.EdDSA}
	}
	return nil
}
