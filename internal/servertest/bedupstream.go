package servertest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"countersign/internal/drill"
	"countersign/internal/drill/web"
)

// What the identity providers of a bed know of the server as their client.
const (
	partnerClient = "countersign"
	partnerSecret = "a-client-secret-of-more-than-32-characters"
)

// openIDPartner is another organisation's OpenID provider, whose keys an attacker has: it shows no
// page, says of everybody what the attacker wants, and sends every browser back at once.
type openIDPartner struct {
	w      *World
	server *httptest.Server

	mu      sync.Mutex
	key     *ecdsa.PrivateKey // that signs
	name    string            // of that key
	keys    []jose.JSONWebKey // that are published
	codes   map[string]url.Values
	subject string
	edit    func(claims map[string]any)
	token   func(claims map[string]any) string // in the place of one that is signed as it should be
}

func newPartnerKey(w *World) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.T.Fatal(err)
	}
	return k
}

func newOpenIDPartner(w *World) *openIDPartner {
	p := &openIDPartner{w: w, codes: map[string]url.Values{}}
	p.turn("one")
	p.server = httptest.NewServer(http.HandlerFunc(p.serve))
	w.T.Cleanup(p.server.Close)
	return p
}

// turn has it sign with a new key, which it publishes beside those of before.
func (p *openIDPartner) turn(name string) {
	p.key, p.name = newPartnerKey(p.w), name
	p.keys = append(p.keys, jose.JSONWebKey{Key: p.key.Public(), KeyID: name, Use: "sig", Algorithm: "ES256"})
}

func (p *openIDPartner) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	say := func(v any) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(v) //nolint:errcheck // the other side went away
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		say(map[string]any{"issuer": p.server.URL, "authorization_endpoint": p.server.URL + "/authorize", "token_endpoint": p.server.URL + "/token", "jwks_uri": p.server.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"ES256"}, "authorization_response_iss_parameter_supported": true})
	case "/keys":
		say(jose.JSONWebKeySet{Keys: p.keys})
	case "/authorize":
		asked := r.URL.Query()
		code := "code-" + asked.Get("state")
		p.codes[code] = asked
		q := url.Values{"code": {code}, "state": {asked.Get("state")}, "iss": {p.server.URL}}
		http.Redirect(w, r, asked.Get("redirect_uri")+"?"+q.Encode(), http.StatusFound)
	case "/token":
		asked := p.codes[r.PostFormValue("code")]
		delete(p.codes, r.PostFormValue("code"))
		say(map[string]any{"access_token": "nothing", "token_type": "Bearer", "id_token": p.says(asked)})
	default:
		http.NotFound(w, r)
	}
}

// says is an ID token with every word there is for two factors.
func (p *openIDPartner) says(asked url.Values) string {
	now := p.w.Now()
	claims := map[string]any{"iss": p.server.URL, "aud": partnerClient, "sub": p.subject, "nonce": asked.Get("nonce"), "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "auth_time": now.Unix(),
		"acr": "phrh", "amr": []string{"pwd", "otp", "hwk", "mfa"}}
	if p.edit != nil {
		p.edit(claims)
	}
	if p.token != nil {
		return p.token(claims)
	}
	return signedToken(p.w, p.key, p.name, claims)
}

func signedToken(w *World, key *ecdsa.PrivateKey, name string, claims map[string]any) string {
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: name}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		w.T.Error(err)
		return ""
	}
	plain, err := json.Marshal(claims)
	if err != nil {
		w.T.Error(err)
		return ""
	}
	j, err := s.Sign(plain)
	if err != nil {
		w.T.Error(err)
		return ""
	}
	out, err := j.CompactSerialize()
	if err != nil {
		w.T.Error(err)
	}
	return out
}

// set changes what it does, and returns what undoes that.
func (p *openIDPartner) set(edit func(map[string]any), token func(map[string]any) string) (undo func()) {
	change := func(edit func(map[string]any), token func(map[string]any) string) {
		p.mu.Lock()
		p.edit, p.token = edit, token
		p.mu.Unlock()
	}
	change(edit, token)
	return func() { change(nil, nil) }
}

// lies are what is wrong with an ID token.
func (p *openIDPartner) lies() []web.Lie {
	with := func(name string, more map[string]any) web.Lie {
		return web.Lie{Name: name, Tell: func() func() { return p.set(func(claims map[string]any) { maps.Copy(claims, more) }, nil) }}
	}
	as := func(name string, token func(map[string]any) string) web.Lie {
		return web.Lie{Name: name, Tell: func() func() { return p.set(nil, token) }}
	}
	stranger := newPartnerKey(p.w)
	return []web.Lie{
		with("for another party", map[string]any{"aud": "wiki"}), with("of another issuer", map[string]any{"iss": "https://elsewhere.example"}),
		with("of another visit", map[string]any{"nonce": "of-another-visit"}), with("too old", map[string]any{"iat": 1, "exp": 2, "auth_time": 1}),
		as("unsigned", func(claims map[string]any) string {
			body, _ := json.Marshal(claims) //nolint:errcheck // they are texts and numbers
			return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(body) + "."
		}),
		as("signed by a stranger", func(claims map[string]any) string { return signedToken(p.w, stranger, "one", claims) }),
	}
}

// hybrids put identity providers of other organisations before the sign-in of a world.
func (b *Bed) hybrids(w *World, desk *Clerk) []drill.Component {
	openID, saml := newOpenIDPartner(w), newSAMLPartner(w)
	for name, settings := range map[string]map[string]any{
		"partner": {"title": "Partner", "protocol": "oidc", "issuer": openID.server.URL, "client_id": partnerClient, "client_secret": partnerSecret, "inside": []string{"127.0.0.1"}},
		"branch":  saml.settings(),
	} {
		raw, err := json.Marshal(settings)
		if err == nil {
			err = desk.Do(context.Background(), "upstream.set", map[string]any{"name": name, "settings": json.RawMessage(raw)}, nil)
		}
		if err != nil {
			b.T.Fatal(name, err)
		}
	}
	server := web.Server(w.Base)
	return []drill.Component{
		server.Hybrid(web.Hybrid{Name: "partner", Lies: openID.lies(),
			Means: func(subject string) { openID.mu.Lock(); openID.subject = subject; openID.mu.Unlock() },
			Turns: func() func() {
				openID.mu.Lock()
				defer openID.mu.Unlock()
				openID.turn("key-" + strings.ToLower(rand.Text()[:6]))
				return func() {}
			}}),
		server.Hybrid(web.Hybrid{Name: "branch", Lies: saml.lies(), Means: func(subject string) { saml.mu.Lock(); saml.session.NameID = subject; saml.mu.Unlock() }}),
	}
}
