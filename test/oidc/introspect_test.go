package oidc

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"

	"countersign/internal/servertest"
)

// resourceServer registers an application that only asks about the tokens of others.
func resourceServer(w *servertest.World, name string, of ...string) *party {
	w.T.Helper()
	return newParty(w, name, map[string]any{"redirect_uris": nil, "introspects": of})
}

// about is what a client sends about a token.
func (p *party) about(token string) url.Values {
	f := url.Values{"token": {token}, "client_id": {p.config.ClientID}}
	if p.config.ClientSecret != "" {
		f.Set("client_secret", p.config.ClientSecret)
	}
	return f
}

// asks is what a client is told of a token.
func (p *party) asks(t testing.TB, token string) map[string]any {
	t.Helper()
	status, got := p.post(t, "/oidc/introspect", p.about(token))
	if status != 200 {
		t.Fatalf("introspection: %d %v", status, got)
	}
	return got
}

// untold demands that nothing but that it is not good is said of a token.
func untold(t testing.TB, what string, got map[string]any) {
	t.Helper()
	if len(got) != 1 || got["active"] != false {
		t.Errorf("%s: is told %v", what, got)
	}
}

// The promise: a client learns of its own tokens, a resource server of those of the clients in its
// settings, and nobody of any other.
func TestWhoIsToldOfAToken(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		w := servertest.NewWorldOn(t, dsn)
		ada := w.EnrollCodes("ada")
		wiki := newParty(w, "wiki", map[string]any{"refresh": "session"})
		api, other, files := resourceServer(w, "api", "wiki"), resourceServer(w, "other", "files"), newParty(w, "files", nil)
		p := signedIn(w, ada)
		access, refresh := wiki.tokens(t, p)
		for name, asker := range map[string]*party{"its client": wiki, "its resource server": api} {
			got := asker.asks(t, access)
			if got["active"] != true || got["client_id"] != "wiki" || got["username"] != "ada" || got["iss"] != w.Base || got["aud"] != asker.config.ClientID ||
				got["acr"] != "urn:countersign:aal2" || got["token_type"] != "Bearer" || got["scope"] != "openid profile email groups" || got["preferred_username"] != "ada" {
				t.Errorf("%s is told %v", name, got)
			}
			_, info := wiki.userinfo(t, access)
			if got["sub"] == "" || got["sub"] != info["sub"] {
				t.Errorf("%s is told of %v, and userinfo of %v", name, got["sub"], info["sub"])
			}
			if end := time.Unix(int64(got["exp"].(float64)), 0); end.Before(w.Now()) || end.After(w.Now().Add(10*time.Minute)) {
				t.Errorf("%s: it ends at %v", name, end)
			}
			if at := time.Unix(int64(got["auth_time"].(float64)), 0); at.After(w.Now()) || at.Before(w.Now().Add(-5*time.Minute)) {
				t.Errorf("%s: the sign-in was at %v", name, at)
			}
		}
		if got := wiki.asks(t, refresh); got["active"] != true || got["token_type"] != nil {
			t.Errorf("its client is told of its refresh token %v", got)
		}
		untold(t, "the resource server of a refresh token", api.asks(t, refresh))
		untold(t, "another resource server", other.asks(t, access))
		untold(t, "another client", files.asks(t, access))
		untold(t, "another client of a refresh token", files.asks(t, refresh))
		if status, _ := wiki.refresh(t, refresh); status != 200 {
			t.Error("somebody who asked about a refresh token ended it")
		}
		for _, wrong := range []string{"nonsense", access[:len(access)-3], access + "A", strings.Repeat("A", 4000), access + "\n"} {
			untold(t, "what is no token", api.asks(t, wrong))
		}
		w.Later(11 * time.Minute)
		untold(t, "one that is over", api.asks(t, access))
	})
}

