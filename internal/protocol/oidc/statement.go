package oidc

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// What clients sign is read here: assertions of who they are, and requests.

// statementMost is how long one can be, in bytes, before anything of it is read.
const statementMost = 8 << 10

// statement is what a client signed, as far as everybody's is alike.
type statement struct {
	Issuer   string
	Subject  string
	Audience []string
	ID       string
	Expires  time.Time
	Before   time.Time
	Issued   time.Time
	all      map[string]any
}

// farthest is how far in the future what a client signs may end, and skew how far its clock may
// stand apart.
const (
	farthest = 10 * time.Minute
	skew     = 30 * time.Second
)

// read verifies what a client signed, by its own keys and their algorithms. Which key is meant is
// said by its name or by nothing (kid): a key or an address of one in the statement itself is not
// looked at. Encrypted ones are no statements.
func (c client) read(text, typ string) (statement, bool) {
	keys, err := c.keys()
	if err != nil || len(text) > statementMost || strings.Count(text, ".") != 2 {
		return statement{}, false
	}
	var algorithms []jose.SignatureAlgorithm
	for _, k := range keys {
		algorithms = append(algorithms, c.algorithms(k)...)
	}
	if len(algorithms) == 0 {
		return statement{}, false
	}
	signed, err := jose.ParseSignedCompact(text, algorithms)
	if err != nil || len(signed.Signatures) != 1 {
		return statement{}, false
	}
	header := signed.Signatures[0].Protected
	if t, there := header.ExtraHeaders["typ"]; there && t != typ && t != "JWT" && t != "jwt" {
		return statement{}, false
	}
	for _, k := range keys {
		if header.KeyID != "" && k.KeyID != "" && header.KeyID != k.KeyID || !slices.Contains(c.algorithms(k), jose.SignatureAlgorithm(header.Algorithm)) {
			continue
		}
		if plain, err := signed.Verify(k.Key); err == nil {
			return parseStatement(plain)
		}
	}
	return statement{}, false
}

// algorithms are those by which a key of this client may sign: of FAPI 2.0 only those of its
// section 5.4.1, and of a key that names one only that.
func (c client) algorithms(k jose.JSONWebKey) []jose.SignatureAlgorithm {
	out := keyAlgorithms(k)
	if c.Profile == FAPI2 {
		out = slices.DeleteFunc(out, func(a jose.SignatureAlgorithm) bool { return a != jose.PS256 && a != jose.ES256 && a != jose.EdDSA })
	}
	if k.Algorithm != "" {
		out = slices.DeleteFunc(out, func(a jose.SignatureAlgorithm) bool { return string(a) != k.Algorithm })
	}
	return out
}

// parseStatement reads the claims that every statement has.
func parseStatement(plain []byte) (statement, bool) {
	var wire struct {
		Iss string          `json:"iss"`
		Sub string          `json:"sub"`
		Aud json.RawMessage `json:"aud"`
		Jti string          `json:"jti"`
		Exp *float64        `json:"exp"`
		Nbf *float64        `json:"nbf"`
		Iat *float64        `json:"iat"`
	}
	s := statement{all: map[string]any{}}
	if json.Unmarshal(plain, &wire) != nil || json.Unmarshal(plain, &s.all) != nil || wire.Exp == nil {
		return statement{}, false
	}
	s.Issuer, s.Subject, s.ID = wire.Iss, wire.Sub, wire.Jti
	var one string
	switch {
	case json.Unmarshal(wire.Aud, &one) == nil:
		s.Audience = []string{one}
	case json.Unmarshal(wire.Aud, &s.Audience) != nil:
		return statement{}, false
	}
	var ok [3]bool
	s.Expires, ok[0] = seconds(wire.Exp)
	s.Before, ok[1] = seconds(wire.Nbf)
	s.Issued, ok[2] = seconds(wire.Iat)
	return s, ok == [3]bool{true, true, true} && len(s.ID) <= 256
}

// seconds is a NumericDate (RFC 7519 section 2); nil is the zero time. What is no moment of this
// age is refused.
func seconds(n *float64) (time.Time, bool) {
	switch {
	case n == nil:
		return time.Time{}, true
	case !(*n >= 1 && *n < 1e11):
		return time.Time{}, false
	}
	return time.Unix(int64(*n), 0), true
}

// current reports whether a statement is good now: it ends, soon, and has begun.
func (s statement) current(now time.Time) bool {
	return now.Before(s.Expires.Add(skew)) && s.Expires.Before(now.Add(farthest+skew)) && !s.Before.After(now.Add(skew)) && !s.Issued.After(now.Add(skew)) &&
		(s.Issued.IsZero() || now.Sub(s.Issued) < farthest+skew || s.Expires.Sub(s.Issued) <= farthest)
}

// isFor reports whether a statement is for one of our names and for nobody else.
func (s statement) isFor(names ...string) bool {
	return len(s.Audience) == 1 && slices.Contains(names, s.Audience[0])
}
