package oidc

import (
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"countersign/internal/jws"
)

// What clients sign is read here: assertions of who they are, and requests.

// read verifies what a client signed, by its own keys and their algorithms. Which key is meant is
// said by its name or by nothing (kid): a key or an address of one in the statement itself is not
// looked at. Encrypted ones are no statements.
func (c client) read(text, typ string) (jws.Statement, bool) {
	keys, err := c.keys()
	if err != nil || len(text) > jws.Most || strings.Count(text, ".") != 2 {
		return jws.Statement{}, false
	}
	var algorithms []jose.SignatureAlgorithm
	for _, k := range keys {
		algorithms = append(algorithms, c.algorithms(k)...)
	}
	if len(algorithms) == 0 {
		return jws.Statement{}, false
	}
	signed, err := jose.ParseSignedCompact(text, algorithms)
	if err != nil || len(signed.Signatures) != 1 {
		return jws.Statement{}, false
	}
	header := signed.Signatures[0].Protected
	if t, there := header.ExtraHeaders["typ"]; there && t != typ && t != "JWT" && t != "jwt" {
		return jws.Statement{}, false
	}
	for _, k := range keys {
		if header.KeyID != "" && k.KeyID != "" && header.KeyID != k.KeyID || !slices.Contains(c.algorithms(k), jose.SignatureAlgorithm(header.Algorithm)) {
			continue
		}
		if plain, err := signed.Verify(k.Key); err == nil {
			return jws.Parse(plain)
		}
	}
	return jws.Statement{}, false
}

// algorithms are those by which a key of this client may sign: of FAPI 2.0 only those of its
// section 5.4.1, and of a key that names one only that.
func (c client) algorithms(k jose.JSONWebKey) []jose.SignatureAlgorithm {
	out := jws.KeyAlgorithms(k)
	if c.Profile == FAPI2 {
		out = slices.DeleteFunc(out, func(a jose.SignatureAlgorithm) bool { return a != jose.PS256 && a != jose.ES256 && a != jose.EdDSA })
	}
	if k.Algorithm != "" {
		out = slices.DeleteFunc(out, func(a jose.SignatureAlgorithm) bool { return string(a) != k.Algorithm })
	}
	return out
}
