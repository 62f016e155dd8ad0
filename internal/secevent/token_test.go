package secevent

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// transmitter signs tokens as another system would: header and payload are whatever it likes.
type transmitter struct {
	tb   testing.TB
	key  *ecdsa.PrivateKey
	want Expected
}

func newTransmitter(tb testing.TB) *transmitter {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return &transmitter{tb, key, Expected{Issuer: "https://idp.example.org", Audience: "https://sp.example.org", Algorithms: []jose.SignatureAlgorithm{jose.ES256}, Now: time.Unix(1_800_000_000, 0), Oldest: 24 * time.Hour,
		Keys: jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k1", Algorithm: "ES256", Use: "sig"}}}}}
}

// claims are those of a token that is right, with changes; a nil value takes a claim away.
func (x *transmitter) claims(changes map[string]any) string {
	all := map[string]any{"iss": x.want.Issuer, "aud": x.want.Audience, "jti": "j1", "iat": x.want.Now.Unix(), "txn": "t1", "sub_id": map[string]any{"format": "email", "email": "ada@example.org"},
		"events": map[string]any{SessionRevoked: map[string]any{"event_timestamp": x.want.Now.Unix()}}}
	for name, v := range changes {
		if all[name] = v; v == nil {
			delete(all, name)
		}
	}
	b, err := json.Marshal(all)
	if err != nil {
		x.tb.Fatal(err)
	}
	return string(b)
}

func coded(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// signed signs a header and a payload as they are, by ES256.
func (x *transmitter) signed(header, payload string) string {
	text := coded(header) + "." + coded(payload)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, x.key, sum[:])
	if err != nil {
		x.tb.Fatal(err)
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

const head = `{"alg":"ES256","typ":"secevent+jwt","kid":"k1"}`

func (x *transmitter) token(changes map[string]any) string { return x.signed(head, x.claims(changes)) }

// The promise: what a token says is read as it was signed.
func TestParse(t *testing.T) {
	x := newTransmitter(t)
	got, err := Parse(x.token(nil), x.want)
	if err != nil {
		t.Fatal(err)
	}
	if got.Issuer != x.want.Issuer || got.ID != "j1" || got.Transaction != "t1" || !got.Issued.Equal(x.want.Now) || got.Subject.Email != "ada@example.org" || len(got.Events) != 1 || got.Events[0].Type != SessionRevoked {
		t.Errorf("read %+v", got)
	}
	for name, changes := range map[string]map[string]any{
		"several audiences":         {"aud": []string{"https://other.example.org", x.want.Audience}},
		"no transaction":            {"txn": nil},
		"a claim that is unknown":   {"toe": 5},
		"issued with a fraction":    {"iat": float64(x.want.Now.Unix()) + 0.5},
		"a little ahead":            {"iat": x.want.Now.Add(4 * time.Minute).Unix()},
		"a day ago, nearly":         {"iat": x.want.Now.Add(-23 * time.Hour).Unix()},
		"a format that is unknown":  {"sub_id": map[string]any{"format": "did", "url": "did:example:1"}},
		"a complex subject":         {"sub_id": map[string]any{"format": "complex", "user": map[string]any{"format": "opaque", "id": "x"}, "device": map[string]any{"format": "opaque", "id": "d"}}},
		"two events":                {"events": map[string]any{SessionRevoked: map[string]any{}, "https://example.org/other": map[string]any{"a": []int{1}}}},
		"aliases":                   {"sub_id": map[string]any{"format": "aliases", "identifiers": []any{map[string]any{"format": "email", "email": "a@b"}}}},
		"an issuer and subject":     {"sub_id": map[string]any{"format": "iss_sub", "iss": "https://x", "sub": "1"}},
		"the type as a media type":  nil,
		"the type in other letters": nil,
	} {
		text := x.token(changes)
		switch name {
		case "the type as a media type":
			text = x.signed(`{"alg":"ES256","typ":"application/secevent+jwt","kid":"k1"}`, x.claims(nil))
		case "the type in other letters":
			text = x.signed(`{"alg":"ES256","typ":"SecEvent+JWT","kid":"k1"}`, x.claims(nil))
		}
		if _, err := Parse(text, x.want); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The promise: a token that is not exactly what it must be is refused with the code that RFC 8935
// has for it, and the refusal repeats nothing of it.
func TestParseRefuses(t *testing.T) {
	x := newTransmitter(t)
	for name, c := range map[string]struct {
		changes map[string]any
		code    string
	}{
		"another issuer":               {map[string]any{"iss": "https://evil.example.org"}, InvalidIssuer},
		"the issuer with a slash":      {map[string]any{"iss": x.want.Issuer + "/"}, InvalidIssuer},
		"no issuer":                    {map[string]any{"iss": nil}, InvalidIssuer},
		"an issuer that is a list":     {map[string]any{"iss": []string{x.want.Issuer}}, InvalidIssuer},
		"another audience":             {map[string]any{"aud": "https://other.example.org"}, InvalidAudience},
		"no audience":                  {map[string]any{"aud": nil}, InvalidAudience},
		"an audience that is a number": {map[string]any{"aud": 7}, InvalidAudience},
		"an audience that begins so":   {map[string]any{"aud": x.want.Audience + ".evil.example"}, InvalidAudience},
		"a subject (sub)":              {map[string]any{"sub": "ada"}, InvalidRequest},
		"an end (exp)":                 {map[string]any{"exp": x.want.Now.Add(time.Hour).Unix()}, InvalidRequest},
		"no name":                      {map[string]any{"jti": nil}, InvalidRequest},
		"an empty name":                {map[string]any{"jti": ""}, InvalidRequest},
		"a long name":                  {map[string]any{"jti": strings.Repeat("x", 600)}, InvalidRequest},
		"a number as a name":           {map[string]any{"jti": 5}, InvalidRequest},
		"no moment":                    {map[string]any{"iat": nil}, InvalidRequest},
		"a moment as a text":           {map[string]any{"iat": "1800000000"}, InvalidRequest},
		"in the future":                {map[string]any{"iat": x.want.Now.Add(time.Hour).Unix()}, InvalidRequest},
		"in the year 300000":           {map[string]any{"iat": 1e13}, InvalidRequest},
		"too old":                      {map[string]any{"iat": x.want.Now.Add(-25 * time.Hour).Unix()}, InvalidRequest},
		"before everything":            {map[string]any{"iat": -1}, InvalidRequest},
		"a transaction as a number":    {map[string]any{"txn": 1}, InvalidRequest},
		"no subject":                   {map[string]any{"sub_id": nil}, InvalidRequest},
		"a subject without a format":   {map[string]any{"sub_id": map[string]any{"email": "a@b"}}, InvalidRequest},
		"a subject as a text":          {map[string]any{"sub_id": "ada"}, InvalidRequest},
		"an empty address":             {map[string]any{"sub_id": map[string]any{"format": "email", "email": ""}}, InvalidRequest},
		"a number as an address":       {map[string]any{"sub_id": map[string]any{"format": "email", "email": 1}}, InvalidRequest},
		"half an identifier":           {map[string]any{"sub_id": map[string]any{"format": "iss_sub", "iss": "x"}}, InvalidRequest},
		"nested aliases":               {map[string]any{"sub_id": map[string]any{"format": "aliases", "identifiers": []any{map[string]any{"format": "aliases", "identifiers": []any{}}}}}, InvalidRequest},
		"a complex user":               {map[string]any{"sub_id": map[string]any{"format": "complex", "user": map[string]any{"format": "complex"}}}, InvalidRequest},
		"no events":                    {map[string]any{"events": nil}, InvalidRequest},
		"an empty list of events":      {map[string]any{"events": map[string]any{}}, InvalidRequest},
		"events as a list":             {map[string]any{"events": []string{SessionRevoked}}, InvalidRequest},
		"an event as a text":           {map[string]any{"events": map[string]any{SessionRevoked: "yes"}}, InvalidRequest},
		"an event that is null":        {map[string]any{"events": map[string]any{SessionRevoked: nil}}, InvalidRequest},
	} {
		refused(t, name, x.token(c.changes), x.want, c.code)
	}
	many := map[string]any{}
	for i := range mostEvents + 1 {
		many[fmt.Sprint("https://example.org/", i)] = map[string]any{}
	}
	refused(t, "many events", x.token(map[string]any{"events": many}), x.want, InvalidRequest)
	refused(t, "a name twice", x.signed(head, strings.Replace(x.claims(nil), `"jti":"j1"`, `"jti":"j0","jti":"j1"`, 1)), x.want, InvalidRequest)
	refused(t, "a name in other letters", x.signed(head, strings.Replace(x.claims(nil), `"jti"`, `"JTI"`, 1)), x.want, InvalidRequest)
	refused(t, "something after it", x.signed(head, x.claims(nil)+`{}`), x.want, InvalidRequest)
	refused(t, "no JSON", x.signed(head, "hello"), x.want, InvalidRequest)
	refused(t, "a list", x.signed(head, "[]"), x.want, InvalidRequest)
	refused(t, "nothing", "", x.want, InvalidRequest)
	refused(t, "too long", x.token(map[string]any{"x": strings.Repeat("y", MostBytes)}), x.want, InvalidRequest)
	refused(t, "deep", x.signed(head, `{"iss":`+strings.Repeat("[", 20_000)), x.want, InvalidRequest)
}

func refused(t *testing.T, name, text string, want Expected, code string) {
	t.Helper()
	got, err := Parse(text, want)
	var f *Fault
	if !errors.As(err, &f) || f.Code != code {
		t.Errorf("%s: %+v, %v and not %s", name, got, err, code)
	} else if strings.Contains(f.Says, "evil") {
		t.Errorf("%s is repeated: %s", name, f.Says)
	}
}

// The promise: no token is believed whose signature is not by a key of the issuer, of the kind that
// the algorithm is for, by an algorithm that was allowed: neither "none", nor a public key as a
// shared secret, nor a key that the token brings.
func TestSignatureIsTheIssuers(t *testing.T) {
	x := newTransmitter(t)
	other := newTransmitter(t)
	good := x.token(nil)
	parts := strings.Split(good, ".")
	everything := x.want
	everything.Algorithms = append(everything.Algorithms, jose.HS256, jose.RS256, jose.PS256, jose.ES384, jose.EdDSA)
	der, err := x509.MarshalPKIXPublicKey(&x.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	shared := func(header string, key []byte) string {
		text := coded(header) + "." + parts[1]
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	jwk, err := json.Marshal(jose.JSONWebKey{Key: &other.key.PublicKey, KeyID: "k1"})
	if err != nil {
		t.Fatal(err)
	}
	right, err := json.Marshal(jose.JSONWebKey{Key: &x.key.PublicKey, KeyID: "k1"})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"another key":                      other.token(nil),
		"the right key, brought along":     x.signed(`{"alg":"ES256","typ":"secevent+jwt","kid":"k1","jwk":`+string(right)+`}`, x.claims(nil)),
		"another key's name":               x.signed(`{"alg":"ES256","typ":"secevent+jwt","kid":"k2"}`, x.claims(nil)),
		"a name that leads elsewhere":      other.signed(`{"alg":"ES256","typ":"secevent+jwt","kid":"../../k1"}`, x.claims(nil)),
		"none":                             coded(`{"alg":"none","typ":"secevent+jwt"}`) + "." + parts[1] + ".",
		"None":                             coded(`{"alg":"None","typ":"secevent+jwt"}`) + "." + parts[1] + ".",
		"no signature":                     parts[0] + "." + parts[1] + ".",
		"the public key as a secret":       shared(`{"alg":"HS256","typ":"secevent+jwt","kid":"k1"}`, der),
		"its own key":                      other.signed(`{"alg":"ES256","typ":"secevent+jwt","kid":"k1","jwk":`+string(jwk)+`}`, x.claims(nil)),
		"an address of keys":               other.signed(`{"alg":"ES256","typ":"secevent+jwt","kid":"k1","jku":"https://evil.example.org"}`, x.claims(nil)),
		"another algorithm than was used":  x.signed(`{"alg":"ES384","typ":"secevent+jwt","kid":"k1"}`, x.claims(nil)),
		"something critical":               x.signed(`{"alg":"ES256","typ":"secevent+jwt","kid":"k1","crit":["x"],"x":1}`, x.claims(nil)),
		"another payload":                  parts[0] + "." + coded(x.claims(map[string]any{"jti": "j2"})) + "." + parts[2],
		"another type":                     x.signed(`{"alg":"ES256","typ":"JWT","kid":"k1"}`, x.claims(nil)),
		"no type":                          x.signed(`{"alg":"ES256","kid":"k1"}`, x.claims(nil)),
		"a logout token":                   x.signed(`{"alg":"ES256","typ":"logout+jwt","kid":"k1"}`, x.claims(nil)),
		"one bit":                          parts[0] + "." + parts[1] + "." + flip(parts[2]),
		"a token cut short":                good[:len(good)-2],
		"JSON and not compact":             `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"encrypted":                        parts[0] + "." + parts[1] + "." + parts[2] + ".." + parts[2],
		"without a name among several":     "several",
		"a key that is for encryption":     "enc",
		"a key of another algorithm":       "other",
		"RSA with 1024 bits":               "short",
		"the private key's public half, P": x.signed(`{"alg":"PS256","typ":"secevent+jwt","kid":"k1"}`, x.claims(nil)),
	} {
		want := everything
		switch text {
		case "several":
			text = x.signed(`{"alg":"ES256","typ":"secevent+jwt"}`, x.claims(nil))
			want.Keys.Keys = append([]jose.JSONWebKey{{Key: &other.key.PublicKey, KeyID: "k0"}}, want.Keys.Keys...)
		case "enc":
			text, want.Keys = good, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &x.key.PublicKey, KeyID: "k1", Use: "enc"}}}
		case "other":
			text, want.Keys = good, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &x.key.PublicKey, KeyID: "k1", Algorithm: "ES384"}}}
		case "short":
			text, want.Keys = shortRSA(t, x)
		}
		if got, err := Parse(text, want); err == nil {
			t.Errorf("%s: believed %+v", name, got)
		}
	}
	x.want.Algorithms = []jose.SignatureAlgorithm{jose.RS256}
	refused(t, "an algorithm that is not allowed", good, x.want, InvalidKey)
}

// shortRSA is a token by an RSA key that is too short.
func shortRSA(t *testing.T, x *transmitter) (string, jose.JSONWebKeySet) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	by, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}}, (&jose.SignerOptions{}).WithType(Type))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := by.Sign([]byte(x.claims(nil)))
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k1"}}}
}

func flip(s string) string {
	b, _ := base64.RawURLEncoding.DecodeString(s)
	b[7] ^= 1
	return base64.RawURLEncoding.EncodeToString(b)
}

// What we sign ourselves, we believe.
func TestSign(t *testing.T) {
	x := newTransmitter(t)
	by, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: x.key, KeyID: "k1"}}, (&jose.SignerOptions{}).WithType(Type))
	if err != nil {
		t.Fatal(err)
	}
	user := Subject{Format: Account, URI: AccountURI("ada@home", "idp.example.org")}
	s := Statement{Issuer: x.want.Issuer, ID: "j", Transaction: "t", Audience: []string{x.want.Audience}, Issued: x.want.Now, Event: CredentialChange, Claims: map[string]any{"change_type": "revoke"},
		Subject: Subject{Format: Complex, User: &user, Session: &Subject{Format: Opaque, ID: "s"}}}
	text, err := Sign(s, by)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(text, x.want)
	if err != nil || got.Subject.User.URI != "acct:ada%40home@idp.example.org" || got.Subject.Session.ID != "s" || got.Events[0].Text("change_type") != "revoke" {
		t.Errorf("%+v, %v", got, err)
	}
	s.Claims = nil
	if text, err = Sign(s, by); err == nil {
		_, err = Parse(text, x.want)
	}
	if err != nil {
		t.Errorf("without claims: %v", err)
	}
}

// The promise: a name in a subject is taken apart in one way, and has one @.
func TestNamesInSubjects(t *testing.T) {
	for uri, want := range map[string]string{"acct:ada@example.org": "ada example.org", "acct:ada%40home@Example.ORG": "ada@home example.org", "acct:a@b@c": "", "acct:@example.org": "", "acct:ada@": "", "acct:ada": "",
		"ada@example.org": "", "acct:%zz@example.org": "", "": "", "ACCT:ada@example.org": ""} {
		name, host, ok := SplitAccount(uri)
		if got := strings.TrimSpace(name + " " + host); ok != (want != "") || ok && got != want {
			t.Errorf("%q is %q at %q, %v", uri, name, host, ok)
		}
	}
	for address, want := range map[string]string{"ada@Example.org": "example.org", "a@b@example.org": "", "@example.org": "", "ada@": "", "ada": ""} {
		if got, ok := SplitEmail(address); ok != (want != "") || ok && got != want {
			t.Errorf("%q is of %q, %v", address, got, ok)
		}
	}
	for _, name := range []string{"ada", "ada@home", "a b", "ä%", "a/b"} {
		if got, _, ok := SplitAccount(AccountURI(name, "example.org")); !ok || got != name {
			t.Errorf("%q comes back as %q", name, got)
		}
	}
}

// FuzzParse signs whatever payload and header there are, so that the fuzzer gets past the signature.
// Nothing may panic, and what is believed is of the issuer, for the audience and about somebody.
func FuzzParse(f *testing.F) {
	x := newTransmitter(f)
	f.Add(head, x.claims(nil), "")
	f.Add(head, x.claims(map[string]any{"aud": []string{"a", x.want.Audience}}), "")
	f.Add(`{"alg":"none","typ":"secevent+jwt"}`, `{"iss":1}`, "a.b.c")
	f.Add(head, `{"sub_id":{"format":"aliases","identifiers":[{"format":"email","email":"a@b"}]}}`, x.token(nil))
	f.Fuzz(func(t *testing.T, header, payload, raw string) {
		for _, text := range []string{x.signed(header, payload), raw} {
			got, err := Parse(text, x.want)
			var fault *Fault
			switch {
			case err != nil && !errors.As(err, &fault):
				t.Fatalf("%q: %v is no fault", text, err)
			case err == nil && (got.Issuer != x.want.Issuer || got.ID == "" || got.Subject.Format == "" || len(got.Events) == 0 || got.Issued.After(x.want.Now.Add(ahead))):
				t.Fatalf("%q was believed: %+v", text, got)
			}
		}
	})
}
