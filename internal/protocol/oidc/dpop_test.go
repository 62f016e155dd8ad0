package oidc

import (
	"countersign/internal/jws"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// made is a proof as a client makes it, with whatever else stands in its header.
func made(t testing.TB, alg jose.SignatureAlgorithm, key any, typ string, embed bool, claims any) string {
	t.Helper()
	options := (&jose.SignerOptions{EmbedJWK: embed}).WithType(jose.ContentType(typ))
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(plain)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// byHand is a proof of parts that no library would make.
func byHand(header, payload, signature string) string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(header)) + "." + enc([]byte(payload)) + "." + enc([]byte(signature))
}

func newEC(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newRSA(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func goodClaims() map[string]any {
	return map[string]any{"jti": "one", "htm": "POST", "htu": "https://login.example.org/oidc/token", "iat": 1700000000}
}

func without(name string) map[string]any {
	c := goodClaims()
	delete(c, name)
	return c
}

func with(name string, value any) map[string]any {
	c := goodClaims()
	c[name] = value
	return c
}

// A proof counts only as RFC 9449 section 4.3 has it: by a public key that stands in it, by an
// algorithm of the list, whole, with all that it must say.
func TestProofs(t *testing.T) {
	ec := newEC(t)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	weak, strong := newRSA(t, 1024), newRSA(t, 2048)
	good := made(t, jose.ES256, ec, proofType, true, goodClaims())
	private, err := json.Marshal(jose.JSONWebKey{Key: ec})
	if err != nil {
		t.Fatal(err)
	}
	public, err := json.Marshal(jose.JSONWebKey{Key: ec.Public()})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(goodClaims())
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Split(good, ".")
	shared := made(t, jose.HS256, []byte(public), proofType, false, goodClaims())
	for name, c := range map[string]struct {
		text         string
		good, strict bool
	}{
		"ES256":                        {good, true, true},
		"EdDSA":                        {made(t, jose.EdDSA, ed, proofType, true, goodClaims()), true, true},
		"PS256":                        {made(t, jose.PS256, strong, proofType, true, goodClaims()), true, true},
		"PS384":                        {made(t, jose.PS384, strong, proofType, true, goodClaims()), true, false},
		"RS256":                        {made(t, jose.RS256, strong, proofType, true, goodClaims()), false, false},
		"a short RSA key":              {made(t, jose.PS256, weak, proofType, true, goodClaims()), false, false},
		"no key in it":                 {made(t, jose.ES256, ec, proofType, false, goodClaims()), false, false},
		"another type":                 {made(t, jose.ES256, ec, "JWT", true, goodClaims()), false, false},
		"a shared secret":              {shared, false, false},
		"the public key as the secret": {byHand(`{"typ":"dpop+jwt","alg":"HS256","jwk":`+string(public)+`}`, string(payload), "signature"), false, false},
		"none":                         {byHand(`{"typ":"dpop+jwt","alg":"none","jwk":`+string(public)+`}`, string(payload), ""), false, false},
		"None":                         {byHand(`{"typ":"dpop+jwt","alg":"None","jwk":`+string(public)+`}`, string(payload), ""), false, false},
		"a private key":                {byHand(`{"typ":"dpop+jwt","alg":"ES256","jwk":`+string(private)+`}`, string(payload), "signature"), false, false},
		"another one's key":            {byHand(`{"typ":"dpop+jwt","alg":"ES256","jwk":`+string(public)+`}`, string(payload), strings.Repeat("s", 64)), false, false},
		"no signature":                 {all[0] + "." + all[1] + ".", false, false},
		"cut":                          {good[:len(good)-5], false, false},
		"another payload":              {all[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"jti":"x","iat":1700000000}`)) + "." + all[2], false, false},
		"no jti":                       {made(t, jose.ES256, ec, proofType, true, without("jti")), false, false},
		"a huge jti":                   {made(t, jose.ES256, ec, proofType, true, with("jti", strings.Repeat("j", 300))), false, false},
		"no iat":                       {made(t, jose.ES256, ec, proofType, true, without("iat")), false, false},
		"iat as a text":                {made(t, jose.ES256, ec, proofType, true, with("iat", "1700000000")), false, false},
		"iat of no age":                {made(t, jose.ES256, ec, proofType, true, with("iat", 1e300)), false, false},
		"huge":                         {made(t, jose.ES256, ec, proofType, true, with("more", strings.Repeat("m", jws.Most))), false, false},
		"encrypted":                    {good + ".x.y", false, false},
		"as JSON":                      {`{"payload":"` + all[1] + `","protected":"` + all[0] + `","signature":"` + all[2] + `"}`, false, false},
		"two":                          {good + "," + good, false, false},
		"nothing":                      {"", false, false},
	} {
		for strict, want := range map[bool]bool{false: c.good, true: c.strict} {
			if got, ok := readProof(c.text, strict); ok != want || ok && !isDigest(got.key) {
				t.Errorf("%s (strict %v): %v, and it was to be %v", name, strict, ok, want)
			}
		}
	}
	a, _ := readProof(good, false)
	b, _ := readProof(made(t, jose.ES256, newEC(t), proofType, true, goodClaims()), false)
	if a.key == b.key {
		t.Error("two keys have one thumbprint")
	}
}

// A key that takes long to verify with is not verified with.
func TestProofsOfHugeKeys(t *testing.T) {
	n := base64.RawURLEncoding.EncodeToString(append([]byte{0x80}, make([]byte, 1023)...))
	text := byHand(`{"typ":"dpop+jwt","alg":"PS256","jwk":{"kty":"RSA","e":"AQAB","n":"`+n+`"}}`, `{"jti":"x","iat":1700000000}`, strings.Repeat("s", 1024))
	if _, ok := readProof(text, false); ok {
		t.Error("a key of 8192 bits is taken")
	}
}

// A proof is about one address, by whatever spelling that all programs read alike, and by no other.
func TestProofsAreForAnAddress(t *testing.T) {
	const ours = "https://login.example.org/oidc/token"
	for got, want := range map[string]bool{
		ours: true, "HTTPS://LOGIN.example.org/oidc/token": true, "https://login.example.org:443/oidc/token": true,
		ours + "?query=1": true, ours + "#fragment": true, // RFC 9449 section 4.3, 9: both are ignored
		"http://login.example.org/oidc/token": false, "https://login.example.org:8443/oidc/token": false, "https://login.example.org:80/oidc/token": false,
		"https://login.example.org/oidc/userinfo": false, "https://login.example.org/oidc/token/": false, "https://login.example.org/OIDC/token": false,
		"https://login.example.org//oidc/token": false, "https://login.example.org/oidc/./token": false, "https://login.example.org/x/../oidc/token": false,
		"https://login.example.org/oidc%2Ftoken": false, "https://login.example.org/oidc/token;x=1": false, "https://login.example.org\\@evil.example/oidc/token": false,
		"https://evil.example/oidc/token": false, "https://login.example.org@evil.example/oidc/token": false, "https://user@login.example.org/oidc/token": false,
		"https://login.example.org.evil.example/oidc/token": false, "https://login.example.org./oidc/token": false, "//login.example.org/oidc/token": false,
		"/oidc/token": false, "": false, "https:login.example.org/oidc/token": false, "https://login.example.org/oidc/token\n": false, " " + ours: false,
		"https://login.example.org/oidc/t\u043eken": false, "https://login.example.org/oidc/token%00": false, ours + strings.Repeat("?", valueMost): false,
	} {
		if sameAddress(got, ours) != want {
			t.Errorf("%q: %v", got, !want)
		}
	}
	if !sameAddress("http://127.0.0.1:80/oidc/token", "http://127.0.0.1/oidc/token") || sameAddress("http://127.0.0.1:443/oidc/token", "http://127.0.0.1/oidc/token") {
		t.Error("the port that goes without saying is another one's")
	}
}

// A proof is for a method, made now, and with a token for that token.
func TestProofsAreForARequest(t *testing.T) {
	const ours = "https://login.example.org/oidc/userinfo"
	now := time.Unix(1700000000, 0)
	good := proof{method: "GET", uri: ours, issued: now, token: tokenHash("token")}
	for name, c := range map[string]struct {
		change func(p *proof)
		token  string
		want   bool
	}{
		"as it is":                 {func(*proof) {}, "token", true},
		"no token comes with it":   {func(*proof) {}, "", true},
		"another method":           {func(p *proof) { p.method = "POST" }, "token", false},
		"a method in small":        {func(p *proof) { p.method = "get" }, "token", false},
		"no method":                {func(p *proof) { p.method = "" }, "token", false},
		"another address":          {func(p *proof) { p.uri = "https://login.example.org/oidc/token" }, "token", false},
		"another server":           {func(p *proof) { p.uri = "https://evil.example.org/oidc/userinfo" }, "token", false},
		"no address":               {func(p *proof) { p.uri = "" }, "token", false},
		"another token":            {func(*proof) {}, "token2", false},
		"no token's hash":          {func(p *proof) { p.token = "" }, "token", false},
		"the token for its hash":   {func(p *proof) { p.token = "token" }, "token", false},
		"a minute ago":             {func(p *proof) { p.issued = now.Add(-time.Minute) }, "token", true},
		"too long ago":             {func(p *proof) { p.issued = now.Add(-proofLife - jws.Skew - time.Second) }, "token", false},
		"by a clock that is ahead": {func(p *proof) { p.issued = now.Add(jws.Skew) }, "token", true},
		"from tomorrow":            {func(p *proof) { p.issued = now.Add(jws.Skew + time.Second) }, "token", false},
	} {
		p := good
		c.change(&p)
		if p.isAbout("GET", ours, c.token, now) != c.want {
			t.Errorf("%s: it is %v", name, !c.want)
		}
	}
}

func FuzzProof(f *testing.F) {
	k := newEC(f)
	good := made(f, jose.ES256, k, proofType, true, goodClaims())
	f.Add(good)
	f.Add(byHand(`{"typ":"dpop+jwt","alg":"none","jwk":{}}`, `{}`, ""))
	f.Add(byHand(`{"typ":"dpop+jwt","alg":"PS256","jwk":{"kty":"RSA","e":"AQAB","n":"AA"}}`, `{"iat":1e400}`, "s"))
	f.Fuzz(func(t *testing.T, text string) {
		pr, ok := readProof(text, false)
		if ok && (!isDigest(pr.key) || pr.id == "" || pr.issued.IsZero()) {
			t.Errorf("%q is a proof of %q", text, pr.key)
		}
	})
}

func FuzzProofAddress(f *testing.F) {
	const ours = "https://login.example.org/oidc/token"
	for _, s := range []string{ours, ours + "?a", "https://login.example.org\\@x/oidc/token", "HTTPS://login.example.org:443/oidc/token"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, got string) {
		if sameAddress(got, ours) && (len(got) < len(ours) || !strings.EqualFold(got[:len("https://login.example.org")], "https://login.example.org") || !strings.Contains(got, "/oidc/token")) {
			t.Errorf("%q is taken for ours", got)
		}
	})
}
