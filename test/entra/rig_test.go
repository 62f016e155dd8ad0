package entra

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/audit"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/store"
)

const (
	tenantID = "9122040d-6c67-4c5b-b112-36a304b66dad"
	otherID  = "14c2f153-90a7-4689-9db7-9543bf084dad"
	appID    = "600b719b-3766-4dc5-95a6-3c4a8dc31885"
	adaID    = "951ddb04-b16d-45f3-bbf7-b0fa18fa7aee"
	bobID    = "0b0b0b0b-b16d-45f3-bbf7-b0fa18fa7aee"
	back     = "https://login.microsoftonline.com/common/federation/externalauthprovider"
	// kid is the name of the tenant's key.
	kid = "7_Zuf1tvkwLxYaHS3q6lUjUYIGw"
)

// standIn is Microsoft Entra ID as its documentation has it: it publishes its metadata and keys,
// makes hints, and judges answers. It shares no code with what it tests.
type standIn struct {
	t   testing.TB
	w   *servertest.World
	key *rsa.PrivateKey
	// published is what its keys document says; nil is its key.
	published func() any
	fetched   atomic.Int64
	down      atomic.Bool
}

// RoundTrip answers for login.microsoftonline.com.
func (e *standIn) RoundTrip(r *http.Request) (*http.Response, error) {
	e.fetched.Add(1)
	if e.down.Load() {
		return nil, errors.New("no route to host")
	}
	issuer := "https://login.microsoftonline.com/" + tenantID + "/v2.0"
	documents := map[string]func() any{
		issuer + "/.well-known/openid-configuration": func() any {
			return map[string]any{"issuer": issuer, "jwks_uri": "https://login.microsoftonline.com/" + tenantID + "/discovery/v2.0/keys"}
		},
		"https://login.microsoftonline.com/" + tenantID + "/discovery/v2.0/keys": e.published,
	}
	of, there := documents[r.URL.String()]
	if !there {
		return &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody, Request: r}, nil
	}
	b, err := json.Marshal(of())
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(b)), Request: r}, err
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwk is a public key as Entra publishes it.
func jwk(name string, key *rsa.PublicKey) map[string]any {
	return map[string]any{"kty": "RSA", "use": "sig", "kid": name, "x5t": kid, "n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes()),
		"issuer": "https://login.microsoftonline.com/" + tenantID + "/v2.0"}
}

// newTenant is a world with a stand-in, and the application m365 of its tenant. More are settings
// besides the usual ones.
func newTenant(t testing.TB, more map[string]any) (*servertest.World, *standIn) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e := &standIn{t: t, key: key}
	e.published = func() any { return map[string]any{"keys": []any{jwk(kid, &key.PublicKey)}} }
	e.w = servertest.NewWorldFrom(t, server.Settings{Abroad: e}, "http://localhost", nil)
	register(e.w, "m365", more)
	return e.w, e
}

