package oidc

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// Person is whom an ID token is about.
type Person struct {
	Subject string
	// Class is its acr; empty where the token has none.
	Class string
	// Mail is an address that the provider says it verified; else it is empty.
	Mail string
	// Key is the thumbprint (RFC 7638, SHA-256, in base64url) of the key that signed.
	Key string
}

const (
	// tokenMost bounds an ID token before anything of it is read.
	tokenMost = 32 << 10
	// skew is how far its clock may stand from ours, and oldest how long ago a token may have been
	// made.
	skew, oldest = time.Minute, 10 * time.Minute
	// subjectMost is the greatest length of sub (OpenID Connect Core, section 2).
	subjectMost = 255
)

// verify checks an ID token (OpenID Connect Core, section 3.1.3.7).
func (c *Clients) verify(ctx context.Context, p Provider, d Discovery, v Visit, token string) (Person, error) {
	plain, key, err := c.signed(ctx, p, d, token)
	if err != nil {
		return Person{}, err
	}
	var t claims
	if json.Unmarshal(plain, &t) != nil {
		return Person{}, refuse("malformed", "the claims of the ID token cannot be read in one way")
	}
	if err := t.check(p, v, c.now()); err != nil {
		return Person{}, err
	}
	print, err := Thumbprint(key)
	return Person{Subject: t.Subject, Class: t.Class, Mail: t.mail(), Key: print}, err
}

// signed returns what one of the provider's own keys signed. A key or an address of one in the
// token itself is not looked at, and an encrypted token is none.
func (c *Clients) signed(ctx context.Context, p Provider, d Discovery, token string) ([]byte, jose.JSONWebKey, error) {
	var none jose.JSONWebKey
	if len(token) > tokenMost || strings.Count(token, ".") != 2 {
		return nil, none, refuse("malformed", "the ID token is no signed token")
	}
	var algorithms []jose.SignatureAlgorithm
	for _, a := range p.Algorithms {
		algorithms = append(algorithms, jose.SignatureAlgorithm(a))
	}
	parsed, err := jose.ParseSignedCompact(token, algorithms)
	if err != nil || len(parsed.Signatures) != 1 {
		return nil, none, refuse("wrong-algorithm", "the ID token is not signed by an algorithm that is taken of this provider")
	}
	header := parsed.Signatures[0].Protected
	for _, again := range []bool{false, true} {
		keys, err := c.keys(ctx, p, d, again)
		if err != nil {
			return nil, none, err
		}
		if key, ok := chosen(keys, header.KeyID, header.Algorithm); ok {
			plain, err := parsed.Verify(key.Key)
			if err != nil {
				return nil, none, refuse("wrong-signature", "the signature of the ID token is wrong")
			}
			return plain, key, nil
		}
	}
	return nil, none, refuse("unknown-key", "the ID token is signed by a key that this provider does not publish")
}

// chosen is the key of a name, or the only one where no name is said, if it is for signatures by
// this algorithm.
func chosen(keys []jose.JSONWebKey, id, algorithm string) (jose.JSONWebKey, bool) {
	fit := slices.DeleteFunc(slices.Clone(keys), func(k jose.JSONWebKey) bool {
		return id != "" && k.KeyID != id || !signsBy(k, algorithm)
	})
	if len(fit) != 1 {
		return jose.JSONWebKey{}, false
	}
	return fit[0], true
}

// signsBy reports whether a key is one for signatures by an algorithm: of its family, long
// enough, and for no other use.
func signsBy(k jose.JSONWebKey, algorithm string) bool {
	if !k.IsPublic() || !k.Valid() || k.Use != "" && k.Use != "sig" || k.Algorithm != "" && k.Algorithm != algorithm {
		return false
	}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen() >= 2048 && (strings.HasPrefix(algorithm, "RS") || strings.HasPrefix(algorithm, "PS"))
	case *ecdsa.PublicKey:
		return algorithm == map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}[key.Curve.Params().BitSize]
	case ed25519.PublicKey:
		return algorithm == "EdDSA"
	}
	return false
}

// keys are the provider's, from the last minutes, or fetched again.
func (c *Clients) keys(ctx context.Context, p Provider, d Discovery, again bool) ([]jose.JSONWebKey, error) {
	h, now := c.of(p), c.now()
	age := now.Sub(h.keysFetched)
	if !h.keysFetched.IsZero() && age >= 0 && (age < soonest || age < fresh && !again) {
		return h.keys, nil
	}
	keys, err := fetchKeys(ctx, p, d)
	if err != nil {
		return nil, err
	}
	h.keys, h.keysFetched = keys, now
	c.keep(p, h)
	return keys, nil
}

// mostKeys bounds the keys of a provider.
const mostKeys = 100

func fetchKeys(ctx context.Context, p Provider, d Discovery) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := fetched(ctx, p, d.Keys, &set); err != nil {
		return nil, err
	}
	if len(set.Keys) > mostKeys {
		return nil, unavailable("it publishes more than %d keys", mostKeys)
	}
	var out []jose.JSONWebKey
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if json.Unmarshal(raw, &k) == nil && k.Valid() { // of other kinds there may be some (RFC 7517 section 5)
			out = append(out, k)
		}
	}
	return out, nil
}

// Thumbprint names a key (RFC 7638).
func Thumbprint(k jose.JSONWebKey) (string, error) {
	sum, err := k.Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(sum), err
}

// claims are those of an ID token that are read.
type claims struct {
	Issuer   string          `json:"iss"`
	Subject  string          `json:"sub"`
	Audience json.RawMessage `json:"aud"`
	Party    *string         `json:"azp"`
	Nonce    string          `json:"nonce"`
	Class    string          `json:"acr"`
	Expires  *float64        `json:"exp"`
	Issued   *float64        `json:"iat"`
	Before   *float64        `json:"nbf"`
	Signed   *float64        `json:"auth_time"`
	Mail     string          `json:"email"`
	Verified json.RawMessage `json:"email_verified"`
}

// check finds a token to be this provider's, for us, for this visit, and of now.
func (t claims) check(p Provider, v Visit, now time.Time) error {
	audience, ok := t.audience()
	switch {
	case t.Issuer != p.Issuer:
		return refuse("wrong-issuer", "the ID token is another issuer's")
	case !ok || !slices.Contains(audience, p.Client):
		return refuse("wrong-audience", "the ID token is for somebody else")
	case len(audience) > 1 && t.Party == nil, t.Party != nil && *t.Party != p.Client:
		return refuse("wrong-audience", "the ID token was issued to somebody else (azp)")
	case v.Nonce == "" || subtle.ConstantTimeCompare([]byte(t.Nonce), []byte(v.Nonce)) != 1:
		return refuse("replayed", "the ID token is of another sign-in (nonce)")
	case t.Subject == "" || len(t.Subject) > subjectMost || strings.ContainsFunc(t.Subject, func(r rune) bool { return r < ' ' || r > '~' }):
		return refuse("malformed", "the subject is not 1 to 255 characters of ASCII")
	}
	return t.checkTimes(v, now)
}

func (t claims) checkTimes(v Visit, now time.Time) error {
	expires, issued, signed := moment(t.Expires), moment(t.Issued), moment(t.Signed)
	switch {
	case expires.IsZero() || !now.Before(expires.Add(skew)):
		return refuse("late", "the ID token has expired")
	case issued.IsZero() || issued.After(now.Add(skew)) || now.Sub(issued) > oldest:
		return refuse("late", "the ID token was not made just now")
	case t.Before != nil && (moment(t.Before).IsZero() || moment(t.Before).After(now.Add(skew))):
		return refuse("late", "the ID token does not count yet")
	case signed.IsZero():
		return refuse("no-time", "the ID token does not say when the person signed in (auth_time), which was asked for by max_age")
	case signed.After(now.Add(skew)) || now.Sub(signed) > v.MaxAge+skew:
		return refuse("stale", "the person signed in there too long ago")
	}
	return nil
}

// moment is a NumericDate; the zero time where there is none, or none of this age.
func moment(n *float64) time.Time {
	if n == nil || !(*n >= 1 && *n < 1e11) {
		return time.Time{}
	}
	return time.Unix(int64(*n), 0)
}

func (t claims) audience() ([]string, bool) {
	var one string
	if json.Unmarshal(t.Audience, &one) == nil {
		return []string{one}, true
	}
	var all []string
	err := json.Unmarshal(t.Audience, &all)
	return all, err == nil && len(all) > 0
}

// mail is the address, where the token says that it was verified, and says so by the word true
// alone.
func (t claims) mail() string {
	if string(t.Verified) != "true" {
		return ""
	}
	return t.Mail
}
