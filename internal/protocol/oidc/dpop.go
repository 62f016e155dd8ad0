package oidc

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"countersign/internal/jws"
	"countersign/internal/ticket"
)

// Clients show here that they have the key of a token (RFC 9449): whoever stole the token alone
// has nothing.

const (
	// proofType is the typ of a proof (RFC 9449 section 4.2), and proofHeader where it comes.
	proofType, proofHeader = "dpop+jwt", "DPoP"
	// proofLife is how old a proof may be, beside the skew of clocks.
	proofLife = time.Minute
	// nonceKind is what our nonces are sealed as, and nonceLife how long one is good.
	nonceKind, nonceLife = "oidc-dpop-nonce", 5 * time.Minute
	// proofKeyMost is how long an RSA key can be, in bits: anybody may bring one.
	proofKeyMost = 4096
)

// The values of [Settings.Sender]: tokens that are bound to a key by DPoP, and for each proof a
// nonce of ours besides.
const (
	ByDPoP      = "dpop"
	ByDPoPNonce = "dpop-nonce"
)

// binds reports whether a client's tokens must be bound to a key: of FAPI 2.0 all are (section
// 5.3.2.1).
func (s Settings) binds() bool { return s.Sender != "" || s.Profile == FAPI2 }

var (
	errProof = fault{"invalid_dpop_proof", "The DPoP proof is missing, or is not for this request, or is not good, or was used before."}
	errNonce = fault{"use_dpop_nonce", "The DPoP proof needs the nonce that comes with this answer."}
)

// proof is what a client signed about a request.
type proof struct {
	// key is the SHA-256 thumbprint of its key (RFC 7638), in base64url.
	key    string
	id     string
	method string
	uri    string
	issued time.Time
	// token is the hash of the access token that it comes with (ath), and nonce is ours.
	token string
	nonce string
}

// proofAlgorithms are those by which proofs may be signed: none that an old library alone needs,
// and none with a shared secret.
func proofAlgorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.ES256, jose.ES384, jose.ES512, jose.PS256, jose.PS384, jose.PS512, jose.EdDSA}
}

func proofAlgorithmNames() (out []string) {
	for _, a := range proofAlgorithms() {
		out = append(out, string(a))
	}
	return out
}

// readProof verifies a proof by the key that it brings itself: nobody is known by it, and only
// whoever has the key can make another one.
func readProof(text string, strict bool) (proof, bool) {
	if len(text) > jws.Most || strings.Count(text, ".") != 2 {
		return proof{}, false
	}
	algorithms := proofAlgorithms()
	if strict {
		algorithms = []jose.SignatureAlgorithm{jose.ES256, jose.PS256, jose.EdDSA}
	}
	signed, err := jose.ParseSignedCompact(text, algorithms)
	if err != nil || len(signed.Signatures) != 1 {
		return proof{}, false
	}
	header := signed.Signatures[0].Protected
	k := header.JSONWebKey
	if k == nil || !k.Valid() || !k.IsPublic() || header.ExtraHeaders["typ"] != proofType || !slices.Contains(jws.KeyAlgorithms(*k), jose.SignatureAlgorithm(header.Algorithm)) {
		return proof{}, false
	}
	if r, ok := k.Key.(*rsa.PublicKey); ok && r.N.BitLen() > proofKeyMost {
		return proof{}, false
	}
	plain, err := signed.Verify(k.Key)
	if err != nil {
		return proof{}, false
	}
	return parseProof(plain, k)
}

func parseProof(plain []byte, k *jose.JSONWebKey) (proof, bool) {
	var wire struct {
		Jti, Htm, Htu, Ath, Nonce string
		Iat                       *float64
	}
	if json.Unmarshal(plain, &wire) != nil || wire.Iat == nil || wire.Jti == "" || len(wire.Jti) > 256 {
		return proof{}, false
	}
	issued, ok := jws.Seconds(wire.Iat)
	if !ok {
		return proof{}, false
	}
	sum, err := k.Thumbprint(crypto.SHA256)
	return proof{key: base64.RawURLEncoding.EncodeToString(sum), id: wire.Jti, method: wire.Htm, uri: wire.Htu, issued: issued, token: wire.Ath, nonce: wire.Nonce}, err == nil
}

// isAbout reports whether a proof is for a request of this method to an address of ours, made
// now, with this access token if there is one.
func (pr proof) isAbout(method, address, token string, now time.Time) bool {
	if pr.method != method || !sameAddress(pr.uri, address) || pr.issued.After(now.Add(jws.Skew)) || now.Sub(pr.issued) > proofLife+jws.Skew {
		return false
	}
	return token == "" || subtle.ConstantTimeCompare([]byte(pr.token), []byte(tokenHash(token))) == 1
}

// tokenHash is ath (RFC 9449 section 4.2).
func tokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// sameAddress reports whether an address that a client writes is one of ours, but for what stands
// behind its path (RFC 9449 section 4.3). Case of scheme and host and a port that goes without
// saying do not count (RFC 3986 section 6.2); what two programs could read differently is
// another address.
func sameAddress(got, ours string) bool {
	a, errA := url.Parse(got)
	b, errB := url.Parse(ours)
	if errA != nil || errB != nil || a.User != nil || a.Opaque != "" || len(got) > valueMost || strings.ContainsFunc(got, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }) {
		return false
	}
	return strings.EqualFold(a.Scheme, b.Scheme) && hostAndPort(a) == hostAndPort(b) && a.EscapedPath() == b.EscapedPath()
}

func hostAndPort(u *url.URL) string {
	host, port := strings.ToLower(u.Host), ":443"
	if strings.EqualFold(u.Scheme, "http") {
		port = ":80"
	}
	return strings.TrimSuffix(host, port)
}

// possessed is the key that a request shows, by its thumbprint, or empty where it shows none and
// needs none: a client that must bind its tokens needs one. Each proof is good once.
func (p *desk) possessed(w http.ResponseWriter, r *http.Request, c client, token string) (key string, f fault, err error) {
	all := r.Header.Values(proofHeader)
	if len(all) == 0 && token == "" {
		return "", fault{}, nil
	}
	if len(all) != 1 {
		return "", errProof, nil
	}
	pr, ok := readProof(all[0], c.Profile == FAPI2)
	if !ok || !slices.ContainsFunc(p.addresses(r.URL.Path), func(at string) bool { return pr.isAbout(r.Method, at, token, p.now()) }) {
		return "", errProof, nil
	}
	if c.Sender == ByDPoPNonce || pr.nonce != "" {
		p.offerNonce(w)
		if _, err := p.tickets.OpenSealed(nonceKind, pr.nonce); err != nil {
			return "", errNonce, nil
		}
	}
	first, err := p.grants.UseOnce(r.Context(), "dpop", pr.key, pr.id, pr.issued.Add(proofLife+jws.Skew))
	if err != nil || !first {
		return "", errProof, err
	}
	return pr.key, fault{}, nil
}

// offerNonce gives the client the nonce for its next proof (RFC 9449 section 8).
func (p *desk) offerNonce(w http.ResponseWriter) {
	if nonce, ok := p.tickets.Sealed(ticket.Spec{Kind: nonceKind, Lifetime: nonceLife}); ok {
		w.Header().Set("DPoP-Nonce", nonce)
	}
}
