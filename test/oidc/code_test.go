package oidc

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/servertest"
	"countersign/internal/session"
	"countersign/internal/store"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
)

// signedIn is a browser in which ada is signed in at Countersign.
func signedIn(w *servertest.World, ada *servertest.Person) *servertest.Person {
	w.T.Helper()
	return signedInAs(w, ada, "ada")
}

// code is a fresh code for an application, by a browser that has a session.
func (p *party) code(browser *servertest.Person) string {
	p.w.T.Helper()
	browser.Get(p.begin())
	return p.back()
}

// fails demands that the token endpoint refuses with an error, and gives nothing.
func fails(t testing.TB, what string, status int, got reply, want string) {
	t.Helper()
	if status < 400 || got["error"] != want || got["access_token"] != nil || got["id_token"] != nil || got["refresh_token"] != nil {
		t.Errorf("%s: status %d, %v", what, status, got)
	}
}

// alive reports whether an access token is good.
func (p *party) alive(t testing.TB, access string) bool {
	t.Helper()
	status, _ := p.userinfo(t, access)
	return status == 200
}

// ended is the reason of the last entry of an event.
func ended(w *servertest.World, event string) string {
	w.T.Helper()
	all, err := w.DB.AuditLog().Entries(context.Background(), store.Filter{Event: event, Limit: 1})
	if err != nil || len(all) == 0 {
		w.T.Fatalf("no entry of %s: %v", event, err)
	}
	return all[0].Reason
}

// told is how many mails about an application's access wait for an address.
func told(w *servertest.World, mail string) (n int) {
	w.T.Helper()
	err := w.DB.QueryRow(context.Background(), `select count(*) from notice where address = $1 and subject like '%application%'`, mail).Scan(&n)
	if err != nil {
		w.T.Fatal(err)
	}
	return n
}

// The promise: a code is good once, and who uses it a second time ends what the first got; its
// owner is told.
func TestACodeIsUsedOnce(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	w.Address("ada", "ada@example.org")
	wiki := newParty(w, "wiki", nil)
	p := signedIn(w, ada)
	code := wiki.code(p)
	status, first := wiki.post(t, "/oidc/token", wiki.tokenForm(code))
	access, _ := first["access_token"].(string)
	if status != 200 || !wiki.alive(t, access) {
		t.Fatalf("%d %v", status, first)
	}
	status, got := wiki.post(t, "/oidc/token", wiki.tokenForm(code))
	fails(t, "a second use", status, got, "invalid_grant")
	if wiki.alive(t, access) {
		t.Error("what the first use got is good still")
	}
	if reason := ended(w, "alarm.token-misused"); reason != "reused" {
		t.Errorf("the alarm says %q", reason)
	}
	if n := told(w, "ada@example.org"); n != 1 {
		t.Errorf("the owner was told %d times", n)
	}
}

// Of many who use one code at the same moment one at most gets tokens.
func TestACodeUsedAtOnce(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		w := servertest.NewWorldOn(t, dsn)
		ada := w.EnrollCodes("ada")
		wiki := newParty(w, "wiki", nil)
		p := signedIn(w, ada)
		for range 3 {
			code := wiki.code(p)
			var mu sync.Mutex
			var wait sync.WaitGroup
			granted := 0
			for range 8 {
				wait.Go(func() {
					if status, _ := wiki.post(t, "/oidc/token", wiki.tokenForm(code)); status == 200 {
						mu.Lock()
						granted++
						mu.Unlock()
					}
				})
			}
			wait.Wait()
			if granted > 1 {
				t.Errorf("%d got tokens for one code", granted)
			}
		}
	})
}

