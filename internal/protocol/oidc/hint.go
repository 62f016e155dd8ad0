package oidc

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"countersign/internal/signingkey"
)

// readHint reads an id_token_hint: an ID token of ours, of whatever age, that says whom the
// client means (OpenID Connect Core section 3.1.2.1). What we did not sign is refused.
func (p *front) readHint(r *http.Request, q *request, v params) fault {
	text := v["id_token_hint"]
	if text == "" {
		return fault{}
	}
	set, err := p.statements.publicKeys(r.Context())
	if err != nil {
		p.notes.fails(err)
		return errUnavailable
	}
	sub, ok := p.statements.hinted(set, text, q.client.ClientID)
	switch {
	case !ok:
		return fault{"invalid_request", "The id_token_hint is no ID token of ours for this client."}
	case q.sub != "" && q.sub != sub:
		return fault{"invalid_request", "The id_token_hint and the claims mean two people."}
	}
	q.sub = sub
	return fault{}
}

// hinted is whom an ID token of ours for this client is about.
func (p *statements) hinted(set jose.JSONWebKeySet, text, clientID string) (sub string, ok bool) {
	if strings.Count(text, ".") != 2 {
		return "", false
	}
	var algorithms []jose.SignatureAlgorithm
	for _, a := range signingkey.Algorithms() {
		algorithms = append(algorithms, jose.SignatureAlgorithm(a))
	}
	signed, err := jose.ParseSigned(text, algorithms)
	if err != nil || len(signed.Signatures) != 1 {
		return "", false
	}
	header := signed.Signatures[0].Protected
	i := slices.IndexFunc(set.Keys, func(k jose.JSONWebKey) bool { return k.KeyID == header.KeyID && k.Algorithm == header.Algorithm })
	if i < 0 || header.KeyID == "" {
		return "", false
	}
	plain, err := signed.Verify(set.Keys[i])
	if err != nil {
		return "", false
	}
	var says struct{ Iss, Sub, Aud string }
	if json.Unmarshal(plain, &says) != nil || says.Iss != p.issuer || says.Aud != clientID || says.Sub == "" || header.ExtraHeaders["typ"] != "JWT" {
		return "", false
	}
	return says.Sub, true
}
