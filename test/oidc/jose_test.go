package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"countersign/internal/servertest"
)

// signerKey is a client's key, and its public half as settings have it.
type signerKey struct {
	private crypto.Signer
	public  string
	kid     string
}

func newKey(t testing.TB, kid string, private crypto.Signer) signerKey {
	t.Helper()
	b, err := json.Marshal(jose.JSONWebKey{Key: private.Public(), KeyID: kid, Use: "sig"})
	if err != nil {
		t.Fatal(err)
	}
	return signerKey{private, string(b), kid}
}

func ecKey(t testing.TB, kid string) signerKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return newKey(t, kid, k)
}

// signs signs claims, with headers besides.
func (k signerKey) signs(t testing.TB, algorithm jose.SignatureAlgorithm, claims map[string]any, headers map[string]any) string {
	t.Helper()
	options := &jose.SignerOptions{ExtraHeaders: map[jose.HeaderKey]any{}}
	for name, value := range headers {
		options.ExtraHeaders[jose.HeaderKey(name)] = value
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: k.private, KeyID: k.kid}}, options)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(b)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

var jtis int

// assertion is what a client says of itself; more are claims besides or instead.
func assertion(w *servertest.World, client string, more map[string]any) map[string]any {
	jtis++
	out := map[string]any{"iss": client, "sub": client, "aud": w.Base, "jti": fmt.Sprint("jti-", jtis), "iat": w.Now().Unix(), "exp": w.Now().Add(time.Minute).Unix()}
	maps.Copy(out, more)
	for name, value := range more {
		if value == nil {
			delete(out, name)
		}
	}
	return out
}

// byAssertion is a token request with an assertion.
func (p *party) byAssertion(code, text string) url.Values {
	form := p.tokenForm(code)
	form.Del("client_secret")
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", text)
	return form
}

