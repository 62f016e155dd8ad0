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
	says, ok := p.ours(set, text)
	if !ok || says.Aud != clientID {
		return "", false
	}
	return says.Sub, true
}

// hint is what an ID token of ours says of whom and of which session it is.
type hint struct{ Iss, Sub, Aud, Sid string }

// ours reads an ID token of ours, of whatever age.
func (p *statements) ours(set jose.JSONWebKeySet, text string) (hint, bool) {
	if strings.Count(text, ".") != 2 {
		return hint{}, false
	}
	var algorithms []jose.SignatureAlgorithm
	for _, a := range signingkey.Algorithms() {
		algorithms = append(algorithms, jose.SignatureAlgorithm(a))
	}
	signed, err := jose.ParseSignedCompact(text, algorithms)
	if err != nil || len(signed.Signatures) != 1 {
		return hint{}, false
	}
	header := signed.Signatures[0].Protected
	i := slices.IndexFunc(set.Keys, func(k jose.JSONWebKey) bool { return k.KeyID == header.KeyID && k.Algorithm == header.Algorithm })
	if i < 0 || header.KeyID == "" {
		return hint{}, false
	}
	plain, err := signed.Verify(set.Keys[i])
	if err != nil {
		return hint{}, false
	}
	var says hint
	if json.Unmarshal(plain, &says) != nil || says.Iss != p.issuer || says.Aud == "" || says.Sub == "" || header.ExtraHeaders["typ"] != "JWT" {
		return hint{}, false
	}
	return says, true
}
