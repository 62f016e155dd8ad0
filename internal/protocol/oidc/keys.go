package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"countersign/internal/signingkey"
)

// statements are what is signed here, and by what.
type statements struct {
	issuer  string
	signing *signingkey.Keys
	method  func(kind string) string
	now     func() time.Time
	signers signers
}

// publicKeys are those that verify our tokens now, before and soon.
func (p *statements) publicKeys(ctx context.Context) (jose.JSONWebKeySet, error) {
	all, err := p.signing.Published(ctx)
	if err != nil {
		return jose.JSONWebKeySet{}, err
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range all {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.Private.Public(), KeyID: k.ID, Algorithm: k.Algorithm, Use: "sig"})
	}
	return set, nil
}

// signers are made once for each key.
type signers struct {
	mu   sync.Mutex
	made map[string]jose.Signer
}

func (s *signers) of(k signingkey.Key, typ string) (jose.Signer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := k.ID + " " + typ
	if made, ok := s.made[name]; ok {
		return made, nil
	}
	key := jose.SigningKey{Algorithm: jose.SignatureAlgorithm(k.Algorithm), Key: jose.JSONWebKey{Key: k.Private, KeyID: k.ID}}
	made, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		return nil, err
	}
	if s.made == nil || len(s.made) > 100 {
		s.made = map[string]jose.Signer{}
	}
	s.made[name] = made
	return made, nil
}

// sign signs a statement by the key that signs now.
func (p *statements) sign(ctx context.Context, algorithm, typ string, statement []byte) (string, error) {
	key, err := p.signing.Signer(ctx, algorithm)
	if err != nil {
		return "", err
	}
	signer, err := p.signers.of(key, typ)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(statement)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// keyAlgorithms are those by which a client's key may sign; nil is a key that is not taken. It is
// the key that says so, and never the token: no public key is a shared secret, and none is "none".
func keyAlgorithms(k jose.JSONWebKey) []jose.SignatureAlgorithm {
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
