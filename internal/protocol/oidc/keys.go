package oidc

import (
	"context"
	"time"

	"github.com/go-jose/go-jose/v4"

	"countersign/internal/jws"
	"countersign/internal/signingkey"
)

// statements are what is signed here, and by what.
type statements struct {
	issuer  string
	signing *signingkey.Keys
	method  func(kind string) string
	now     func() time.Time
	signers jws.Signers
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

// sign signs a statement by the key that signs now.
func (p *statements) sign(ctx context.Context, algorithm, typ string, statement []byte) (string, error) {
	return p.signers.Sign(ctx, p.signing, algorithm, typ, statement)
}
