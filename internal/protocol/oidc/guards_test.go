package oidc

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/jws"
	"countersign/internal/oauth"
)

// A resource server is told of access tokens of the clients in its settings, a client of its own
// tokens, and nobody of another one's refresh tokens.
func TestWhoMayAskAboutWhich(t *testing.T) {
	wiki := client{app: "wiki", Settings: Settings{ClientID: "the-wiki"}}
	api := client{app: "api", Settings: Settings{ClientID: "api", Introspects: []string{"the-wiki"}}}
	for name, c := range map[string]struct {
		asker     client
		refreshes bool
		want      bool
	}{
		"its own": {wiki, false, true}, "its own refresh token": {wiki, true, true},
		"a resource server": {api, false, true}, "a resource server of a refresh token": {api, true, false},
		"another client":                  {client{app: "files", Settings: Settings{ClientID: "files"}}, false, false},
		"of the application's name alone": {client{app: "x", Settings: Settings{ClientID: "x", Introspects: []string{"wiki"}}}, false, false},
	} {
		if got := c.asker.mayAskAbout(wiki, c.refreshes); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// The signed answer comes where it is asked for by its own name, and is not refused.
func TestWhenASignedAnswerIsAskedFor(t *testing.T) {
	for accept, want := range map[string]bool{
		"": false, "*/*": false, "application/*": false, "application/json": false, introspectionMedia: true, "text/plain;q=0.1, " + introspectionMedia: true,
		introspectionMedia + ";q=0": false, introspectionMedia + ";q=0.5": true, introspectionMedia + "x": false,
	} {
		if got := accepts(&http.Request{Header: http.Header{"Accept": {accept}}}, introspectionMedia); got != want {
			t.Errorf("%q: %v", accept, got)
		}
	}
}

// signedBy is a statement as a key makes it.
func signedBy(t testing.TB, alg jose.SignatureAlgorithm, key crypto.Signer, kid, typ string, claims map[string]any) string {
	t.Helper()
	return made(t, alg, jose.JSONWebKey{Key: key, KeyID: kid}, typ, false, claims)
}

// A hint is an ID token of ours, by its type, its key's name and its key's one algorithm: nothing
// else that the same key signed is one.
func TestWhatIsAHint(t *testing.T) {
	ec, rsa := newEC(t), newRSA(t, 2048)
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: ec.Public(), KeyID: "e", Algorithm: "ES256"}, {Key: rsa.Public(), KeyID: "p", Algorithm: "PS256"}, {Key: ec.Public(), Algorithm: "ES256"}}}
	p := &statements{issuer: "https://cs.example"}
	claims := func(more ...string) map[string]any {
		out := map[string]any{"iss": p.issuer, "sub": "ada", "aud": "wiki", "sid": "s"}
		for i := 0; i < len(more); i += 2 {
			out[more[i]] = more[i+1]
		}
		return out
	}
	for name, c := range map[string]struct {
		text string
		want bool
	}{
		"an ID token":                 {signedBy(t, jose.ES256, ec, "e", "JWT", claims()), true},
		"an answer of introspection":  {signedBy(t, jose.ES256, ec, "e", introspectionType, claims()), false},
		"an access token's type":      {signedBy(t, jose.ES256, ec, "e", "at+jwt", claims()), false},
		"of another issuer":           {signedBy(t, jose.ES256, ec, "e", "JWT", claims("iss", p.issuer+".evil.example")), false},
		"for nobody":                  {signedBy(t, jose.ES256, ec, "e", "JWT", claims("aud", "")), false},
		"of nobody":                   {signedBy(t, jose.ES256, ec, "e", "JWT", claims("sub", "")), false},
		"by another algorithm":        {signedBy(t, jose.RS256, rsa, "p", "JWT", claims()), false},
		"by a key without a name":     {signedBy(t, jose.ES256, ec, "", "JWT", claims()), false},
		"by another key of that name": {signedBy(t, jose.ES256, newEC(t), "e", "JWT", claims()), false},
	} {
		if _, ok := p.ours(set, c.text); ok != c.want {
			t.Errorf("%s: %v", name, ok)
		}
		if sub, ok := p.hinted(set, c.text, "wiki"); ok != c.want || ok && sub != "ada" {
			t.Errorf("%s, for its client: %q, %v", name, sub, ok)
		}
	}
	if _, ok := p.hinted(set, signedBy(t, jose.ES256, ec, "e", "JWT", claims()), "evil"); ok {
		t.Error("it is another client's hint")
	}
}

