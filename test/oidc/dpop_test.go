package oidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"countersign/internal/servertest"
)

// holder is the key of a client, with which it makes proofs.
type holder struct {
	t   testing.TB
	w   *servertest.World
	key *ecdsa.PrivateKey
}

func newHolder(t testing.TB, w *servertest.World) *holder {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &holder{t, w, k}
}

// thumb is the thumbprint of its key.
func (h *holder) thumb() string {
	point, err := h.key.PublicKey.Bytes() // 4, x, y (SEC 1, section 2.3.3)
	if err != nil {
		h.t.Fatal(err)
	}
	x, y := point[1:33], point[33:]
	enc := base64.RawURLEncoding.EncodeToString
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + enc(x) + `","y":"` + enc(y) + `"}`))
	return enc(sum[:])
}

// proof is one for a request; more are claims besides, in turn, with nil for none.
func (h *holder) proof(method, path string, more ...any) string {
	h.t.Helper()
	claims := map[string]any{"jti": rand.Text(), "htm": method, "htu": h.w.Base + path, "iat": h.w.Now().Unix()}
	for i := 0; i < len(more); i += 2 {
		claims[more[i].(string)] = more[i+1]
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: h.key}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	if err != nil {
		h.t.Fatal(err)
	}
	plain, err := json.Marshal(claims)
	if err != nil {
		h.t.Fatal(err)
	}
	signed, err := signer.Sign(plain)
	if err != nil {
		h.t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		h.t.Fatal(err)
	}
	return text
}

// redeems turns a fresh code into tokens with a proof, or none where it is empty.
func (p *party) redeems(t testing.TB, browser *servertest.Person, proof string) (int, reply) {
	t.Helper()
	form := p.tokenForm(p.code(browser))
	if p.config.ClientSecret == "" {
		form.Del("client_secret")
	}
	if proof == "" {
		return p.post(t, "/oidc/token", form)
	}
	return p.post(t, "/oidc/token", form, "DPoP", proof)
}

// uses asks userinfo with a token, by a scheme and with proofs, and returns status and challenge.
func (p *party) uses(t testing.TB, scheme, access string, proofs ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", p.w.Base+"/oidc/userinfo", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", scheme+" "+access)
	for _, one := range proofs {
		r.Header.Add("DPoP", one)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode, resp.Header.Get("WWW-Authenticate")
}

