package upstream

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"countersign/internal/servertest"
)

const (
	clientID     = "countersign"
	clientSecret = "a-client-secret-of-more-than-32-characters"
)

// provider is another organisation's OpenID provider, whose administrator says of anybody what he
// likes: it shows no page, and sends every browser back at once.
type provider struct {
	w      *servertest.World
	server *httptest.Server

	mu     sync.Mutex
	key    *ecdsa.PrivateKey // that signs
	keys   []jose.JSONWebKey // that are published
	codes  map[string]url.Values
	person map[string]any                     // what the ID token says
	edit   func(claims map[string]any)        // the last word on it
	token  func(claims map[string]any) string // in the place of a token that is signed as it should be
	back   func(q url.Values)                 // what the browser brings back
	named  bool
	asked  url.Values // by the last request
	redeem url.Values // by the last redemption
}

func newKey(t testing.TB, id string) (*ecdsa.PrivateKey, jose.JSONWebKey) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k, jose.JSONWebKey{Key: k.Public(), KeyID: id, Use: "sig", Algorithm: "ES256"}
}

// newProvider starts one. Its person is ada, as it says, with a mail that it says it verified.
func newProvider(w *servertest.World) *provider {
	w.T.Helper()
	p := &provider{w: w, codes: map[string]url.Values{}, named: true, person: map[string]any{"sub": "upstream-ada", "email": "ada@partner.example", "email_verified": true}}
	var public jose.JSONWebKey
	p.key, public = newKey(w.T, "one")
	p.keys = []jose.JSONWebKey{public}
	p.server = httptest.NewServer(http.HandlerFunc(p.serve))
	w.T.Cleanup(p.server.Close)
	return p
}

func (p *provider) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		p.say(w, map[string]any{"issuer": p.server.URL, "authorization_endpoint": p.server.URL + "/authorize", "token_endpoint": p.server.URL + "/token", "jwks_uri": p.server.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"ES256"}, "authorization_response_iss_parameter_supported": p.named})
	case "/keys":
		p.say(w, jose.JSONWebKeySet{Keys: p.keys})
	case "/authorize":
		p.asked = r.URL.Query()
		code := "code-" + p.asked.Get("state")
		p.codes[code] = p.asked
		q := url.Values{"code": {code}, "state": {p.asked.Get("state")}}
		if p.named {
			q.Set("iss", p.server.URL)
		}
		if p.back != nil {
			p.back(q)
		}
		http.Redirect(w, r, p.asked.Get("redirect_uri")+"?"+q.Encode(), http.StatusFound)
	case "/token":
		p.answer(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (p *provider) say(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v) //nolint:errcheck // the other side went away
}

// answer redeems a code, once.
func (p *provider) answer(w http.ResponseWriter, r *http.Request) {
	r.ParseForm() //nolint:errcheck // it is looked at below
	p.redeem = r.PostForm
	asked, ok := p.codes[r.PostForm.Get("code")]
	delete(p.codes, r.PostForm.Get("code"))
	name, secret, _ := r.BasicAuth()
	if !ok || name != clientID || secret != clientSecret || r.PostForm.Get("redirect_uri") != asked.Get("redirect_uri") || r.PostForm.Get("code_verifier") == "" {
		w.WriteHeader(http.StatusBadRequest)
		p.say(w, map[string]string{"error": "invalid_grant"})
		return
	}
	now := p.w.Now()
	claims := map[string]any{"iss": p.server.URL, "aud": clientID, "nonce": asked.Get("nonce"), "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "auth_time": now.Unix()}
	for k, v := range p.person {
		claims[k] = v
	}
	if p.edit != nil {
		p.edit(claims)
	}
	token := signed(p.w.T, p.key, "one", claims)
	if p.token != nil {
		token = p.token(claims)
	}
	p.say(w, map[string]any{"access_token": "nothing", "token_type": "Bearer", "id_token": token})
}

// signed is an ID token.
func signed(t testing.TB, key any, id string, claims map[string]any) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithType("JWT")
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: id}}, options)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	j, err := s.Sign(plain)
	if err != nil {
		t.Fatal(err)
	}
	out, err := j.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// settings are those by which it is registered; more replace them.
func (p *provider) settings(more map[string]any) map[string]any {
	s := map[string]any{"title": "Partner", "protocol": "oidc", "issuer": p.server.URL, "client_id": clientID, "client_secret": clientSecret, "inside": []string{"127.0.0.1"}, "domains": []string{"partner.example"}}
	for k, v := range more {
		s[k] = v
	}
	return s
}