// A client's key signs by the algorithm that it names and by no other, also where another of its
// keys may.
func TestAKeySignsByItsAlgorithm(t *testing.T) {
	first, second := newRSA(t, 2048), newRSA(t, 2048)
	public := func(of crypto.Signer, kid, alg string) string {
		b, err := json.Marshal(jose.JSONWebKey{Key: of.Public(), KeyID: kid, Algorithm: alg})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	one := client{Settings: Settings{ClientID: "wiki", Keys: []string{public(first, "a", "PS256")}}}
	two := client{Settings: Settings{ClientID: "wiki", Keys: []string{public(first, "a", "PS256"), public(second, "b", "RS256")}}}
	says := map[string]any{"iss": "wiki", "aud": "x", "exp": 2e9}
	for name, c := range map[string]struct {
		of   client
		text string
		want bool
	}{
		"by its own":              {one, signedBy(t, jose.PS256, first, "a", "JWT", says), true},
		"by another":              {one, signedBy(t, jose.RS256, first, "a", "JWT", says), false},
		"by the other key's":      {two, signedBy(t, jose.RS256, first, "a", "JWT", says), false},
		"the other by its own":    {two, signedBy(t, jose.RS256, second, "b", "JWT", says), true},
		"by the other's, no name": {two, signedBy(t, jose.PS256, second, "", "JWT", says), false},
	} {
		if _, ok := c.of.read(c.text, requestType); ok != c.want {
			t.Errorf("%s: %v", name, ok)
		}
	}
}

// What is kept of a pushed request is what was asked, in the name of the client that proved itself,
// and nothing by which it did.
func TestWhatIsKeptOfAPushedRequest(t *testing.T) {
	p := &desk{common: common{now: time.Now}}
	c := client{app: "wiki", Settings: Settings{ClientID: "wiki", Redirects: []string{"https://wiki.example/back"}}}
	v := asked("redirect_uri", "https://wiki.example/back", "client_secret", "s1", "client_assertion", "a.b.c", "client_assertion_type", assertionType)
	for _, named := range []string{"", "wiki", "evil"} {
		v["client_id"] = named
		kept, f, err := p.pushable(nil, c, v, "")
		if f.is() || err != nil {
			t.Fatalf("%+v, %v", f, err)
		}
		if kept.Params["client_id"] != "wiki" || !kept.Pushed {
			t.Errorf("it is kept of %q, pushed %v", kept.Params["client_id"], kept.Pushed)
		}
		for _, name := range []string{"client_secret", "client_assertion", "client_assertion_type"} {
			if _, there := kept.Params[name]; there {
				t.Errorf("%s is kept", name)
			}
		}
	}
	c.Requests = Signed
	if _, f, err := p.pushable(nil, c, v, ""); f.code != "invalid_request" || err != nil {
		t.Errorf("of a client that signs: %+v, %v", f, err)
	}
}

// A code verifier has 43 characters at least, whatever challenge was asked with.
func TestAVerifierIsLong(t *testing.T) {
	for verifier, want := range map[string]bool{"": false, "short": false, strings.Repeat("v", 42): false, strings.Repeat("v", 43): true, strings.Repeat("v", 128): true, strings.Repeat("v", 129): false, strings.Repeat("v", 42) + "/": true, strings.Repeat("v", 42) + " ": false, strings.Repeat("v", 42) + "\u00e9": false, strings.Repeat("v", 42) + "\x7f": false} {
		sum := sha256.Sum256([]byte(verifier))
		g := &oauth.Given{}
		g.Redirect, g.Challenge = "https://a/b", base64.RawURLEncoding.EncodeToString(sum[:])
		if got := bound(g, params{"redirect_uri": "https://a/b", "code_verifier": verifier}); got != want {
			t.Errorf("%d characters: %v", len(verifier), got)
		}
	}
}

// A value inside a signed request is as long as one outside of it can be.
func TestWhatIsInASignedRequest(t *testing.T) {
	of := client{Settings: Settings{ClientID: "wiki"}}
	for name, c := range map[string]struct {
		more map[string]any
		want bool
	}{
		"a value": {map[string]any{"state": strings.Repeat("x", valueMost)}, true}, "a long one": {map[string]any{"state": strings.Repeat("x", valueMost+1)}, false},
		"long claims":        {map[string]any{"claims": map[string]any{"x": strings.Repeat("x", valueMost)}}, false},
		"a request in it":    {map[string]any{"request": "a.b.c"}, false},
		"an address of one":  {map[string]any{"request_uri": "urn:x"}, false},
		"one that was begun": {map[string]any{resumed: "x"}, false},
		"another client":     {map[string]any{"client_id": "evil"}, false},
	} {
		s := jws.Statement{All: map[string]any{"client_id": "wiki"}}
		maps.Copy(s.All, c.more)
		if _, err := paramsOf(s, of); (err == nil) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A token comes in a header or in a form, in one of them, by a scheme that is known.
func TestWhereATokenComes(t *testing.T) {
	for name, c := range map[string]struct {
		headers []string
		form    string
		want    string
	}{
		"a header": {[]string{"Bearer a"}, "", "Bearer a"}, "in small letters": {[]string{"dpop a"}, "", "DPoP a"}, "a form": {nil, "access_token=a", "Bearer a"},
		"both":             {[]string{"Bearer a"}, "access_token=a", ""},
		"another's header": {[]string{"Basic a"}, "access_token=a", ""},
		"two headers":      {[]string{"Bearer a", "Bearer b"}, "", ""},
		"a form with two":  {nil, "access_token=a&access_token=b", ""},
		"another scheme":   {[]string{"Basic a"}, "", ""},
		"a scheme alone":   {[]string{"Bearer"}, "", ""},
		"nothing":          {nil, "", ""},
	} {
		r := httptest.NewRequest("POST", "/oidc/userinfo?access_token=address", strings.NewReader(c.form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, h := range c.headers {
			r.Header.Add("Authorization", h)
		}
		scheme, token, ok := bearer(httptest.NewRecorder(), r)
		if got := strings.TrimSpace(scheme + " " + token); ok != (c.want != "") || ok && got != c.want {
			t.Errorf("%s: %q, %v", name, got, ok)
		}
	}
}

// A code is answered by all that it was asked for with.
func TestWhatACodeDemands(t *testing.T) {
	need, since := assurance.Hardware(), time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	g := &oauth.Given{}
	g.Raise, g.Since = &need, since
	if w := demandedOf(g); w.raise != &need || !w.since.Equal(since) {
		t.Errorf("%+v", w)
	}
}

// A signed request is of its client, for us by our one name, good now, and of FAPI 2.0 it says from
// when on.
func TestASignedRequestIsItsClients(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	key := newEC(t)
	public, err := json.Marshal(jose.JSONWebKey{Key: key.Public(), KeyID: "k"})
	if err != nil {
		t.Fatal(err)
	}
	c := common{public: &url.URL{Scheme: "https", Host: "cs.example"}, now: func() time.Time { return now }}
	plain := client{Settings: Settings{ClientID: "wiki", Keys: []string{string(public)}}}
	strict := plain
	strict.Profile = FAPI2
	for name, k := range map[string]struct {
		of   client
		more map[string]any
		want bool
	}{
		"whole":                      {plain, nil, true},
		"without a beginning":        {plain, map[string]any{"nbf": nil}, true},
		"strict":                     {strict, nil, true},
		"strict, without one":        {strict, map[string]any{"nbf": nil}, false},
		"from another":               {plain, map[string]any{"iss": "evil"}, false},
		"from nobody":                {plain, map[string]any{"iss": nil}, false},
		"for an address of ours":     {plain, map[string]any{"aud": "https://cs.example/oidc/par"}, false},
		"for us and for another one": {plain, map[string]any{"aud": []string{"https://cs.example", "https://x.example"}}, false},
		"over":                       {plain, map[string]any{"exp": now.Add(-time.Minute).Unix()}, false},
		"of another client":          {plain, map[string]any{"client_id": "evil"}, false},
	} {
		claims := map[string]any{"iss": "wiki", "aud": "https://cs.example", "client_id": "wiki", "nbf": now.Unix(), "exp": now.Add(time.Minute).Unix()}
		maps.Copy(claims, k.more)
		maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
		if _, err := c.opened(httptest.NewRequest("GET", "/", nil), k.of, signedBy(t, jose.ES256, key, "k", requestType, claims)); (err == nil) != k.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// PKCE can be left out only by a client whose settings say so, wholly, and by none that proves
// nothing; a code that was asked for without it comes without it.
func TestPKCEThatIsOptional(t *testing.T) {
	strict, loose := client{}, client{Settings: Settings{PKCE: PKCEOptional}}
	digest := strings.Repeat("A", 43)
	for name, k := range map[string]struct {
		c    client
		v    params
		good bool
	}{
		"none, as everybody must not": {strict, params{}, false}, "none, as it may": {loose, params{}, true}, "a method alone": {loose, params{"code_challenge_method": "S256"}, false},
		"plain": {loose, params{"code_challenge": digest, "code_challenge_method": "plain"}, false}, "no method": {loose, params{"code_challenge": digest}, false}, "whole": {loose, params{"code_challenge": digest, "code_challenge_method": "S256"}, true},
	} {
		q := request{client: k.c}
		if f := q.readPKCE(k.v); f.is() == k.good || k.good && q.challenge != k.v["code_challenge"] {
			t.Errorf("%s: %+v", name, f)
		}
	}
	without := &oauth.Given{}
	without.Redirect = "https://a/b"
	for verifier, want := range map[string]bool{"": true, strings.Repeat("v", 43): false} {
		if bound(without, params{"redirect_uri": "https://a/b", "code_verifier": verifier}) != want {
			t.Errorf("without a challenge, with the verifier %q", verifier)
		}
	}
	for settings, good := range map[string]bool{`"pkce":"optional"`: true, `"pkce":"plain"`: false, `"pkce":"optional","runs":"native"`: false, `"pkce":"optional","authentication":"none","client_secret":""`: false} {
		raw := json.RawMessage(`{"client_id":"wiki","client_secret":"a-client-secret-of-more-than-32-characters","redirect_uris":["https://wiki.example.org/callback"],` + settings + `}`)
		if strings.Contains(settings, "client_secret") {
			raw = json.RawMessage(strings.Replace(string(raw), `"client_secret":"a-client-secret-of-more-than-32-characters",`, "", 1))
		}
		if err := CheckSettings(raw); (err == nil) != good {
			t.Errorf("%s: %v", settings, err)
		}
	}
}

// A client of FAPI 2.0 is saved only as its section 5.3.2 demands, for each demand by itself.
func TestTheFAPIProfileIsWhole(t *testing.T) {
	public, err := json.Marshal(jose.JSONWebKey{Key: newEC(t).Public(), KeyID: "k"})
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]struct {
		more map[string]any
		says string // empty is that it is saved
	}{
		"whole":                    {nil, ""},
		"with refresh tokens":      {map[string]any{"refresh": "session"}, ""},
		"with nonces":              {map[string]any{"sender_constrained": "dpop-nonce"}, ""},
		"by a secret":              {map[string]any{"authentication": "secret", "client_secret": "a-client-secret-of-more-than-32-characters"}, "authenticates by"},
		"by nothing":               {map[string]any{"authentication": "none"}, "authenticates by"},
		"without PKCE":             {map[string]any{"pkce": "optional"}, "without a profile"},
		"RS256":                    {map[string]any{"id_token_algorithm": "RS256"}, "ES256"},
		"native":                   {map[string]any{"runs": "native"}, "on a server"},
		"an address without https": {map[string]any{"redirect_uris": []string{"http://localhost/callback"}}, "https"},
		"devices":                  {map[string]any{"device": "anywhere"}, "FAPI"},
		"refresh tokens in turn":   {map[string]any{"refresh": "session", "refresh_grace_seconds": 10}, "keeps its refresh token"},
		"another profile":          {map[string]any{"profile": "fapi1"}, "fapi2"},
	} {
		settings := map[string]any{"client_id": "bank", "profile": FAPI2, "authentication": ByKey, "public_keys": []string{string(public)}, "redirect_uris": []string{"https://bank.example.test/callback"}}
		maps.Copy(settings, k.more)
		raw, err := json.Marshal(settings)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckSettings(raw); (err == nil) != (k.says == "") || err != nil && !strings.Contains(failure.Public(err), k.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	fapi := Settings{Profile: FAPI2}
	if !fapi.pushes() || !fapi.binds() {
		t.Error("requests need not be pushed, or tokens not be bound")
	}
	if oauth.CodeLife > time.Minute {
		t.Error("a code lives for longer than a minute")
	}
	if pushedLife >= 600*time.Second {
		t.Error("a pushed request lives for ten minutes")
	}
}

// A client that takes bound sessions alone has nothing that outlives them or stands beside them.
func TestSessionsThatMustBeBound(t *testing.T) {
	for settings, good := range map[string]bool{`"sessions":"bound"`: true, `"sessions":"any"`: false, `"sessions":"bound","refresh":"session"`: true,
		`"sessions":"bound","refresh":"offline","offline_days":3`: false, `"sessions":"bound","device":"anywhere"`: false} {
		raw := json.RawMessage(`{"client_id":"wiki","client_secret":"a-client-secret-of-more-than-32-characters","redirect_uris":["https://wiki.example.org/callback"],` + settings + `}`)
		if err := CheckSettings(raw); (err == nil) != good {
			t.Errorf("%s: %v", settings, err)
		}
	}
}

// A refresh token comes twice only for some seconds, and only where who has it is not all that there
// is: a client that proves who it is, or tokens that are bound to a key.
func TestSettingsOfTheGrace(t *testing.T) {
	const secret = `"client_secret":"a-client-secret-of-more-than-32-characters",`
	for settings, good := range map[string]bool{
		secret + `"refresh":"session","refresh_grace_seconds":10`: true, secret + `"refresh":"session","refresh_grace_seconds":30`: true, secret + `"refresh":"session","refresh_grace_seconds":31`: false,
		secret + `"refresh":"session","refresh_grace_seconds":-1`: false, secret + `"refresh_grace_seconds":10`: false, `"authentication":"none","refresh":"session","refresh_grace_seconds":10`: false,
		`"authentication":"none","refresh":"session","refresh_grace_seconds":10,"sender_constrained":"dpop"`: true,
	} {
		if err := CheckSettings(json.RawMessage(`{"client_id":"wiki","redirect_uris":["https://wiki.example.org/callback"],` + settings + `}`)); (err == nil) != good {
			t.Errorf("%s: %v", settings, err)
		}
	}
}