// A client that has a key of its own proves with it who it is, and with nothing else: every shape
// in which such proofs were forged elsewhere is refused.
func TestAClientProvesItselfByItsKey(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	key, other := ecKey(t, "k1"), ecKey(t, "k1")
	rsaPrivate, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey := newKey(t, "r1", rsaPrivate)
	wiki := newParty(w, "wiki", map[string]any{"authentication": "private-key", "client_secret": nil, "public_keys": []string{key.public, rsaKey.public}})
	newParty(w, "evil", map[string]any{"authentication": "private-key", "client_secret": nil, "public_keys": []string{other.public}})
	p := signedIn(w, ada)
	good := func(more map[string]any) string { return key.signs(t, jose.ES256, assertion(w, "wiki", more), nil) }
	unsigned := func(claims map[string]any, header string) string {
		b, _ := json.Marshal(claims)
		return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(b) + "."
	}
	// Key confusion: the public key as the secret of an HMAC.
	var public jose.JSONWebKey
	if err := json.Unmarshal([]byte(key.public), &public); err != nil {
		t.Fatal(err)
	}
	hmac := func(secret []byte) string {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: secret}, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := json.Marshal(assertion(w, "wiki", nil))
		signed, err := signer.Sign(b)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := signed.CompactSerialize()
		return text
	}
	embedded := func() string {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: other.private}, (&jose.SignerOptions{EmbedJWK: true}))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := json.Marshal(assertion(w, "wiki", nil))
		signed, _ := signer.Sign(b)
		text, _ := signed.CompactSerialize()
		return text
	}
	encrypted := func() string {
		e, err := jose.NewEncrypter(jose.A128GCM, jose.Recipient{Algorithm: jose.RSA_OAEP_256, Key: &rsaPrivate.PublicKey}, nil)
		if err != nil {
			t.Fatal(err)
		}
		o, err := e.Encrypt([]byte(good(nil)))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := o.CompactSerialize()
		return text
	}
	used := good(nil)
	now := w.Now()
	for name, c := range map[string]struct {
		text string
		good bool
	}{
		"its own":                        {good(nil), true},
		"in RSA":                         {rsaKey.signs(t, jose.PS256, assertion(w, "wiki", nil), nil), true},
		"for the address that is asked":  {good(map[string]any{"aud": w.Base + "/oidc/token"}), true},
		"in a list of one":               {good(map[string]any{"aud": []string{w.Base}}), true},
		"with its type":                  {key.signs(t, jose.ES256, assertion(w, "wiki", nil), map[string]any{"typ": "client-authentication+jwt"}), true},
		"used now":                       {used, true},
		"another's key":                  {other.signs(t, jose.ES256, assertion(w, "wiki", nil), nil), false},
		"another client's":               {other.signs(t, jose.ES256, assertion(w, "evil", nil), nil), false},
		"about another client":           {good(map[string]any{"sub": "evil"}), false},
		"from another client":            {good(map[string]any{"iss": "evil"}), false},
		"for somebody else":              {good(map[string]any{"aud": "https://other.example"}), false},
		"for us and somebody else":       {good(map[string]any{"aud": []string{w.Base, "https://other.example"}}), false},
		"for an address that is longer":  {good(map[string]any{"aud": w.Base + ".evil.example"}), false},
		"for nobody":                     {good(map[string]any{"aud": nil}), false},
		"without a name":                 {good(map[string]any{"jti": nil}), false},
		"without an end":                 {good(map[string]any{"exp": nil}), false},
		"over":                           {good(map[string]any{"exp": now.Add(-time.Minute).Unix(), "iat": now.Add(-2 * time.Minute).Unix()}), false},
		"good for a year":                {good(map[string]any{"exp": now.AddDate(1, 0, 0).Unix()}), false},
		"not good yet":                   {good(map[string]any{"nbf": now.Add(5 * time.Minute).Unix()}), false},
		"of the future":                  {good(map[string]any{"iat": now.Add(5 * time.Minute).Unix()}), false},
		"with an end that is no number":  {good(map[string]any{"exp": "soon"}), false},
		"with an endless number":         {good(map[string]any{"exp": 1e300}), false},
		"with a huge name":               {good(map[string]any{"jti": strings.Repeat("j", 1000)}), false},
		"of the type of a request":       {key.signs(t, jose.ES256, assertion(w, "wiki", nil), map[string]any{"typ": "oauth-authz-req+jwt"}), false},
		"of the type of a proof":         {key.signs(t, jose.ES256, assertion(w, "wiki", nil), map[string]any{"typ": "dpop+jwt"}), false},
		"unsigned":                       {unsigned(assertion(w, "wiki", nil), `{"alg":"none"}`), false},
		"unsigned in capitals":           {unsigned(assertion(w, "wiki", nil), `{"alg":"NoNe"}`), false},
		"unsigned, called ES256":         {unsigned(assertion(w, "wiki", nil), `{"alg":"ES256"}`), false},
		"without an algorithm":           {unsigned(assertion(w, "wiki", nil), `{}`), false},
		"by the public key as a secret":  {hmac([]byte(key.public)), false},
		"by the public key's octets":     {hmac(octetsOf(t, public.Key.(*ecdsa.PublicKey))), false},
		"by an empty secret":             {hmac(make([]byte, 32)), false},
		"with a key of its own":          {embedded(), false},
		"with an address of keys":        {other.signs(t, jose.ES256, assertion(w, "wiki", nil), map[string]any{"jku": "https://evil.example/keys", "x5u": "https://evil.example/x"}), false},
		"with a name that is a path":     {signerKey{other.private, "", "../../../dev/null"}.signs(t, jose.ES256, assertion(w, "wiki", nil), nil), false},
		"with a name that is a query":    {signerKey{other.private, "", "' or 1=1 --"}.signs(t, jose.ES256, assertion(w, "wiki", nil), nil), false},
		"with the name of the other key": {signerKey{key.private, "", "r1"}.signs(t, jose.ES256, assertion(w, "wiki", nil), nil), false},
		"with something critical":        {critical(t, key, assertion(w, "wiki", nil)), false},
		"encrypted":                      {encrypted(), false},
		"no statement":                   {"a.b.c", false},
		"huge":                           {strings.Repeat("a", 9000) + ".b.c", false},
		"nothing":                        {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			status, got := wiki.post(t, "/oidc/token", wiki.byAssertion(wiki.code(p), c.text))
			if c.good {
				if status != 200 {
					t.Fatalf("%d %v", status, got)
				}
				return
			}
			if status < 400 || got["access_token"] != nil || got["error"] != "invalid_client" && got["error"] != "invalid_request" {
				t.Errorf("%d %v", status, got)
			}
		})
	}
	status, got := wiki.post(t, "/oidc/token", wiki.byAssertion(wiki.code(p), used))
	fails(t, "used before", status, got, "invalid_client")
	form := wiki.byAssertion(wiki.code(p), good(nil))
	form.Set("client_secret", clientSecret)
	status, got = wiki.post(t, "/oidc/token", form)
	fails(t, "two proofs", status, got, "invalid_request")
	form = wiki.byAssertion(wiki.code(p), good(nil))
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer")
	status, got = wiki.post(t, "/oidc/token", form)
	fails(t, "another type", status, got, "invalid_client")
	form = wiki.byAssertion(wiki.code(p), good(nil))
	form.Del("client_id")
	if status, got = wiki.post(t, "/oidc/token", form); status != 200 {
		t.Errorf("by its assertion alone: %d %v", status, got)
	}
}

