package oidc

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"countersign/internal/admin/key"
	"countersign/internal/servertest"
)

// registrar is a program that registers clients, under a key.
type registrar struct {
	t   testing.TB
	w   *servertest.World
	key string
}

// newRegistrar issues a key that names these actions.
func newRegistrar(t testing.TB, w *servertest.World, clerk *servertest.Clerk, name string, actions ...string) *registrar {
	t.Helper()
	if err := clerk.Do(context.Background(), "account.create", map[string]any{"name": name, "kind": "service"}, nil); err != nil {
		t.Fatal(err)
	}
	var k key.Key
	if err := clerk.Do(context.Background(), "key.issue", map[string]any{"account": name, "actions": actions, "networks": []string{"127.0.0.0/8"}}, &k); err != nil {
		t.Fatal(err)
	}
	return &registrar{t, w, k.Key}
}

// sends sends metadata, or nothing, with a bearer token.
func (g *registrar) sends(method, path, bearer string, metadata map[string]any) (int, reply) {
	g.t.Helper()
	body := []byte{}
	if metadata != nil {
		body, _ = json.Marshal(metadata)
	}
	r, err := http.NewRequestWithContext(g.t.Context(), method, g.w.Base+path, bytes.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	if metadata != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	out := reply{}
	json.NewDecoder(resp.Body).Decode(&out) //nolint:errcheck // what is removed has no body
	return resp.StatusCode, out
}

func (g *registrar) registers(metadata map[string]any) reply {
	g.t.Helper()
	status, got := g.sends("POST", "/oidc/register", g.key, metadata)
	if status != http.StatusCreated {
		g.t.Fatalf("%d %v", status, got)
	}
	return got
}

func text(r reply, name string) string { s, _ := r[name].(string); return s }

var registering = []string{"application.set", "application.show", "application.remove"}

// The promise: who has a key that names it registers a client, which signs people in at once, reads and
// changes itself by its registration access token, and is gone when it says so. The log says which key did
// it, by the command that administrators have.
func TestAClientRegisters(t *testing.T) {
	w := servertest.NewWorld(t)
	ada, clerk := w.EnrollCodes("ada"), servertest.OfficeOf(w, "boss")[0]
	g := newRegistrar(t, w, clerk, "robot", registering...)
	set := w.Events("application.set")
	wiki := newParty(w, "plain", nil)
	got := g.registers(map[string]any{"client_name": "The wiki", "redirect_uris": []string{wiki.config.RedirectURL}, "grant_types": []string{"authorization_code", "refresh_token"}, "logo_uri": "http://127.0.0.1:1/logo", "contacts": []string{"x@example.org"}, "frob": 1})
	id, secret, token, at := text(got, "client_id"), text(got, "client_secret"), text(got, "registration_access_token"), text(got, "registration_client_uri")
	if len(secret) < 32 || got["client_secret_expires_at"] != 0.0 || got["client_id_issued_at"] == nil || token == "" || at != w.Base+"/oidc/register/"+id || got["logo_uri"] != nil ||
		got["token_endpoint_auth_method"] != "client_secret_basic" || got["id_token_signed_response_alg"] != "ES256" || w.Events("application.set") != set+2 {
		t.Fatalf("%v", got)
	}
	wiki.config.ClientID, wiki.config.ClientSecret = id, secret
	p := signedIn(w, ada)
	p.Get(wiki.begin())
	p.Sees("The application wants to know") // it is somebody else's
	p.Post("/oidc/answer", "answer", "allow", "resume", sealedIn.FindStringSubmatch(p.Page)[1])
	follow(p)
	if _, said := wiki.exchange(t, wiki.back()); said.Name != "ada" {
		t.Errorf("%+v", said)
	}
	path := "/oidc/register/" + id
	for name, bearer := range map[string]string{"its token": token, "its key": g.key} {
		status, got := g.sends("GET", path, bearer, nil)
		if status != 200 || got["client_name"] != "The wiki" || got["client_secret"] != nil || text(got, "registration_access_token") == "" {
			t.Errorf("%s reads %d %v", name, status, got)
		}
	}
	changed := map[string]any{"client_id": id, "client_name": "Another", "redirect_uris": []string{"https://wiki.example.test/new"}}
	status, got := g.sends("PUT", path, token, changed)
	if status != 200 || got["client_name"] != "Another" || got["client_secret"] != nil || len(got["grant_types"].([]any)) != 1 {
		t.Errorf("%d %v", status, got)
	}
	status, got = wiki.post(t, "/oidc/introspect", wiki.about("x")) // its secret stays
	if status != 200 || got["active"] != false {
		t.Errorf("its secret: %d %v", status, got)
	}
	if status, _ = g.sends("DELETE", path, token, nil); status != http.StatusNoContent {
		t.Errorf("it is removed: %d", status)
	}
	for _, method := range []string{"GET", "DELETE"} {
		if status, _ = g.sends(method, path, token, nil); status != http.StatusUnauthorized {
			t.Errorf("after that, %s: %d", method, status)
		}
	}
	if w.Events("application.removed") != 1 {
		t.Error("the log does not say that it was removed")
	}
}

// Nobody registers without a key that names it, and nobody touches what is not theirs.
func TestWhoMayRegister(t *testing.T) {
	w := servertest.NewWorld(t)
	clerk := servertest.OfficeOf(w, "boss")[0]
	g := newRegistrar(t, w, clerk, "robot", registering...)
	looks := newRegistrar(t, w, clerk, "looker", "application.show")
	newParty(w, "wiki", nil) // of the console
	good := map[string]any{"redirect_uris": []string{"https://wiki.example.test/callback"}}
	a, b := g.registers(good), g.registers(good)
	path := "/oidc/register/" + text(a, "client_id")
	good["client_id"] = text(a, "client_id")
	before := w.Events("application.set")
	for name, c := range map[string]struct {
		method, path, bearer string
		want                 int
	}{
		"no key":                        {"POST", "/oidc/register", "", 401},
		"a key that is none":            {"POST", "/oidc/register", "cskey_nonsense", 401},
		"a key for another action":      {"POST", "/oidc/register", looks.key, 403},
		"a registration access token":   {"POST", "/oidc/register", text(a, "registration_access_token"), 401},
		"another client's token":        {"GET", path, text(b, "registration_access_token"), 401},
		"another client's, to change":   {"PUT", path, text(b, "registration_access_token"), 401},
		"another client's, to remove":   {"DELETE", path, text(b, "registration_access_token"), 401},
		"nonsense":                      {"GET", path, "nonsense", 401},
		"a key that looks, to change":   {"PUT", path, looks.key, 403},
		"a key that looks, to remove":   {"DELETE", path, looks.key, 403},
		"an application of the console": {"GET", "/oidc/register/wiki", g.key, 401},
		"one of the console, to remove": {"DELETE", "/oidc/register/wiki", g.key, 401},
		"Countersign itself":            {"GET", "/oidc/register/countersign", g.key, 401},
		"one that nobody registered":    {"GET", "/oidc/register/dcr-nobody", g.key, 401},
	} {
		metadata := good
		if c.method == "GET" || c.method == "DELETE" {
			metadata = nil
		}
		if status, got := g.sends(c.method, c.path, c.bearer, metadata); status != c.want || got["error"] == nil {
			t.Errorf("%s: %d %v", name, status, got)
		}
	}
	if n := w.Events("application.set") + w.Events("application.removed"); n != before {
		t.Errorf("%d applications were changed", n-before)
	}
	servertest.Revokes(w, clerk, "robot", "apikey")
	if status, _ := g.sends("GET", path, text(a, "registration_access_token"), nil); status != 401 {
		t.Errorf("its key is revoked, and its registration access token is good: %d", status)
	}
}

// What cannot be done here is refused, and nothing that metadata names is fetched or leads anybody astray.
func TestBadMetadata(t *testing.T) {
	w := servertest.NewWorld(t)
	clerk := servertest.OfficeOf(w, "boss")[0]
	g := newRegistrar(t, w, clerk, "robot", registering...)
	inside := 0
	trap := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { inside++ })
	at := trapped(t, trap)
	const good = "https://wiki.example.test/callback"
	for name, c := range map[string]struct {
		metadata map[string]any
		want     string
	}{
		"no address":               {map[string]any{}, "invalid_redirect_uri"},
		"a script":                 {map[string]any{"redirect_uris": []string{"javascript:alert(1)"}}, "invalid_redirect_uri"},
		"a script of a native one": {map[string]any{"redirect_uris": []string{"javascript:alert(1)"}, "application_type": "native"}, "invalid_redirect_uri"},
		"data":                     {map[string]any{"redirect_uris": []string{"data:text/html,x"}, "application_type": "native"}, "invalid_redirect_uri"},
		"a browser's own":          {map[string]any{"redirect_uris": []string{"view-source:https://a.test/"}, "application_type": "native"}, "invalid_redirect_uri"},
		"without https":            {map[string]any{"redirect_uris": []string{"http://wiki.example.test/callback"}}, "invalid_redirect_uri"},
		"a fragment":               {map[string]any{"redirect_uris": []string{good + "#x"}}, "invalid_redirect_uri"},
		"a wildcard":               {map[string]any{"redirect_uris": []string{"https://*.example.test/callback"}}, "invalid_redirect_uri"},
		"a user":                   {map[string]any{"redirect_uris": []string{"https://wiki.example.test@evil.test/callback"}}, "invalid_redirect_uri"},
		"one good and one bad":     {map[string]any{"redirect_uris": []string{good, "javascript:alert(1)"}}, "invalid_redirect_uri"},
		"no list":                  {map[string]any{"redirect_uris": good}, "invalid_client_metadata"},
		"keys elsewhere":           {map[string]any{"redirect_uris": []string{good}, "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": at + "/keys"}, "invalid_client_metadata"},
		"a statement":              {map[string]any{"redirect_uris": []string{good}, "software_statement": "a.b.c"}, "unapproved_software_statement"},
		"sectors":                  {map[string]any{"redirect_uris": []string{good}, "sector_identifier_uri": at + "/sector"}, "invalid_client_metadata"},
		"requests elsewhere":       {map[string]any{"redirect_uris": []string{good}, "request_uris": []string{at + "/request"}}, "invalid_client_metadata"},
		"implicit":                 {map[string]any{"redirect_uris": []string{good}, "response_types": []string{"token"}}, "invalid_client_metadata"},
		"passwords":                {map[string]any{"redirect_uris": []string{good}, "grant_types": []string{"password"}}, "invalid_client_metadata"},
		"devices":                  {map[string]any{"redirect_uris": []string{good}, "grant_types": []string{deviceGrant}}, "invalid_client_metadata"},
		"a shared key":             {map[string]any{"redirect_uris": []string{good}, "token_endpoint_auth_method": "client_secret_jwt"}, "invalid_client_metadata"},
		"no algorithm":             {map[string]any{"redirect_uris": []string{good}, "id_token_signed_response_alg": "none"}, "invalid_client_metadata"},
		"a private key":            {map[string]any{"redirect_uris": []string{good}, "token_endpoint_auth_method": "private_key_jwt", "jwks": map[string]any{"keys": []any{map[string]any{"kty": "oct", "k": "AAAA"}}}}, "invalid_client_metadata"},
		"no key":                   {map[string]any{"redirect_uris": []string{good}, "token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"},
		"another's certificate":    {map[string]any{"redirect_uris": []string{good}, "token_endpoint_auth_method": "none", "tls_client_auth_subject_dn": "CN=wiki"}, "invalid_client_metadata"},
	} {
		status, got := g.sends("POST", "/oidc/register", g.key, c.metadata)
		if status != 400 || got["error"] != c.want {
			t.Errorf("%s: %d %v", name, status, got)
		}
	}
	one := g.registers(map[string]any{"redirect_uris": []string{good}, "logo_uri": at + "/logo", "policy_uri": at + "/policy", "client_uri": at, "tos_uri": at})
	path, token := "/oidc/register/"+text(one, "client_id"), text(one, "registration_access_token")
	for name, metadata := range map[string]map[string]any{
		"another name":   {"client_id": "wiki", "redirect_uris": []string{good}},
		"no name":        {"redirect_uris": []string{good}},
		"its own secret": {"client_id": text(one, "client_id"), "redirect_uris": []string{good}, "client_secret": strings.Repeat("x", 40)},
		"a script":       {"client_id": text(one, "client_id"), "redirect_uris": []string{"javascript:alert(1)"}},
	} {
		if status, got := g.sends("PUT", path, token, metadata); status != 400 {
			t.Errorf("%s: %d %v", name, status, got)
		}
	}
	if inside != 0 {
		t.Errorf("%d addresses were fetched", inside)
	}
}

// A client brings its keys, or its certificate, by value, and proves itself by them.
func TestAClientRegistersItsKey(t *testing.T) {
	w := servertest.NewWorld(t)
	clerk := servertest.OfficeOf(w, "boss")[0]
	g := newRegistrar(t, w, clerk, "robot", registering...)
	k := ecKey(t, "k1")
	got := g.registers(map[string]any{"redirect_uris": []string{"https://wiki.example.test/callback"}, "token_endpoint_auth_method": "private_key_jwt", "jwks": map[string]any{"keys": []any{json.RawMessage(k.public)}},
		"require_pushed_authorization_requests": true, "dpop_bound_access_tokens": true})
	if got["client_secret"] != nil || got["token_endpoint_auth_method"] != "private_key_jwt" || got["require_pushed_authorization_requests"] != true || got["dpop_bound_access_tokens"] != true {
		t.Errorf("%v", got)
	}
	// What an administrator set stays when the client changes itself.
	id := text(got, "client_id")
	app, err := w.Catalogue.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var settings map[string]any
	if err := json.Unmarshal(app.Settings, &settings); err != nil {
		t.Fatal(err)
	}
	settings["acr"], settings["access_minutes"] = "phr", 5
	raw, _ := json.Marshal(settings)
	if err := clerk.Do(t.Context(), "application.set", map[string]any{"name": id, "kind": "other", "protocol": "oidc", "base": app.Version, "settings": json.RawMessage(raw)}, nil); err != nil {
		t.Fatal(err)
	}
	status, got := g.sends("PUT", "/oidc/register/"+id, text(got, "registration_access_token"), map[string]any{"client_id": id, "redirect_uris": []string{"https://wiki.example.test/other"}})
	if status != 200 || len(text(got, "client_secret")) < 32 || got["dpop_bound_access_tokens"] != true {
		t.Fatalf("%d %v", status, got)
	}
	if app, err = w.Catalogue.Get(t.Context(), id); err != nil || !strings.Contains(string(app.Settings), `"acr":"phr"`) || strings.Contains(string(app.Settings), "public_keys") {
		t.Errorf("%v", err)
	}
}

// trapped is the address of a server that notices whoever comes.
func trapped(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}