// register adds an application that asks by this protocol.
func register(w *servertest.World, name string, more map[string]any) {
	w.T.Helper()
	settings := map[string]any{"tenant_id": tenantID, "application_id": appID, "client_id": "entra"}
	maps.Copy(settings, more)
	raw, err := json.Marshal(settings)
	if err != nil {
		w.T.Fatal(err)
	}
	if err := server.Protocols().CheckSettings("entra", raw); err != nil {
		w.T.Fatal(err)
	}
	ctx := context.Background()
	err = w.DB.Change(ctx, audit.Actor{Name: "test"}, func(tx *store.Tx) error {
		a := application.Application{Name: name, Title: "Microsoft 365", Kind: "cloud-console", Tier: application.Standard, Protocol: "entra", Settings: raw}
		if _, err := w.Catalogue.Set(ctx, tx, a); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "application.set", Outcome: "ok", Application: name})
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// link links an account as an administrator does.
func link(w *servertest.World, name, object string) {
	w.T.Helper()
	desk := servertest.OfficeOf(w, "root")[0]
	if err := desk.Do(w.T.Context(), "account.link", map[string]any{"name": name, "application": "m365", "identifier": object, "reason": "met in person"}, nil); err != nil {
		w.T.Fatal(err)
	}
}

// hint is what a hint says, as Microsoft's example has it, of somebody: made now, and expired a
// second before that.
func (e *standIn) hint(object string, more ...any) map[string]any {
	now := e.w.Now().Unix()
	out := map[string]any{"ver": "2.0", "iss": "https://login.microsoftonline.com/" + tenantID + "/v2.0", "sub": "mBfcvuhSHkDWVgV72x2ruIYdSsPSvcj2R0qfc6mGEAA-" + object, "aud": appID,
		"exp": now - 1, "iat": now, "nbf": now, "name": "Test User 2", "preferred_username": "testuser2@contoso.com", "oid": object, "tid": tenantID, "uti": rand.Text()}
	for i := 0; i+1 < len(more); i += 2 {
		name := more[i].(string)
		if out[name] = more[i+1]; more[i+1] == nil {
			delete(out, name)
		}
	}
	return out
}

// sign signs by RS256 as Entra does, with a header that may say more.
func sign(t testing.TB, key *rsa.PrivateKey, says map[string]any, header ...any) string {
	t.Helper()
	h := map[string]any{"typ": "JWT", "alg": "RS256", "kid": kid}
	for i := 0; i+1 < len(header); i += 2 {
		h[header[i].(string)] = header[i+1]
	}
	head, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(says)
	if err != nil {
		t.Fatal(err)
	}
	text := encode(head) + "." + encode(body)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + encode(signature)
}

const usualClaims = `{"id_token":{"acr":{"essential":true,"values":["possessionorinherence"]},"amr":{"essential":true,"values":["face","fido","fpt","hwk","iris","otp","pop","retina","sc","sms","swk","tel","vbm"]}}}`

// form is the request with a hint, as Microsoft's table has it; more replace or take away.
func (e *standIn) form(hint string, more ...string) url.Values {
	out := url.Values{"scope": {"openid"}, "response_type": {"id_token"}, "response_mode": {"form_post"}, "client_id": {"entra"}, "redirect_uri": {back},
		"nonce": {"AwABAAEAAAACAOz_BQD0"}, "state": {"AQABIQEAAAA-context-of-entra"}, "id_token_hint": {hint}, "claims": {usualClaims}, "client-request-id": {"72826bb4-abb7-4221-b253-100f530b4b0a"}}
	for i := 0; i+1 < len(more); i += 2 {
		out[more[i]] = []string{more[i+1]}
		if more[i+1] == "" {
			out.Del(more[i])
		}
	}
	return out
}

// comes has a browser come from Entra with a form.
func comes(p *servertest.Person, form url.Values) {
	p.W.T.Helper()
	p.Take(p.Client.PostForm(p.W.Base+"/entra/m365/authorize", form))
}

// asks has a browser come with a hint for somebody.
func (e *standIn) asks(p *servertest.Person, object string, more ...string) {
	e.t.Helper()
	comes(p, e.form(sign(e.t, e.key, e.hint(object)), more...))
}

var (
	formTo = regexp.MustCompile(`<form[^>]* action="(https://[^"]*)"`)
	hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
)

// got is what a page posts to Entra; not ok where it posts nothing to it.
func got(p *servertest.Person) (answer url.Values, ok bool) {
	m := formTo.FindStringSubmatch(p.Page)
	if m == nil {
		return nil, false
	}
	if to := html.UnescapeString(m[1]); to != back {
		p.W.T.Fatalf("the answer goes to %q", to)
	}
	answer = url.Values{}
	for _, f := range hidden.FindAllStringSubmatch(p.Page, -1) {
		answer.Add(html.UnescapeString(f[1]), html.UnescapeString(f[2]))
	}
	return answer, true
}

// said is what an accepted answer says.
type said struct {
	ACR string   `json:"acr"`
	AMR []string `json:"amr"`
}

// accepts judges an answer as Entra documents that it does, for somebody and what was asked.
func (e *standIn) accepts(answer url.Values, object string) (said, error) {
	var s said
	text := answer.Get("id_token")
	if len(answer["id_token"]) != 1 || len(answer["state"]) != 1 || answer.Get("state") != "AQABIQEAAAA-context-of-entra" || answer.Has("error") {
		return s, fmt.Errorf("the answer is %v", answer)
	}
	about := e.discovers()
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return s, fmt.Errorf("the token is %q", text)
	}
	var header struct{ Alg, Kid, Typ string }
	read(e.t, parts[0], &header)
	key, there := about.keys[header.Kid]
	if !there || header.Alg != "RS256" {
		return s, fmt.Errorf("the header is %+v", header)
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return s, err
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature); err != nil {
		return s, err
	}
	var c struct {
		Iss, Sub, Aud, Nonce string
		Exp, Iat             int64
		said
	}
	read(e.t, parts[1], &c)
	now := e.w.Now().Unix()
	switch {
	case c.Iss != about.issuer || c.Aud != "entra" || c.Sub != e.hint(object)["sub"] || c.Nonce != "AwABAAEAAAACAOz_BQD0":
		return s, fmt.Errorf("the claims are %+v", c)
	case c.Exp <= now || c.Iat > now+1 || c.Exp-c.Iat > 3600:
		return s, fmt.Errorf("the times are %d and %d at %d", c.Iat, c.Exp, now)
	case c.ACR != "possessionorinherence" || len(c.AMR) != 1 || !slices.Contains([]string{"face", "fido", "fpt", "hwk", "iris", "otp", "pop", "retina", "sc", "sms", "swk", "tel", "vbm"}, c.AMR[0]):
		return s, fmt.Errorf("acr %q, amr %v", c.ACR, c.AMR)
	}
	return c.said, nil
}