// critical is a statement with a header that whoever reads it must understand.
func critical(t testing.TB, k signerKey, claims map[string]any) string {
	t.Helper()
	return k.signs(t, jose.ES256, claims, map[string]any{"crit": []string{"exp-critical"}, "exp-critical": true})
}

// A secret is shown in a header or in the form, in one of them.
func TestAClientProvesItselfByItsSecret(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki := newParty(w, "wiki", nil)
	p := signedIn(w, ada)
	basic := func(id, secret string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
	}
	for name, c := range map[string]struct {
		header []string
		change func(url.Values)
		want   string
	}{
		"in a header":               {[]string{basic("wiki", clientSecret)}, func(f url.Values) { f.Del("client_secret"); f.Del("client_id") }, ""},
		"in a header, and its name": {[]string{basic("wiki", clientSecret)}, func(f url.Values) { f.Del("client_secret") }, ""},
		"in both":                   {[]string{basic("wiki", clientSecret)}, func(url.Values) {}, "invalid_request"},
		"of another name":           {[]string{basic("wiki", clientSecret)}, func(f url.Values) { f.Del("client_secret"); f.Set("client_id", "evil") }, "invalid_request"},
		"a wrong one":               {[]string{basic("wiki", "wrong")}, func(f url.Values) { f.Del("client_secret"); f.Del("client_id") }, "invalid_client"},
		"an empty one":              {[]string{basic("wiki", "")}, func(f url.Values) { f.Del("client_secret"); f.Del("client_id") }, "invalid_client"},
		"two headers":               {[]string{basic("wiki", clientSecret), basic("wiki", clientSecret)}, func(f url.Values) { f.Del("client_secret"); f.Del("client_id") }, "invalid_client"},
		"another scheme":            {[]string{"Bearer " + clientSecret}, func(f url.Values) { f.Del("client_secret") }, "invalid_client"},
		"nothing":                   {nil, func(f url.Values) { f.Del("client_secret") }, "invalid_client"},
		"an assertion in its place": {nil, func(f url.Values) {
			f.Del("client_secret")
			f.Set("client_assertion", "a.b.c")
			f.Set("client_assertion_type", "x")
		}, "invalid_client"},
		"in the address": {nil, nil, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			form, path := wiki.tokenForm(wiki.code(p)), "/oidc/token"
			if c.change == nil {
				path += "?client_secret=" + clientSecret
				form.Del("client_secret")
			} else {
				c.change(form)
			}
			var headers []string
			for _, h := range c.header {
				headers = append(headers, "Authorization", h)
			}
			status, got := wiki.post(t, path, form, headers...)
			if c.want == "" {
				if status != 200 {
					t.Errorf("%d %v", status, got)
				}
				return
			}
			fails(t, name, status, got, c.want)
		})
	}
}

// pushes sends what the browser would have brought to the endpoint for it.
func (p *party) pushes(t testing.TB, change func(url.Values)) (int, reply) {
	t.Helper()
	u, err := url.Parse(p.begin())
	if err != nil {
		t.Fatal(err)
	}
	form := u.Query()
	form.Set("client_secret", p.config.ClientSecret)
	if change != nil {
		change(form)
	}
	return p.post(t, "/oidc/par", form)
}

// by is the address with a pushed request.
func (p *party) by(name any, more ...string) string {
	v := url.Values{"client_id": {p.config.ClientID}, "request_uri": {fmt.Sprint(name)}}
	for i := 0; i < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return p.w.Base + "/oidc/authorize?" + v.Encode()
}