// A code is for the client, the address and the verifier that it was asked for with, whole and
// for a minute: whoever has it without those gets nothing, and by then it is worth nothing.
func TestACodeIsBound(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki, evil := newParty(w, "wiki", nil), newParty(w, "evil", nil)
	public := newParty(w, "phone", map[string]any{"authentication": "none", "client_secret": nil})
	p := signedIn(w, ada)
	for name, c := range map[string]struct {
		of     *party
		change func(f url.Values)
		want   string
		spent  bool // it is worth nothing afterwards
	}{
		"another client":                    {wiki, func(f url.Values) { f.Set("client_id", "evil") }, "invalid_grant", true},
		"a client that has no secret":       {wiki, func(f url.Values) { f.Set("client_id", "phone"); f.Del("client_secret") }, "invalid_grant", true},
		"no redirect URI":                   {wiki, func(f url.Values) { f.Del("redirect_uri") }, "invalid_grant", true},
		"another redirect URI":              {wiki, func(f url.Values) { f.Set("redirect_uri", evil.config.RedirectURL) }, "invalid_grant", true},
		"no verifier":                       {wiki, func(f url.Values) { f.Del("code_verifier") }, "invalid_grant", true},
		"another verifier":                  {wiki, func(f url.Values) { f.Set("code_verifier", strings.Repeat("v", 43)) }, "invalid_grant", true},
		"the challenge for a verifier":      {wiki, func(f url.Values) { f.Set("code_verifier", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM") }, "invalid_grant", true},
		"a short verifier":                  {wiki, func(f url.Values) { f.Set("code_verifier", "short") }, "invalid_grant", true},
		"no verifier by a public client":    {public, func(f url.Values) { f.Del("code_verifier"); f.Del("client_secret") }, "invalid_grant", true},
		"a secret by a public client":       {public, func(f url.Values) { f.Set("client_secret", clientSecret) }, "invalid_client", false},
		"a wrong secret":                    {wiki, func(f url.Values) { f.Set("client_secret", clientSecret+"x") }, "invalid_client", false},
		"no secret":                         {wiki, func(f url.Values) { f.Del("client_secret") }, "invalid_client", false},
		"an unknown client":                 {wiki, func(f url.Values) { f.Set("client_id", "nobody") }, "invalid_client", false},
		"a code that is cut":                {wiki, func(f url.Values) { f.Set("code", f.Get("code")[:len(f.Get("code"))-4]) }, "invalid_grant", false},
		"one that is longer":                {wiki, func(f url.Values) { f.Set("code", f.Get("code")+"AAAA") }, "invalid_grant", false},
		"one with another letter":           {wiki, func(f url.Values) { c := []byte(f.Get("code")); c[20] ^= 1; f.Set("code", string(c)) }, "invalid_grant", false},
		"one with a line break":             {wiki, func(f url.Values) { c := f.Get("code"); f.Set("code", c[:10]+"\n"+c[10:]) }, "invalid_grant", false},
		"no code":                           {wiki, func(f url.Values) { f.Del("code") }, "invalid_grant", false},
		"a huge one":                        {wiki, func(f url.Values) { f.Set("code", strings.Repeat("A", 4000)) }, "invalid_grant", false},
		"a value of a megabyte":             {wiki, func(f url.Values) { f.Set("code", strings.Repeat("A", 1<<20)) }, "invalid_request", false},
		"two codes":                         {wiki, func(f url.Values) { f.Add("code", "another") }, "invalid_request", false},
		"two clients":                       {wiki, func(f url.Values) { f.Add("client_id", "evil") }, "invalid_request", false},
		"no grant type":                     {wiki, func(f url.Values) { f.Del("grant_type") }, "invalid_request", false},
		"a password":                        {wiki, func(f url.Values) { f.Set("grant_type", "password") }, "unsupported_grant_type", false},
		"the client's own":                  {wiki, func(f url.Values) { f.Set("grant_type", "client_credentials") }, "unsupported_grant_type", false},
		"as a refresh token":                {wiki, func(f url.Values) { f.Set("grant_type", "refresh_token"); f.Set("refresh_token", f.Get("code")) }, "unauthorized_client", false},
		"an assertion of a kind":            {wiki, func(f url.Values) { f.Set("client_assertion_type", "x"); f.Set("client_assertion", "y") }, "invalid_request", false},
		"the right one, by a public client": {public, func(f url.Values) { f.Del("client_secret") }, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			code := c.of.code(p)
			form := c.of.tokenForm(code)
			c.change(form)
			status, got := c.of.post(t, "/oidc/token", form)
			if c.want == "" {
				if status != 200 {
					t.Fatalf("%d %v", status, got)
				}
				return
			}
			fails(t, name, status, got, c.want)
			right := c.of.tokenForm(code)
			if c.of == public {
				right.Del("client_secret")
			}
			status, got = c.of.post(t, "/oidc/token", right)
			if good := status == 200; good == c.spent {
				t.Errorf("afterwards its own client gets %d %v", status, got)
			}
		})
	}
	code := wiki.code(p)
	w.Later(61 * time.Second)
	status, got := wiki.post(t, "/oidc/token", wiki.tokenForm(code))
	fails(t, "a late code", status, got, "invalid_grant")
}

// What the engine would refuse by now gets no tokens: between code and token as well.
func TestACodeIsDecidedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(w *servertest.World, p *servertest.Person)
		want string
	}{
		"suspended":  {func(w *servertest.World, _ *servertest.Person) { w.Suspend("ada") }, "suspended"},
		"signed out": {func(_ *servertest.World, p *servertest.Person) { p.Get("/account"); p.Post("/sign-out") }, "no-session"},
		"removed":    {removesApp, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := servertest.NewWorld(t)
			ada := w.EnrollCodes("ada")
			wiki := newParty(w, "files", nil)
			p := signedIn(w, ada)
			status, first := wiki.post(t, "/oidc/token", wiki.tokenForm(wiki.code(p)))
			access, _ := first["access_token"].(string)
			code := wiki.code(p)
			if status != 200 || !wiki.alive(t, access) {
				t.Fatal(status)
			}
			c.do(w, p)
			status, got := wiki.post(t, "/oidc/token", wiki.tokenForm(code))
			fails(t, name, status, got, "invalid_grant")
			if c.want != "" && ended(w, "client.ended") != c.want { // otherwise the code is late as well
				t.Errorf("it ended because of %q", ended(w, "client.ended"))
			}
			if wiki.alive(t, access) {
				t.Error("the access token of before is good still")
			}
		})
	}
}

// An application that is changed or removed by an administrator gets nothing for what it was given
// before.
func TestAClientThatIsGone(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki := newParty(w, "wiki", nil)
	p := signedIn(w, ada)
	_, first := wiki.post(t, "/oidc/token", wiki.tokenForm(wiki.code(p)))
	access, _ := first["access_token"].(string)
	code := wiki.code(p)
	unregister(t, w, "wiki")
	status, got := wiki.post(t, "/oidc/token", wiki.tokenForm(code))
	fails(t, "a client that is gone", status, got, "invalid_client")
	if wiki.alive(t, access) {
		t.Error("its access token is good still")
	}
}

// A token of ours opens no page: neither as a cookie nor otherwise.
func TestATokenIsNoSession(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki := newParty(w, "wiki", map[string]any{"refresh": "session"})
	_, got := wiki.post(t, "/oidc/token", wiki.tokenForm(wiki.code(signedIn(w, ada))))
	for _, kind := range []string{"access_token", "refresh_token", "id_token"} {
		secret, _ := got[kind].(string)
		for _, reference := range []string{secret, "(client) " + secret, session.At("http://x", secret)} {
			if step := w.Check(reference, "", ""); step.State.String() == "granted" {
				t.Errorf("a %s is a session", kind)
			}
		}
	}
}

// The promise: a client that may leave PKCE out signs people in without it, and nobody takes it from
// one that has it.
func TestAClientWithoutPKCE(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	old := newParty(w, "old", map[string]any{"pkce": "optional"})
	p := signedIn(w, ada)
	p.Get(old.config.AuthCodeURL("a-state", gooidc.Nonce("a-nonce")))
	form := old.tokenForm(old.back())
	form.Del("code_verifier")
	if status, got := old.post(t, "/oidc/token", form); status != 200 || got["id_token"] == nil {
		t.Fatalf("without PKCE: %d %v", status, got)
	}
	p.Get(old.config.AuthCodeURL("a-state", gooidc.Nonce("a-nonce")))
	if status, _ := old.post(t, "/oidc/token", old.tokenForm(old.back())); status != 400 {
		t.Errorf("a verifier for a code without a challenge: %d", status)
	}
	p.Get(old.begin())
	form = old.tokenForm(old.back())
	form.Del("code_verifier")
	if status, _ := old.post(t, "/oidc/token", form); status != 400 {
		t.Errorf("no verifier for a code with a challenge: %d", status)
	}
	wiki := newParty(w, "wiki", nil)
	p.Get(wiki.config.AuthCodeURL("a-state", gooidc.Nonce("a-nonce")))
	wiki.refused("invalid_request")
}