func ath(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// The promise: a token that is bound to a key is nothing without that key, for each request anew;
// who stole the token, or a proof of before, or both, has nothing.
func TestABoundTokenNeedsItsKey(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		w := servertest.NewWorldOn(t, dsn)
		ada := w.EnrollCodes("ada")
		wiki := newParty(w, "wiki", map[string]any{"sender_constrained": "dpop"})
		mine, thief := newHolder(t, w), newHolder(t, w)
		p := signedIn(w, ada)
		status, got := wiki.redeems(t, p, mine.proof("POST", "/oidc/token"))
		access, _ := got["access_token"].(string)
		if status != 200 || got["token_type"] != "DPoP" || access == "" {
			t.Fatalf("%d %v", status, got)
		}
		told := wiki.asks(t, access)
		if told["token_type"] != "DPoP" || told["cnf"].(map[string]any)["jkt"] != mine.thumb() {
			t.Errorf("a resource server is told %v", told)
		}
		const path = "/oidc/userinfo"
		good := mine.proof("GET", path, "ath", ath(access))
		if status, _ := wiki.uses(t, "DPoP", access, good); status != 200 {
			t.Fatalf("its own key: %d", status)
		}
		for name, proofs := range map[string][]string{
			"the same proof again":     {good},
			"no proof":                 nil,
			"another key":              {thief.proof("GET", path, "ath", ath(access))},
			"another method":           {mine.proof("POST", path, "ath", ath(access))},
			"another address":          {mine.proof("GET", "/oidc/token", "ath", ath(access))},
			"another host":             {mine.proof("GET", path, "ath", ath(access), "htu", "https://evil.example"+path)},
			"an address with a name":   {mine.proof("GET", path, "ath", ath(access), "htu", strings.Replace(w.Base, "://", "://x@", 1)+path)},
			"a path with dots":         {mine.proof("GET", path, "ath", ath(access), "htu", w.Base+"/x/.."+path)},
			"without the token's hash": {mine.proof("GET", path)},
			"another token's hash":     {mine.proof("GET", path, "ath", ath(access+"x"))},
			"an old one":               {mine.proof("GET", path, "ath", ath(access), "iat", w.Now().Add(-2*time.Minute).Unix())},
			"one of tomorrow":          {mine.proof("GET", path, "ath", ath(access), "iat", w.Now().Add(2*time.Minute).Unix())},
			"without a name":           {mine.proof("GET", path, "ath", ath(access), "jti", nil)},
			"a nonce that is not ours": {mine.proof("GET", path, "ath", ath(access), "nonce", "made-up")},
			"two":                      {mine.proof("GET", path, "ath", ath(access)), mine.proof("GET", path, "ath", ath(access))},
			"huge":                     {mine.proof("GET", path, "ath", ath(access), "x", strings.Repeat("x", 9000))},
		} {
			status, challenge := wiki.uses(t, "DPoP", access, proofs...)
			if status != 401 || !strings.HasPrefix(challenge, `DPoP error="`) || !strings.Contains(challenge, `algs="ES256 `) {
				t.Errorf("%s: %d %s", name, status, challenge)
			}
		}
		if status, _ := wiki.uses(t, "Bearer", access, mine.proof("GET", path, "ath", ath(access))); status != 401 {
			t.Errorf("as a bearer token: %d", status)
		}
		if status, _ := wiki.uses(t, "Bearer", access); status != 401 {
			t.Errorf("as a bearer token, without a proof: %d", status)
		}
		if status, _ := wiki.uses(t, "DPoP", access, mine.proof("GET", path, "ath", ath(access))); status != 200 {
			t.Errorf("its own key afterwards: %d", status)
		}
		plain := newParty(w, "plain", nil)
		unbound, _ := plain.tokens(t, p)
		if status, _ := plain.uses(t, "DPoP", unbound, mine.proof("GET", path, "ath", ath(unbound))); status != 401 {
			t.Errorf("a token that is bound to nothing, as if it were: %d", status)
		}
	})
}

// A client whose tokens must be bound gets none without a proof, and the code is good still for
// one with it. A proof that is not good costs nothing either.
func TestTokensMustBeBound(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki := newParty(w, "wiki", map[string]any{"sender_constrained": "dpop"})
	mine := newHolder(t, w)
	code := wiki.code(signedIn(w, ada))
	used := mine.proof("POST", "/oidc/token")
	status, got := wiki.post(t, "/oidc/token", url.Values{"grant_type": {"authorization_code"}, "code": {"x"}, "client_id": {"wiki"}, "client_secret": {clientSecret}}, "DPoP", used)
	fails(t, "no code", status, got, "invalid_grant")
	status, got = wiki.post(t, "/oidc/token", wiki.tokenForm(code))
	fails(t, "no proof", status, got, "invalid_dpop_proof")
	for name, proof := range map[string]string{
		"used before": used, "by GET": mine.proof("GET", "/oidc/token"), "for another address": mine.proof("POST", "/oidc/par"), "nonsense": "nonsense", "old": mine.proof("POST", "/oidc/token", "iat", w.Now().Unix()-120),
	} {
		status, got = wiki.post(t, "/oidc/token", wiki.tokenForm(code), "DPoP", proof)
		fails(t, name, status, got, "invalid_dpop_proof")
	}
	if status, got = wiki.post(t, "/oidc/token", wiki.tokenForm(code), "DPoP", mine.proof("POST", "/oidc/token")); status != 200 {
		t.Errorf("with one: %d %v", status, got)
	}
}

