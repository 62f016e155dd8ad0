// Package dbsc is the language of Device Bound Session Credentials: what a browser signs to show
// that it still has the key of a session, and what a server answers.
//
// It owns the form of proofs, challenges and instructions (W3C, Device Bound Session Credentials,
// sections 8.1 to 8.9). It does not know sessions, cookies' values or the clock: session keeps the
// keys and decides what a proof is worth, web and forwardauth carry the headers. Its one
// invariant: a proof is read only if its key is an ES256 or RS256 key and signed all of it.
package dbsc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// The headers of the protocol.
const (
	Registration = "Secure-Session-Registration"
	Challenge    = "Secure-Session-Challenge"
	Response     = "Secure-Session-Response"
	ID           = "Sec-Secure-Session-Id"
)

const (
	// proofType is the typ of a proof (section 8.9).
	proofType = "dbsc+jwt"
	// proofMost is how long a proof can be, in bytes: one with an RSA key of 4096 bits has 1.7 KB.
	proofMost = 4096
	// challengeMost bounds what a proof says, in bytes.
	challengeMost = 256
	// The length of an RSA key, in bits: anybody may bring one.
	rsaLeast, rsaMost = 2048, 4096
)

// algorithms are the two that the protocol knows. Neither none nor one with a shared secret is
// among them, so that a public key is never read as a secret.
var algorithms = []jose.SignatureAlgorithm{jose.ES256, jose.RS256}

var (
	errProof = errors.New("dbsc: no proof, or one that its key did not sign")
	errKey   = errors.New("dbsc: no key of P-256, and none of RSA with 2048 to 4096 bits")
)

// Key is the public key of a bound session. The zero Key verifies nothing.
type Key struct {
	algorithm jose.SignatureAlgorithm
	public    crypto.PublicKey
	der       []byte
}

// Stored returns the key for keeping: the subject public key info of RFC 5280 section 4.1.2.7 in
// DER, which says the algorithm as well.
func (k Key) Stored() []byte { return k.der }

// Thumbprint names a key in 256 bits.
func (k Key) Thumbprint() []byte {
	sum := sha256.Sum256(k.der)
	return sum[:]
}

// ParseKey reads what [Key.Stored] returned.
func ParseKey(der []byte) (Key, error) {
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return Key{}, errKey
	}
	return newKey(public)
}

// newKey takes a key of one of the two kinds; each has one algorithm, so that a proof cannot
// choose another.
func newKey(public crypto.PublicKey) (Key, error) {
	k := Key{public: public}
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		if p.Curve != elliptic.P256() {
			return Key{}, errKey
		}
		k.algorithm = jose.ES256
	case *rsa.PublicKey:
		if bits := p.N.BitLen(); bits < rsaLeast || bits > rsaMost {
			return Key{}, errKey
		}
		k.algorithm = jose.RS256
	default:
		return Key{}, errKey
	}
	var err error
	if k.der, err = x509.MarshalPKIXPublicKey(public); err != nil {
		return Key{}, errKey
	}
	return k, nil
}

// Registered reads the proof of a registration, which brings its key and is signed by it. It
// returns the key and the challenge that was signed.
func Registered(header string) (k Key, challenge string, err error) {
	signed, err := parse(header)
	if err != nil {
		return Key{}, "", err
	}
	brought := signed.Signatures[0].Protected.JSONWebKey
	if brought == nil || !brought.Valid() || !brought.IsPublic() {
		return Key{}, "", errProof
	}
	if k, err = newKey(brought.Key); err != nil {
		return Key{}, "", err
	}
	challenge, err = k.verify(signed)
	return k, challenge, err
}

// Proven reads the proof of a refresh, which the key must have signed, and returns the challenge
// that was signed. A proof that brings a key is none: the session's own is the only one that
// counts.
func (k Key) Proven(header string) (challenge string, err error) {
	signed, err := parse(header)
	if err != nil {
		return "", err
	}
	if k.public == nil || signed.Signatures[0].Protected.JSONWebKey != nil {
		return "", errProof
	}
	return k.verify(signed)
}

// parse reads a header with one proof in it. Nothing is verified yet.
func parse(header string) (*jose.JSONWebSignature, error) {
	text, ok := quoted(header)
	if !ok || strings.Count(text, ".") != 2 {
		return nil, errProof
	}
	signed, err := jose.ParseSignedCompact(text, algorithms)
	if err != nil || len(signed.Signatures) != 1 {
		return nil, errProof
	}
	if signed.Signatures[0].Protected.ExtraHeaders["typ"] != proofType {
		return nil, errProof
	}
	return signed, nil
}