// Nobody is told anything who does not prove who they are: a name alone is no proof.
func TestWhoMayAskAboutTokens(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki := newParty(w, "wiki", map[string]any{"authentication": "none", "client_secret": nil})
	api := resourceServer(w, "api", "wiki")
	access, _ := wiki.tokens(t, signedIn(w, ada))
	if api.asks(t, access)["active"] != true {
		t.Fatal("the resource server is not told")
	}
	for name, c := range map[string]struct {
		form url.Values
		want string
	}{
		"a public client, of its own": {wiki.about(access), "invalid_client"},
		"no secret":                   {url.Values{"token": {access}, "client_id": {"api"}}, "invalid_client"},
		"a wrong secret":              {url.Values{"token": {access}, "client_id": {"api"}, "client_secret": {clientSecret + "x"}}, "invalid_client"},
		"nobody":                      {url.Values{"token": {access}}, "invalid_client"},
		"two tokens":                  {url.Values{"token": {access, access}, "client_id": {"api"}, "client_secret": {clientSecret}}, "invalid_request"},
		"no token":                    {url.Values{"client_id": {"api"}, "client_secret": {clientSecret}}, "invalid_request"},
	} {
		status, got := api.post(t, "/oidc/introspect", c.form)
		if status < 400 || got["error"] != c.want || got["active"] != nil {
			t.Errorf("%s: %d %v", name, status, got)
		}
	}
	r, err := http.Get(w.Base + "/oidc/introspect?" + api.about(access).Encode())
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode < 400 {
		t.Errorf("by an address: %d", r.StatusCode)
	}
}

// What rests on somebody who is let in no more is not good at once, for whoever asks.
func TestATokenIsInactiveAtOnce(t *testing.T) {
	for name, do := range map[string]func(w *servertest.World, p *servertest.Person){
		"suspended": func(w *servertest.World, _ *servertest.Person) { w.Suspend("ada") }, "signed out": signsOut, "all sessions ended": endsAll, "its authenticator removed": removesApp,
	} {
		t.Run(name, func(t *testing.T) {
			w := servertest.NewWorld(t)
			ada := w.EnrollCodes("ada")
			wiki := newParty(w, "files", map[string]any{"refresh": "session"})
			api := resourceServer(w, "api", "files")
			p := signedIn(w, ada)
			access, refresh := wiki.tokens(t, p)
			if api.asks(t, access)["active"] != true || wiki.asks(t, refresh)["active"] != true {
				t.Fatal("it was never good")
			}
			do(w, p)
			untold(t, "the resource server", api.asks(t, access))
			untold(t, "its client", wiki.asks(t, access))
			untold(t, "its client of the refresh token", wiki.asks(t, refresh))
		})
	}
}

// The answer that is signed (RFC 9701) is for the asker, and can be taken for no other token.
func TestTheSignedAnswer(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki := newParty(w, "wiki", nil)
	api := resourceServer(w, "api", "wiki")
	access, _ := wiki.tokens(t, signedIn(w, ada))
	signed := api.signedAnswer(t, access)
	header, payload := parts(t, signed)
	if header["typ"] != "token-introspection+jwt" || header["alg"] != "ES256" || payload["iss"] != w.Base || payload["aud"] != "api" || payload["iat"] == nil {
		t.Errorf("%v %v", header, payload)
	}
	for _, claim := range []string{"sub", "exp", "active"} {
		if payload[claim] != nil {
			t.Errorf("%s stands outside of token_introspection", claim)
		}
	}
	inside, _ := payload["token_introspection"].(map[string]any)
	if inside["active"] != true || inside["username"] != "ada" {
		t.Errorf("it says %v", inside)
	}
	keys := gooidc.NewRemoteKeySet(t.Context(), w.Base+"/oidc/keys")
	if _, err := keys.VerifySignature(t.Context(), signed); err != nil {
		t.Error(err)
	}
	if _, err := api.provider.Verifier(&gooidc.Config{ClientID: "api", Now: w.Now}).Verify(t.Context(), signed); err == nil {
		t.Error("it is taken for an ID token")
	}
	_, payload = parts(t, api.signedAnswer(t, "nonsense"))
	if got := fmt.Sprint(payload["token_introspection"]); got != "map[active:false]" {
		t.Errorf("of nonsense it says %s", got)
	}
	if n := w.Person(); n != nil { // it is no hint either
		n.Get(wiki.begin("id_token_hint", signed))
		wiki.refused("invalid_request")
	}
}

func (p *party) signedAnswer(t testing.TB, token string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", p.w.Base+"/oidc/introspect", strings.NewReader(p.about(token).Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "text/plain;q=0.1, application/token-introspection+jwt")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/token-introspection+jwt" {
		t.Fatalf("%d %v %v", resp.StatusCode, resp.Header, err)
	}
	return string(b)
}

// parts are what a signed statement says, unverified.
func parts(t testing.TB, signed string) (header, payload map[string]any) {
	t.Helper()
	all := strings.Split(signed, ".")
	if len(all) != 3 {
		t.Fatalf("it is no signed statement: %d parts", len(all))
	}
	for i, into := range []*map[string]any{&header, &payload} {
		b, err := decode(all[i])
		if err != nil || json.Unmarshal(b, into) != nil {
			t.Fatal(err)
		}
	}
	return header, payload
}

// The promise: a client that gives a token back ends all that came of that sign-in, and nothing of
// any other.
func TestATokenIsGivenBack(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	how := map[string]any{"refresh": "session"}
	wiki, files := newParty(w, "wiki", how), newParty(w, "files", how)
	public := newParty(w, "phone", map[string]any{"authentication": "none", "client_secret": nil, "refresh": "session"})
	p := signedIn(w, ada)
	for name, c := range map[string]struct {
		of    *party
		which func(access, first, second string) string
	}{
		"by its access token":          {wiki, func(access, _, _ string) string { return access }},
		"by its refresh token":         {wiki, func(_, _, second string) string { return second }},
		"by one that was replaced":     {wiki, func(_, first, _ string) string { return first }},
		"of a public client":           {public, func(_, _, second string) string { return second }},
		"of a public client, replaced": {public, func(_, first, _ string) string { return first }},
	} {
		t.Run(name, func(t *testing.T) {
			access, first := c.of.tokens(t, p)
			other, _ := c.of.tokens(t, p)
			_, got := c.of.refresh(t, first)
			second, _ := got["refresh_token"].(string)
			alarms := w.Events("alarm.token-misused")
			token := c.which(access, first, second)
			if status := files.gives(t, token); status != 400 || !c.of.alive(t, access) {
				t.Errorf("another client gave it back: %d", status)
			}
			form := c.of.about(token)
			form.Set("client_secret", "wrong"+clientSecret)
			if status, _ := c.of.post(t, "/oidc/revoke", form); status != 401 || !c.of.alive(t, access) {
				t.Errorf("with a wrong secret: %d", status)
			}
			if status := c.of.gives(t, token, "token_type_hint", "nobody-knows"); status != 200 || c.of.alive(t, access) {
				t.Errorf("status %d, or its access token is good still", status)
			}
			if reason := ended(w, "client.ended"); reason != "revoked" {
				t.Errorf("it ended because of %q", reason)
			}
			if status := c.of.gives(t, token); status != 200 {
				t.Errorf("once more: %d", status)
			}
			if status, _ := c.of.refresh(t, second); status == 200 {
				t.Error("its refresh token is good still")
			}
			if !c.of.alive(t, other) || w.Events("alarm.token-misused") != alarms {
				t.Error("what came of another sign-in ended, or it was an alarm")
			}
		})
	}
	if status := wiki.gives(t, "nonsense"); status != 200 {
		t.Errorf("nonsense: %d", status)
	}
	if status, got := wiki.post(t, "/oidc/revoke", wiki.about("")); status != 400 || got["error"] != "invalid_request" {
		t.Errorf("nothing: %d %v", status, got)
	}
}

// gives is the status when a client gives a token back.
func (p *party) gives(t testing.TB, token string, more ...string) int {
	t.Helper()
	form := p.about(token)
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	resp, err := http.PostForm(p.w.Base+"/oidc/revoke", form)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// A resource server is told without the headers that protect pages, and as what it is; whatever else
// the address answers can reach a browser, and has them.
func TestTheHeadersOfIntrospection(t *testing.T) {
	w := servertest.NewWorld(t)
	wiki := newParty(w, "wiki", nil)
	access, _ := wiki.tokens(t, signedIn(w, w.EnrollCodes("ada")))
	for name, form := range map[string]url.Values{"told": wiki.about(access), "refused": {"token": {access}}} {
		r, err := http.PostForm(w.Base+"/oidc/introspect", form)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		told := r.StatusCode == http.StatusOK
		if told != (name == "told") || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("Cache-Control") != "no-store" ||
			(r.Header.Get("Content-Security-Policy") == "") != told {
			t.Errorf("%s: %s with %v", name, r.Status, r.Header)
		}
	}
}
