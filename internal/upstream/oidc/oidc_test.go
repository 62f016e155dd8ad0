package oidc

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"countersign/internal/upstream/said"
)

// document is what a provider says of itself; edit has the last word.
func document(t *testing.T, edit func(d map[string]any), token http.HandlerFunc) (*httptest.Server, Provider) {
	t.Helper()
	var s *httptest.Server
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			d := map[string]any{"issuer": s.URL, "authorization_endpoint": s.URL + "/authorize?tenant=1", "token_endpoint": s.URL + "/token", "jwks_uri": s.URL + "/keys"}
			if edit != nil {
				edit(d)
			}
			json.NewEncoder(w).Encode(d) //nolint:errcheck // the other side went away
		case "/token":
			token(w, r)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s, Provider{Version: t.Name(), Issuer: s.URL, Client: "us & them", Secret: "a secret: with + and %", Algorithms: Usual(), Inside: []string{"127.0.0.1"}}
}

// The promise: a provider is what its own document says, of exactly its own name; nothing is sent
// where that leads inside, or in the clear; and a redirect is not followed.
func TestDiscoveryIsTheIssuersOwn(t *testing.T) {
	for what, edit := range map[string]func(d map[string]any){
		"another issuer":                func(d map[string]any) { d["issuer"] = "https://idp.example" },
		"its name with a slash":         func(d map[string]any) { d["issuer"] = d["issuer"].(string) + "/" },
		"a token endpoint in the clear": func(d map[string]any) { d["token_endpoint"] = "http://idp.example/token" },
		"a page with a name in it":      func(d map[string]any) { d["authorization_endpoint"] = "https://idp.example@evil.example/" },
		"a page of a script":            func(d map[string]any) { d["authorization_endpoint"] = "javascript:alert(1)" },
		"no keys":                       func(d map[string]any) { delete(d, "jwks_uri") },
	} {
		_, p := document(t, edit, nil)
		var no *Unavailable
		if _, err := New(time.Now).Begin(t.Context(), p, Visit{}); !errors.As(err, &no) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, p := document(t, nil, nil)
	p.Inside = nil
	if _, err := New(time.Now).Begin(t.Context(), p, Visit{}); err == nil || !strings.Contains(err.Error(), "inside") {
		t.Errorf("an address inside was asked: %v", err)
	}
	moved := httptest.NewServer(http.RedirectHandler("http://127.0.0.1/elsewhere", http.StatusFound))
	t.Cleanup(moved.Close)
	if _, err := New(time.Now).Begin(t.Context(), Provider{Issuer: moved.URL, Inside: []string{"127.0.0.1"}}, Visit{}); err == nil {
		t.Error("a redirect was followed")
	}
	_, p = document(t, nil, nil)
	to, err := New(time.Now).Begin(t.Context(), p, Visit{State: "s", Verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", Classes: []string{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(to)
	if q := u.Query(); err != nil || q.Get("tenant") != "1" || q.Get("code_challenge") != "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" || q.Get("acr_values") != "a b" { // RFC 7636, appendix B
		t.Errorf("%v %v", u, err)
	}
}

// The secret goes by HTTP Basic, or in the form where a provider takes nothing else; no error
// has it, nor what came back.
func TestTheSecretGoesToTheTokenEndpointAlone(t *testing.T) {
	for _, way := range []string{"client_secret_basic", "client_secret_post"} {
		asked := false
		_, p := document(t, func(d map[string]any) { d["token_endpoint_auth_methods_supported"] = []string{way} }, func(w http.ResponseWriter, r *http.Request) {
			asked = true
			name, secret, basic := r.BasicAuth()
			name, _ = url.QueryUnescape(name)
			secret, _ = url.QueryUnescape(secret)
			if !basic {
				name, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
			}
			if basic != (way == "client_secret_basic") || name != "us & them" || secret != "a secret: with + and %" || r.PostFormValue("code_verifier") != "v" {
				t.Errorf("%s: %q, %t", way, name, basic)
			}
			w.WriteHeader(http.StatusBadRequest)
			w.Write([]byte(`{"error":"invalid_grant","error_description":"a secret: with + and %"}`)) //nolint:errcheck // it is looked at
		})
		_, err := New(time.Now).Finish(t.Context(), p, Visit{Verifier: "v", Nonce: "n"}, url.Values{"code": {"c"}})
		var no *said.Refusal
		if !asked || !errors.As(err, &no) || no.Reason != "code-refused" || strings.Contains(err.Error()+no.Detail, "a secret") {
			t.Errorf("%s: %v", way, err)
		}
	}
}

// FuzzClaims has no token panic, and none be taken that has not our nonce.
func FuzzClaims(f *testing.F) {
	f.Add([]byte(`{"iss":"i","sub":"s","aud":["us"],"nonce":"n","exp":2e9,"iat":1e9,"auth_time":1e9}`))
	f.Fuzz(func(t *testing.T, plain []byte) {
		var c claims
		if json.Unmarshal(plain, &c) != nil {
			return
		}
		if c.check(Provider{Issuer: "i", Client: "us"}, Visit{Nonce: "n", MaxAge: time.Minute}, time.Unix(1e9, 0)) == nil && c.Nonce != "n" {
			t.Error("another sign-in's token was taken")
		}
		c.mail()
	})
}