// verify checks the signature by the algorithm of the key, and returns the challenge.
func (k Key) verify(signed *jose.JSONWebSignature) (string, error) {
	if signed.Signatures[0].Protected.Algorithm != string(k.algorithm) {
		return "", errProof
	}
	plain, err := signed.Verify(k.public)
	if err != nil {
		return "", errProof
	}
	var says struct {
		Challenge string `json:"jti"`
	}
	if json.Unmarshal(plain, &says) != nil || says.Challenge == "" || len(says.Challenge) > challengeMost {
		return "", errProof
	}
	return says.Challenge, nil
}

// quoted reads a string of RFC 9651 section 3.3.3 that has no escapes, as all have that hold a
// proof, a challenge or an identifier. Parameters behind it do not count (section 8.3). Chromium
// 156 sends the text without quotes, and that is read as well.
func quoted(header string) (string, bool) {
	if len(header) > proofMost {
		return "", false
	}
	text := strings.Trim(header, " ")
	if rest, opens := strings.CutPrefix(text, `"`); opens {
		inner, after, closes := strings.Cut(rest, `"`)
		if !closes || after != "" && after[0] != ';' {
			return "", false
		}
		text = inner
	}
	return text, text != "" && !strings.ContainsFunc(text, strange)
}

// strange reports whether a character is in no proof, challenge or identifier of ours: they are
// base64url (RFC 4648 section 5), with dots in between.
func strange(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
}

// Identifier reads which session a browser refreshes; empty for none.
func Identifier(header string) string {
	id, ok := quoted(header)
	if !ok {
		return ""
	}
	return id
}

// Offer is the header by which a browser is asked to bind a session: it posts its proof to path.
func Offer(path, challenge string) string {
	return `(ES256 RS256);path="` + path + `";challenge="` + challenge + `"`
}

// Asked is the header of the challenge that the session of this identifier signs next.
func Asked(challenge, id string) string { return `"` + challenge + `";id="` + id + `"` }

// Instructions say to a browser which cookie it keeps alive, and where. They are for one origin:
// no other host of its site is in the scope.
type Instructions struct {
	Identifier string
	// Refresh is the path to which proofs are posted, and Cookie the name of the cookie, which
	// is of its host, for every path, and for no script, and Secure if that is set.
	Refresh, Cookie string
	Secure          bool
}

// attributes are those of the bound cookie, in the words of Set-Cookie.
func (i Instructions) attributes() string {
	if i.Secure {
		return "Path=/; Secure; HttpOnly; SameSite=Lax"
	}
	return "Path=/; HttpOnly; SameSite=Lax"
}

// JSON writes the instructions (section 8.6). Whoever follows a link from another site has their
// cookie refreshed first (allowed_refresh_initiators): else they would come without, as a thief
// does.
func (i Instructions) JSON() ([]byte, error) {
	type credential struct {
		Type       string `json:"type"`
		Name       string `json:"name"`
		Attributes string `json:"attributes"`
	}
	return json.Marshal(struct {
		Identifier string          `json:"session_identifier"`
		Refresh    string          `json:"refresh_url"`
		Scope      map[string]bool `json:"scope"`
		Bound      []credential    `json:"credentials"`
		Initiators []string        `json:"allowed_refresh_initiators"`
	}{i.Identifier, i.Refresh, map[string]bool{"include_site": false}, []credential{{"cookie", i.Cookie, i.attributes()}}, []string{"*"}})
}

// Signed makes the proof of a key, as a browser does: with the key in it for a registration. It is
// for whoever plays a browser.
func Signed(key crypto.Signer, challenge string, registers bool) (string, error) {
	k, err := newKey(key.Public())
	if err != nil {
		return "", err
	}
	head := map[string]any{"alg": string(k.algorithm), "typ": proofType}
	if registers {
		head["jwk"] = jose.JSONWebKey{Key: key.Public()}
	}
	return SignedAs(key, head, map[string]any{"jti": challenge})
}

// SignedAs is Signed with whatever head and body; the signature is by the key's own algorithm.
func SignedAs(key crypto.Signer, head, body map[string]any) (string, error) {
	h, err := json.Marshal(head)
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(body)
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(b)
	signature, err := sign(key, text)
	return `"` + text + "." + base64.RawURLEncoding.EncodeToString(signature) + `"`, err
}