// What a client hands over itself counts, once and within a minute, and nothing that the browser
// brings besides.
func TestPushedRequests(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki, evil := newParty(w, "wiki", map[string]any{"requests": "pushed"}), newParty(w, "evil", nil)
	p := signedIn(w, ada)
	wiki.forget()
	p.Get(wiki.begin())
	wiki.refused("invalid_request")

	status, got := wiki.pushes(t, nil)
	if status != http.StatusCreated || got["expires_in"] != float64(60) || !strings.HasPrefix(fmt.Sprint(got["request_uri"]), "urn:ietf:params:oauth:request_uri:") {
		t.Fatalf("%d %v", status, got)
	}
	wiki.forget()
	p.Get(wiki.by(got["request_uri"], "redirect_uri", evil.config.RedirectURL, "state", "another", "scope", "openid groups"))
	wiki.exchange(t, wiki.back())
	wiki.forget()
	p.Get(wiki.by(got["request_uri"]))
	p.Sees("This began too long ago")
	if wiki.answered() != nil {
		t.Error("a pushed request is good twice")
	}

	_, got = wiki.pushes(t, nil)
	p.Get(strings.Replace(wiki.by(got["request_uri"]), "client_id=wiki", "client_id=evil", 1))
	if wiki.answered() != nil || evil.answered() != nil {
		t.Error("another client used it")
	}
	_, got = wiki.pushes(t, nil)
	w.Later(61 * time.Second)
	p.Get(wiki.by(got["request_uri"]))
	p.Sees("This began too long ago")
	for name, uri := range map[string]string{"an address": "https://evil.example/request", "one inside": "http://127.0.0.1:9/", "a file": "file:///etc/passwd", "made up": "urn:ietf:params:oauth:request_uri:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"} {
		p.Get(wiki.by(uri))
		if p.Status != http.StatusBadRequest || wiki.answered() != nil {
			t.Errorf("%s: %d", name, p.Status)
		}
		if name != "made up" {
			p.Sees("Countersign fetches none")
		}
	}
	for name, c := range map[string]struct {
		change func(url.Values)
		want   string
	}{
		"a wrong secret":         {func(f url.Values) { f.Set("client_secret", "wrong") }, "invalid_client"},
		"no proof":               {func(f url.Values) { f.Del("client_secret") }, "invalid_client"},
		"another address":        {func(f url.Values) { f.Set("redirect_uri", evil.config.RedirectURL) }, "invalid_request"},
		"no PKCE":                {func(f url.Values) { f.Del("code_challenge") }, "invalid_request"},
		"a name of another one":  {func(f url.Values) { f.Set("request_uri", "urn:ietf:params:oauth:request_uri:x") }, "invalid_request"},
		"something to come back": {func(f url.Values) { f.Set("resume", "x") }, "invalid_request"},
		"twice":                  {func(f url.Values) { f.Add("scope", "openid") }, "invalid_request"},
		"a token's kind":         {func(f url.Values) { f.Set("response_type", "token") }, "unsupported_response_type"},
		"an essential unknown":   {func(f url.Values) { f.Set("claims", `{"id_token":{"acr":{"essential":true,"value":"x"}}}`) }, "unmet_authentication_requirements"},
	} {
		status, got := wiki.pushes(t, c.change)
		if status < 400 || got["error"] != c.want || got["request_uri"] != nil {
			t.Errorf("%s: %d %v", name, status, got)
		}
	}
	// Somebody who has to sign in first still comes back with what was pushed.
	_, got = wiki.pushes(t, nil)
	q := w.Person()
	q.Get(wiki.by(got["request_uri"]))
	w.Later(5 * time.Minute)
	signIn(q, "ada", ada.Code())
	wiki.exchange(t, wiki.back())
}