// Of many who bring one proof at the same moment one is answered.
func TestAProofUsedAtOnce(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		w := servertest.NewWorldOn(t, dsn)
		ada := w.EnrollCodes("ada")
		wiki := newParty(w, "wiki", nil)
		mine := newHolder(t, w)
		_, got := wiki.redeems(t, signedIn(w, ada), mine.proof("POST", "/oidc/token"))
		access, _ := got["access_token"].(string)
		proof := mine.proof("GET", "/oidc/userinfo", "ath", ath(access))
		var mu sync.Mutex
		var wait sync.WaitGroup
		good := 0
		for range 8 {
			wait.Go(func() {
				if status, _ := wiki.uses(t, "DPoP", access, proof); status == 200 {
					mu.Lock()
					good++
					mu.Unlock()
				}
			})
		}
		wait.Wait()
		if good != 1 {
			t.Errorf("%d were answered", good)
		}
	})
}

// A client that is demanded a nonce of ours gets one with the refusal, and is let in with that and
// with no older one.
func TestANonceOfOurs(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki := newParty(w, "wiki", map[string]any{"sender_constrained": "dpop-nonce"})
	mine := newHolder(t, w)
	code := wiki.code(signedIn(w, ada))
	nonce := wiki.nonce(t, code, mine.proof("POST", "/oidc/token"))
	for name, wrong := range map[string]string{"made up": "made-up", "another letter": nonce[:len(nonce)-2] + "AA", "cut": nonce[:20], "a code": code} {
		status, got := wiki.post(t, "/oidc/token", wiki.tokenForm(code), "DPoP", mine.proof("POST", "/oidc/token", "nonce", wrong))
		fails(t, name, status, got, "use_dpop_nonce")
	}
	w.Later(50 * time.Second)
	status, got := wiki.post(t, "/oidc/token", wiki.tokenForm(code), "DPoP", mine.proof("POST", "/oidc/token", "nonce", nonce))
	if status != 200 {
		t.Fatalf("with it: %d %v", status, got)
	}
	access, _ := got["access_token"].(string)
	if status, challenge := wiki.uses(t, "DPoP", access, mine.proof("GET", "/oidc/userinfo", "ath", ath(access))); status != 401 || !strings.Contains(challenge, `error="use_dpop_nonce"`) {
		t.Errorf("userinfo without it: %d %s", status, challenge)
	}
	if status, _ := wiki.uses(t, "DPoP", access, mine.proof("GET", "/oidc/userinfo", "ath", ath(access), "nonce", nonce)); status != 200 {
		t.Errorf("userinfo with it: %d", status)
	}
	w.Later(5 * time.Minute)
	if status, _ := wiki.uses(t, "DPoP", access, mine.proof("GET", "/oidc/userinfo", "ath", ath(access), "nonce", nonce)); status != 401 {
		t.Errorf("with an old one: %d", status)
	}
}

// nonce is what a refusal demands to be in the next proof.
func (p *party) nonce(t testing.TB, code, proof string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", p.w.Base+"/oidc/token", strings.NewReader(p.tokenForm(code).Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("DPoP", proof)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var said reply
	if err := json.NewDecoder(resp.Body).Decode(&said); err != nil || resp.StatusCode != 400 || said["error"] != "use_dpop_nonce" || resp.Header.Get("DPoP-Nonce") == "" {
		t.Fatalf("%d %v %v", resp.StatusCode, said, err)
	}
	return resp.Header.Get("DPoP-Nonce")
}

// The refresh token of a client that has no secret is bound to its first key; that of one that
// proves itself otherwise moves to another, and to none never.
func TestRefreshTokensAreBound(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	public := newParty(w, "phone", map[string]any{"authentication": "none", "client_secret": nil, "refresh": "session"})
	wiki := newParty(w, "wiki", map[string]any{"refresh": "session"})
	p := signedIn(w, ada)
	for name, c := range map[string]struct {
		of    *party
		moves bool
	}{"a public client": {public, false}, "one with a secret": {wiki, true}} {
		mine, other := newHolder(t, w), newHolder(t, w)
		status, got := c.of.redeems(t, p, mine.proof("POST", "/oidc/token"))
		token, _ := got["refresh_token"].(string)
		if status != 200 || token == "" {
			t.Fatalf("%s: %d %v", name, status, got)
		}
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {c.of.config.ClientID}}
		if c.moves {
			form.Set("client_secret", clientSecret)
		}
		status, got = c.of.post(t, "/oidc/token", form)
		fails(t, name+", without a proof", status, got, "invalid_grant")
		status, got = c.of.post(t, "/oidc/token", form, "DPoP", other.proof("POST", "/oidc/token"))
		if (status == 200) != c.moves {
			t.Fatalf("%s, by another key: %d %v", name, status, got)
		}
		if c.moves {
			next, _ := got["access_token"].(string)
			if told := c.of.asks(t, next); told["cnf"].(map[string]any)["jkt"] != other.thumb() {
				t.Errorf("%s: the next token is told as %v", name, told)
			}
			continue
		}
		if status, got = c.of.post(t, "/oidc/token", form, "DPoP", mine.proof("POST", "/oidc/token")); status != 200 || got["token_type"] != "DPoP" {
			t.Errorf("%s, by its own key: %d %v", name, status, got)
		}
	}
}

