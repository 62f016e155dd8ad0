package signals

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"

	commands "countersign/internal/admin/signal"
)

// The URIs, as CAEP and RISC have them.
const (
	caep = "https://schemas.openid.net/secevent/caep/event-type/"
	risc = "https://schemas.openid.net/secevent/risc/event-type/"
	ssf  = "https://schemas.openid.net/secevent/ssf/event-type/"
)

// partner is another system that sends signals, by its own code and not by ours: it can say
// anything.
type partner struct {
	t      testing.TB
	at     *site // whom it tells
	web    *httptest.Server
	key    *ecdsa.PrivateKey
	source commands.Source
	// names makes the names of tokens.
	mu    sync.Mutex
	names int
	// polled answers a poll; nil is nothing there.
	polled func(ask map[string]any) map[string]any
	asked  []map[string]any
	keys   int // how often the keys were fetched
}

func partnerOf(at *site, more map[string]any) *partner {
	at.T.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		at.T.Fatal(err)
	}
	p := &partner{t: at.T, at: at, key: key}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/ssf-configuration", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer": %q, "jwks_uri": %q}`, p.web.URL, p.web.URL+"/keys")
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		p.keys++
		defer p.mu.Unlock()
		json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &p.key.PublicKey, KeyID: "p1", Algorithm: "ES256", Use: "sig"}}})
	})
	mux.HandleFunc("POST /poll", p.poll)
	p.web = httptest.NewServer(mux)
	at.T.Cleanup(p.web.Close)
	settings := map[string]any{"issuer": p.web.URL, "audience": at.Base, "delivery": "push", "domains": []string{"partner.test"},
		"events": []string{"session-revoked", "credential-change", "credential-compromise", "assurance-level-change", "risk-level-change", "account-disabled"}}
	for k, v := range more {
		if v == nil {
			delete(settings, k)
			continue
		}
		settings[k] = v
	}
	if settings["delivery"] == "poll" {
		settings["endpoint"], settings["authorization"] = p.web.URL+"/poll", "Bearer let-me-in"
	}
	at.does("source.create", map[string]any{"name": "partner", "settings": settings}, &p.source)
	return p
}

func (p *partner) poll(w http.ResponseWriter, r *http.Request) {
	var ask map[string]any
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || r.Header.Get("Authorization") != "Bearer let-me-in" || r.Header.Get("Content-Type") != "application/json" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	p.asked = append(p.asked, ask)
	answers := p.polled
	p.mu.Unlock()
	said := map[string]any{"sets": map[string]string{}}
	if answers != nil {
		said = answers(ask)
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(said)
}

// acct is somebody, as the partner calls them.
func acct(name string) map[string]any {
	return map[string]any{"format": "account", "uri": "acct:" + name + "@partner.test"}
}

// says is a token about somebody, with changes; a nil value takes a claim away.
func (p *partner) says(event string, about, claims map[string]any, changes ...map[string]any) string {
	p.t.Helper()
	p.mu.Lock()
	p.names++
	name := fmt.Sprint("set-", p.names)
	p.mu.Unlock()
	if claims == nil {
		claims = map[string]any{}
	}
	all := map[string]any{"iss": p.web.URL, "aud": p.at.Base, "jti": name, "iat": p.at.Now().Unix(), "txn": "t", "sub_id": about, "events": map[string]any{event: claims}}
	for _, c := range changes {
		for k, v := range c {
			if all[k] = v; v == nil {
				delete(all, k)
			}
		}
	}
	return p.signs(p.key, "ES256", "secevent+jwt", all)
}

func (p *partner) signs(key any, algorithm, typ string, payload any) string {
	p.t.Helper()
	by, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(algorithm), Key: jose.JSONWebKey{Key: key, KeyID: "p1"}}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		p.t.Fatal(err)
	}
	b, err := json.Marshal(payload)
	if err != nil {
		p.t.Fatal(err)
	}
	signed, err := by.Sign(b)
	if err != nil {
		p.t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		p.t.Fatal(err)
	}
	return text
}

// push sends a token as RFC 8935 has it.
func (p *partner) push(token string) (int, string) {
	p.t.Helper()
	return p.at.sendAs("POST", "/signals/receive/partner", p.source.Secret, "application/secevent+jwt", token)
}

// taken pushes what must be taken.
func (p *partner) taken(token string) {
	p.t.Helper()
	if status, text := p.push(token); status != http.StatusAccepted || text != "" {
		p.t.Errorf("answered %d %s", status, text)
	}
}

// refused pushes what must be refused with a code of RFC 8935.
func (p *partner) refused(name, code, token string) {
	p.t.Helper()
	status, text := p.push(token)
	var says struct{ Err, Description string }
	if err := json.Unmarshal([]byte(text), &says); status != http.StatusBadRequest || err != nil || says.Err != code || says.Description == "" {
		p.t.Errorf("%s is answered %d %s, and not 400 %s", name, status, text, code)
	}
}

// heeded is how many signals were obeyed.
func (s *site) heeded() int { return len(s.told("signal.heeded")) }