// Of a signed request only what was signed counts, and only while it is the client's, for us, new
// and whole.
func TestSignedRequests(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	key, other := ecKey(t, "k1"), ecKey(t, "k1")
	wiki, evil := newParty(w, "wiki", map[string]any{"requests": "signed", "public_keys": []string{key.public}}), newParty(w, "evil", nil)
	p := signedIn(w, ada)
	object := func(k signerKey, more, headers map[string]any) string {
		u, _ := url.Parse(wiki.begin())
		claims := map[string]any{"iss": "wiki", "aud": w.Base, "exp": w.Now().Add(time.Minute).Unix()}
		for name, values := range u.Query() {
			claims[name] = values[0]
		}
		maps.Copy(claims, more)
		for name, value := range more {
			if value == nil {
				delete(claims, name)
			}
		}
		return k.signs(t, jose.ES256, claims, headers)
	}
	at := func(text string, more ...string) string {
		v := url.Values{"client_id": {"wiki"}, "request": {text}, "response_type": {"code"}, "scope": {"openid"}}
		for i := 0; i < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return w.Base + "/oidc/authorize?" + v.Encode()
	}
	wiki.forget()
	p.Get(wiki.begin())
	wiki.refused("invalid_request")
	for name, text := range map[string]string{"plain": object(key, nil, nil), "with its type": object(key, nil, map[string]any{"typ": "oauth-authz-req+jwt"}), "with claims and an age": object(key, map[string]any{"max_age": 3600, "claims": map[string]any{"id_token": map[string]any{}}, "jti": "a"}, nil)} {
		wiki.forget()
		p.Get(at(text, "redirect_uri", evil.config.RedirectURL, "state", "another"))
		if got := wiki.answered(); got.Get("code") == "" {
			t.Fatalf("%s: %v\n%s", name, got, p.Page)
		}
		wiki.exchange(t, wiki.back())
	}
	once := object(key, map[string]any{"jti": "b"}, nil)
	p.Get(at(once))
	for name, text := range map[string]string{
		"used before": once, "by another key": object(other, nil, nil), "from another client": object(key, map[string]any{"iss": "evil"}, nil), "for another client": object(key, map[string]any{"client_id": "evil"}, nil),
		"for somebody else": object(key, map[string]any{"aud": "https://other.example"}, nil), "over": object(key, map[string]any{"exp": w.Now().Add(-time.Minute).Unix()}, nil), "endless": object(key, map[string]any{"exp": nil}, nil),
		"of another type": object(key, nil, map[string]any{"typ": "client-authentication+jwt"}), "with a request in it": object(key, map[string]any{"request": "a.b.c"}, nil), "with an address in it": object(key, map[string]any{"request_uri": "urn:x"}, nil),
		"with something critical": object(key, nil, map[string]any{"crit": []string{"x"}, "x": 1}), "cut": object(key, nil, nil)[:100], "with a client that is gone": object(key, map[string]any{"client_id": nil}, nil),
	} {
		wiki.forget()
		p.Get(at(text))
		if p.Status != http.StatusBadRequest || wiki.answered() != nil || evil.answered() != nil {
			t.Errorf("%s: %d, %v", name, p.Status, wiki.answered())
		}
	}
	// It can be pushed as well.
	status, got := wiki.post(t, "/oidc/par", url.Values{"client_id": {"wiki"}, "client_secret": {clientSecret}, "request": {object(key, nil, nil)}})
	if status != http.StatusCreated {
		t.Fatalf("%d %v", status, got)
	}
	wiki.forget()
	p.Get(wiki.by(got["request_uri"]))
	wiki.exchange(t, wiki.back())
	status, got = wiki.post(t, "/oidc/par", url.Values{"client_id": {"wiki"}, "client_secret": {clientSecret}, "request": {object(other, nil, nil)}})
	fails(t, "pushed, and of another key", status, got, "invalid_request_object")
}