// A code that is asked for with a key is for that key: whoever stole it and what belongs to it has
// nothing, and it is worth nothing afterwards.
func TestACodeIsBoundToAKey(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki := newParty(w, "wiki", nil)
	mine, thief := newHolder(t, w), newHolder(t, w)
	p := signedIn(w, ada)
	bound := func() string {
		p.Get(wiki.begin("dpop_jkt", mine.thumb()))
		return wiki.back()
	}
	code := bound()
	if status, got := wiki.post(t, "/oidc/token", wiki.tokenForm(code), "DPoP", mine.proof("POST", "/oidc/token")); status != 200 {
		t.Errorf("by its key: %d %v", status, got)
	}
	for name, header := range map[string][]string{"by another key": {"DPoP", thief.proof("POST", "/oidc/token")}, "without a proof": nil} {
		code := bound()
		status, got := wiki.post(t, "/oidc/token", wiki.tokenForm(code), header...)
		fails(t, name, status, got, "invalid_grant")
		status, got = wiki.post(t, "/oidc/token", wiki.tokenForm(code), "DPoP", mine.proof("POST", "/oidc/token"))
		fails(t, name+", afterwards", status, got, "invalid_grant")
	}
	p.Get(wiki.begin("dpop_jkt", "short"))
	wiki.refused("invalid_request")
}

// A request that is pushed with a proof has its code bound to that key.
func TestAPushedRequestIsBoundToAKey(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki := newParty(w, "wiki", nil)
	mine, thief := newHolder(t, w), newHolder(t, w)
	p := signedIn(w, ada)
	asked, err := url.Parse(wiki.begin())
	if err != nil {
		t.Fatal(err)
	}
	form := asked.Query()
	form.Set("client_secret", clientSecret)
	push := func(proof string, more ...string) (int, reply) {
		f := url.Values{}
		for name, value := range form {
			f[name] = value
		}
		for i := 0; i < len(more); i += 2 {
			f.Set(more[i], more[i+1])
		}
		return wiki.post(t, "/oidc/par", f, "DPoP", proof)
	}
	for by, good := range map[*holder]bool{mine: true, thief: false} {
		status, got := push(mine.proof("POST", "/oidc/par"))
		name, _ := got["request_uri"].(string)
		if status != 201 || name == "" {
			t.Fatalf("%d %v", status, got)
		}
		p.Get(w.Base + "/oidc/authorize?" + url.Values{"client_id": {"wiki"}, "request_uri": {name}}.Encode())
		if status, got := wiki.post(t, "/oidc/token", wiki.tokenForm(wiki.back()), "DPoP", by.proof("POST", "/oidc/token")); (status == 200) != good {
			t.Errorf("%v: %d %v", good, status, got)
		}
	}
	status, got := push(mine.proof("POST", "/oidc/par"), "dpop_jkt", thief.thumb())
	if status != 400 || got["error"] != "invalid_dpop_proof" {
		t.Errorf("another key than that of its proof: %d %v", status, got)
	}
	status, got = push(mine.proof("POST", "/oidc/token"))
	if status != 400 || got["error"] != "invalid_dpop_proof" {
		t.Errorf("a proof for another address: %d %v", status, got)
	}
}