func read(t testing.TB, part string, into any) {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(part)
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// discovery is what Entra knows of the provider.
type discovery struct {
	issuer, authorize string
	keys              map[string]*rsa.PublicKey
}

// discovers reads the provider's documents as Entra does, from the whole address that an
// administrator typed, and demands what Microsoft's table does.
func (e *standIn) discovers() discovery {
	e.t.Helper()
	address := e.w.Base + "/entra/m365/.well-known/openid-configuration"
	var about struct {
		Issuer    string   `json:"issuer"`
		Authorize string   `json:"authorization_endpoint"`
		Keys      string   `json:"jwks_uri"`
		Scopes    []string `json:"scopes_supported"`
		Responses []string `json:"response_types_supported"`
		Modes     []string `json:"response_modes_supported"`
		Subjects  []string `json:"subject_types_supported"`
		Signs     []string `json:"id_token_signing_alg_values_supported"`
		Claims    []string `json:"claim_types_supported"`
	}
	e.fetches(address, &about)
	if about.Issuer+"/.well-known/openid-configuration" != address || about.Authorize != about.Issuer+"/authorize" || !slices.Contains(about.Scopes, "openid") || !slices.Contains(about.Responses, "id_token") ||
		!slices.Contains(about.Modes, "form_post") || len(about.Subjects) == 0 || !slices.Contains(about.Signs, "RS256") || !slices.Contains(about.Claims, "normal") {
		e.t.Fatalf("the metadata is %+v", about)
	}
	var set struct {
		Keys []struct {
			Kty, Use, Kid, N, E string
			X5c                 []string
		}
	}
	e.fetches(about.Keys, &set)
	out := discovery{about.Issuer, about.Authorize, map[string]*rsa.PublicKey{}}
	for _, k := range set.Keys {
		if k.Kty != "RSA" || k.Use != "sig" || k.Kid == "" || len(k.X5c) != 1 {
			e.t.Fatalf("the key is %+v", k)
		}
		der, err := base64.StdEncoding.DecodeString(k.X5c[0])
		if err != nil {
			e.t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			e.t.Fatal(err)
		}
		public, ok := c.PublicKey.(*rsa.PublicKey)
		if !ok || encode(public.N.Bytes()) != k.N || c.NotBefore.After(e.w.Now()) || c.NotAfter.Before(e.w.Now().Add(24*time.Hour)) {
			e.t.Fatalf("the certificate is not that of the key %s", k.Kid)
		}
		out.keys[k.Kid] = public
	}
	if len(out.keys) == 0 {
		e.t.Fatal("no key is published")
	}
	return out
}

// fetches reads a document, which must say how long it is.
func (e *standIn) fetches(address string, into any) {
	e.t.Helper()
	r, err := http.Get(address)
	if err != nil {
		e.t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK || r.Header.Get("Content-Length") == "" {
		e.t.Fatalf("%s: %d, length %q", address, r.StatusCode, r.Header.Get("Content-Length"))
	}
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		e.t.Fatal(err)
	}
}

// signIn signs somebody in with password and code on the page that a browser is on.
func signIn(p *servertest.Person, name, code string) {
	p.W.T.Helper()
	p.Sees("Sign in")
	p.Post("/sign-in", "name", name, "authenticator", "password", "text", servertest.Passphrase)
	p.Post("/sign-in", "authenticator", "totp", "text", code)
	follow(p)
}

var onward = regexp.MustCompile(`href="(http[^"]*/entra/m365/continue\?request=[^"]*)"`)

// follow goes on where a page of ours goes on by itself.
func follow(p *servertest.Person) {
	p.W.T.Helper()
	if m := onward.FindStringSubmatch(p.Page); m != nil {
		p.Get(html.UnescapeString(m[1]))
	}
}

// refused demands that Entra got an error and nothing else, with its state, and that the log says
// why.
func refused(p *servertest.Person, code, reason string) {
	p.W.T.Helper()
	answer, ok := got(p)
	if !ok || answer.Get("error") != code || answer.Get("state") != "AQABIQEAAAA-context-of-entra" || answer.Has("id_token") {
		p.W.T.Errorf("%s: Entra got %v, and was to get the error %s\n%s", reason, answer, code, p.Page)
	}
	logged(p.W, reason)
}

// logged demands that the newest refusal has a reason.
func logged(w *servertest.World, reason string) {
	w.T.Helper()
	if en := servertest.LatestOf(w, "factor.refused"); en.Reason != reason || en.Application != "m365" || en.Protocol != "entra" {
		w.T.Errorf("the log says %+v, and was to say %s", en, reason)
	}
}