// A client of the FAPI 2.0 profile pushes, proves itself by a key of the strong algorithms, and
// calls us by our one name; its tokens are bound to a key.
func TestTheFAPIProfile(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	key := ecKey(t, "k1")
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	weak := newKey(t, "r1", private)
	bank := newParty(w, "plain", nil) // its address is http, which the profile does not take
	register(w, "bank", map[string]any{"client_id": "bank", "authentication": "private-key", "profile": "fapi2", "refresh": "session", "public_keys": []string{key.public, weak.public}, "redirect_uris": []string{"https://bank.example.test/callback"}})
	bank.config.ClientID, bank.config.RedirectURL = "bank", "https://bank.example.test/callback"
	p := signedIn(w, ada)
	pushes := func(text string) (int, reply) {
		u, _ := url.Parse(bank.begin())
		form := u.Query()
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", text)
		return bank.post(t, "/oidc/par", form)
	}
	status, got := pushes(weak.signs(t, jose.RS256, assertion(w, "bank", nil), nil))
	fails(t, "RS256", status, got, "invalid_client")
	status, got = pushes(key.signs(t, jose.ES256, assertion(w, "bank", map[string]any{"aud": w.Base + "/oidc/par"}), nil))
	fails(t, "the address for a name", status, got, "invalid_client")
	status, got = pushes(key.signs(t, jose.ES256, assertion(w, "bank", map[string]any{"aud": []string{w.Base}}), nil))
	fails(t, "our name in a list", status, got, "invalid_client")
	status, got = bank.post(t, "/oidc/par", url.Values{"client_id": {"bank"}, "redirect_uri": {"https://bank.example.test/callback"}})
	fails(t, "a client that proves nothing", status, got, "invalid_client")
	if status, got = pushes(weak.signs(t, jose.PS256, assertion(w, "bank", nil), nil)); status != http.StatusCreated {
		t.Fatalf("%d %v", status, got)
	}
	to := where(p, bank.by(got["request_uri"]))
	if to.Host != "bank.example.test" || to.Query().Get("code") == "" || to.Query().Get("iss") != w.Base {
		t.Fatalf("it goes to %s with %v", to.Host, came(to.Query()))
	}
	code := to.Query().Get("code")
	status, got = bank.post(t, "/oidc/token", bank.byAssertion(code, key.signs(t, jose.ES256, assertion(w, "bank", nil), nil)))
	fails(t, "tokens that are bound to nothing", status, got, "invalid_dpop_proof")
	holder := newHolder(t, w)
	status, got = bank.post(t, "/oidc/token", bank.byAssertion(code, key.signs(t, jose.ES256, assertion(w, "bank", nil), nil)), "DPoP", holder.proof("POST", "/oidc/token"))
	refresh, _ := got["refresh_token"].(string)
	if status != 200 || got["token_type"] != "DPoP" || refresh == "" {
		t.Fatalf("%d %v", status, got)
	}
	// Its refresh token stays the one that it is, also for two of its workers at once and for one
	// that lost an answer; it is nothing without the client's own proof and a key.
	refreshes := func(proof ...string) (int, reply) {
		form := bank.byAssertion("", key.signs(t, jose.ES256, assertion(w, "bank", nil), nil))
		form.Set("grant_type", "refresh_token")
		form.Set("refresh_token", refresh)
		form.Del("code")
		return bank.post(t, "/oidc/token", form, proof...)
	}
	var access string
	for range 3 {
		w.Later(time.Minute)
		status, got = refreshes("DPoP", holder.proof("POST", "/oidc/token"))
		if status != 200 || got["token_type"] != "DPoP" || got["refresh_token"] != nil || got["access_token"] == access {
			t.Fatalf("%d %v", status, got)
		}
		access, _ = got["access_token"].(string)
	}
	status, got = refreshes()
	fails(t, "a refresh without a key", status, got, "invalid_dpop_proof")
	status, got = bank.post(t, "/oidc/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "client_id": {"bank"}}, "DPoP", newHolder(t, w).proof("POST", "/oidc/token"))
	fails(t, "a thief who has the token and a key", status, got, "invalid_client")
	signsOut(w, p)
	status, got = refreshes("DPoP", holder.proof("POST", "/oidc/token"))
	fails(t, "a token of a session that is over", status, got, "invalid_grant")
	w.Later(time.Minute)
	p = signedIn(w, ada)
	if to := where(p, bank.begin()); to.Query().Get("error") != "invalid_request" {
		t.Errorf("without a pushed request it goes to %s with %v", to.Host, came(to.Query()))
	}
}

// where is where a browser is sent.
func where(p *servertest.Person, address string) *url.URL {
	p.W.T.Helper()
	client := *p.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	r, err := client.Get(address)
	if err != nil {
		p.W.T.Fatal(err)
	}
	defer r.Body.Close()
	u, err := r.Location()
	if err != nil {
		p.Take(r, nil)
		p.W.T.Fatalf("status %d, and it goes nowhere: %s", r.StatusCode, p.Page)
	}
	return u
}

// octetsOf are those of a public key, as an uncompressed point.
func octetsOf(t *testing.T, k *ecdsa.PublicKey) []byte {
	t.Helper()
	b, err := k.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
