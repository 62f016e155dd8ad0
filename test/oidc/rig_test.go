package oidc

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"countersign/internal/application"
	"countersign/internal/audit"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/store"
)

// clientSecret is that of every client here.
const clientSecret = "a-client-secret-of-more-than-32-characters"

// register adds an application that asks by OpenID Connect.
func register(w *servertest.World, name string, settings map[string]any) {
	w.T.Helper()
	raw, err := json.Marshal(settings)
	if err != nil {
		w.T.Fatal(err)
	}
	if err := server.Protocols().CheckSettings("oidc", raw); err != nil {
		w.T.Fatal(err)
	}
	ctx := context.Background()
	err = w.DB.Change(ctx, audit.Actor{Name: "test"}, func(tx *store.Tx) error {
		a := application.Application{Name: name, Title: "The " + name, Kind: "wiki", Tier: application.Standard, Protocol: "oidc", Settings: raw}
		if _, err := w.Catalogue.Set(ctx, tx, a); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "application.set", Outcome: "ok", Application: name})
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

var (
	testActor    = audit.Actor{Name: "test"}
	removedEntry = audit.Entry{Event: "application.removed", Outcome: "ok", Detail: map[string]string{"application": "wiki"}}
)

// unregister removes an application.
func unregister(t testing.TB, w *servertest.World, name string) {
	t.Helper()
	err := w.DB.Change(t.Context(), testActor, func(tx *store.Tx) error {
		if err := w.Catalogue.Remove(t.Context(), tx, name); err != nil {
			return err
		}
		return tx.Record(removedEntry)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// party is an application of its own, with its client library, as its developers write it.
type party struct {
	w        *servertest.World
	server   *httptest.Server
	provider *gooidc.Provider
	config   oauth2.Config
	verifier string

	mu   sync.Mutex
	last came // what came back last, by address or by form
}

// newParty registers an application and starts it. More are settings besides the usual ones.
func newParty(w *servertest.World, name string, more map[string]any) *party {
	w.T.Helper()
	p := &party{w: w, verifier: oauth2.GenerateVerifier()}
	p.server = httptest.NewServer(http.HandlerFunc(p.callback))
	w.T.Cleanup(p.server.Close)
	settings := map[string]any{"client_id": name, "client_secret": clientSecret, "redirect_uris": []string{p.server.URL + "/callback"}}
	for key, value := range more {
		settings[key] = value
		if value == nil {
			delete(settings, key)
		}
	}
	register(w, name, settings)
	var err error
	if p.provider, err = gooidc.NewProvider(w.T.Context(), w.Base); err != nil {
		w.T.Fatal(err)
	}
	secret, _ := settings["client_secret"].(string)
	p.config = oauth2.Config{ClientID: name, ClientSecret: secret, Endpoint: p.provider.Endpoint(), RedirectURL: p.server.URL + "/callback", Scopes: []string{"openid", "profile", "email", "groups"}}
	return p
}

// callback is where the application gets its answer.
func (p *party) callback(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/favicon.ico" { // which browsers ask for, too
		http.NotFound(w, r)
		return
	}
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	p.last = came(r.Form)
	p.mu.Unlock()
	io.WriteString(w, "<title>Back</title><p>Welcome to the application</p>") //nolint:errcheck // the browser went away
}

// answered is what came back last.
func (p *party) answered() came {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// forget forgets what came back.
func (p *party) forget() {
	p.mu.Lock()
	p.last = nil
	p.mu.Unlock()
}

// begin is the address at which signing in begins; more are parameters besides.
func (p *party) begin(more ...string) string {
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(p.verifier), gooidc.Nonce("a-nonce")}
	for i := 0; i < len(more); i += 2 {
		options = append(options, oauth2.SetAuthURLParam(more[i], more[i+1]))
	}
	return p.config.AuthCodeURL("a-state", options...)
}

// back demands that an answer came, with the state and our name, and returns its code.
func (p *party) back() string {
	p.w.T.Helper()
	got := p.answered()
	if got.Get("state") != "a-state" || got.Get("iss") != p.w.Base || got.Get("code") == "" {
		p.w.T.Fatalf("the application got %v", got)
	}
	return got.Get("code")
}

// refused demands that the application got an error.
func (p *party) refused(code string) {
	p.w.T.Helper()
	got := p.answered()
	if got.Get("error") != code || got.Get("code") != "" || got.Get("state") != "a-state" || got.Get("iss") != p.w.Base {
		p.w.T.Errorf("the application got %v, and was to get the error %s", got, code)
	}
}

// statement is what an ID token says, beside what go-oidc has in fields.
type statement struct {
	Subject  string   `json:"sub"`
	Name     string   `json:"preferred_username"`
	Groups   []string `json:"groups"`
	ACR      string   `json:"acr"`
	AMR      []string `json:"amr"`
	AuthTime int64    `json:"auth_time"`
	Nonce    string   `json:"nonce"`
}

// exchange turns the code into tokens, and verifies the ID token as go-oidc does.
func (p *party) exchange(t testing.TB, code string) (*oauth2.Token, statement) {
	t.Helper()
	token, err := p.config.Exchange(t.Context(), code, oauth2.VerifierOption(p.verifier))
	if err != nil {
		t.Fatal(err)
	}
	return token, p.verified(t, token)
}

func (p *party) verified(t testing.TB, token *oauth2.Token) statement {
	t.Helper()
	raw, _ := token.Extra("id_token").(string)
	id, err := p.provider.Verifier(&gooidc.Config{ClientID: p.config.ClientID, Now: p.w.Now}).Verify(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := id.VerifyAccessToken(token.AccessToken); err != nil {
		t.Error(err)
	}
	var s statement
	if err := id.Claims(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

// post sends a form to the token endpoint or another, and returns status and answer.
func (p *party) post(t testing.TB, path string, form url.Values, header ...string) (int, reply) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", p.w.Base+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out reply
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		t.Fatalf("%s: status %d: %v", path, resp.StatusCode, err)
	}
	return resp.StatusCode, out
}

// userinfo asks who an access token is of.
func (p *party) userinfo(t testing.TB, access string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", p.w.Base+"/oidc/userinfo", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+access)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out map[string]any
	json.NewDecoder(resp.Body).Decode(&out) //nolint:errcheck // a refusal has no body
	return resp.StatusCode, out
}

// tokenForm is what a client sends for a code, in its body.
func (p *party) tokenForm(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {p.config.RedirectURL}, "code_verifier": {p.verifier}, "client_id": {p.config.ClientID}, "client_secret": {p.config.ClientSecret}}
}

// signIn signs somebody in with password and code where the page asks for it.
func signIn(p *servertest.Person, name string, code string) {
	p.W.T.Helper()
	p.Sees("Sign in")
	p.Post("/sign-in", "name", name, "authenticator", "password", "text", servertest.Passphrase)
	p.Post("/sign-in", "authenticator", "totp", "text", code)
	follow(p)
}

// follow goes on where a page of ours goes on by itself.
func follow(p *servertest.Person) {
	p.W.T.Helper()
	if to, ok := leaving(p.Page); ok {
		p.Get(to)
	}
}

func decode(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }
