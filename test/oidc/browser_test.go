package oidc

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// In a real browser: from the application to the sign-in pages and back, by a form that goes on by
// itself past the strict policy of our pages; then a step up by a passkey, and consent.
func TestInABrowser(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki := newParty(w, "wiki", nil)
	shop := newParty(w, "shop", map[string]any{"consent": "ask"})
	b := testbed.Chromium(t)
	b.Passkey()
	b.Visit(wiki.begin("response_mode", "form_post", "login_hint", "ada"))
	b.WaitText("h1", "Sign in")
	if got := testbed.Eval[string](b, `document.querySelector('#name').value`); got != "ada" {
		t.Errorf("the name is %q", got)
	}
	b.Fill("#text", servertest.Passphrase)
	b.Click("form:has(#name) button")
	b.Wait("#text-totp")
	b.Fill("#text-totp", ada.Code())
	b.Click("form:has(#text-totp) button")
	b.WaitText("p", "Welcome to the application")
	if _, said := wiki.exchange(t, wiki.back()); said.Name != "ada" {
		t.Errorf("%+v", said)
	}
	w.Later(time.Minute)
	b.Visit(shop.begin("response_mode", "form_post"))
	b.WaitText("main", "The application wants to know:")
	servertest.Pictures(b, "consent")
	servertest.Fits(t, b, "consent")
	b.Click("button[value=allow]")
	b.WaitText("p", "Welcome to the application")
	shop.exchange(t, shop.back())
	// By an address as well: the policy of the page lets the redirect through.
	shop.forget()
	b.Visit(shop.begin("prompt", "consent"))
	b.WaitText("main", "The application wants to know:")
	b.Click("button[value=allow]")
	b.WaitText("p", "Welcome to the application")
	shop.back()
	b.Visit(wiki.begin("prompt", "select_account"))
	b.WaitText("main", "Use another account")
	servertest.Pictures(b, "account")
	servertest.Fits(t, b, "account")
	wiki.forget()
	b.Click("button[value=continue]")
	b.WaitText("p", "Welcome to the application")
	wiki.back()
	b.Visit(strings.Replace(wiki.begin(), "client_id=wiki", "client_id=nobody", 1))
	b.WaitText("main", "The application that sent you is not known here.")
	servertest.Pictures(b, "unknown")
	servertest.Fits(t, b, "unknown")
}

// A request that comes by a form of another site, which brings no cookie, is the same.
func TestARequestByAForm(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki := newParty(w, "wiki", nil)
	p := signedIn(w, ada)
	u, err := url.Parse(wiki.begin())
	if err != nil {
		t.Fatal(err)
	}
	p.Take(p.Client.PostForm(w.Base+"/oidc/authorize", u.Query()))
	wiki.exchange(t, wiki.back())
	long := u.Query()
	long.Set("state", "a-state")
	long.Set("login_hint", strings.Repeat("x", 3000)) // kept here, since it does not fit in an address
	p.Take(p.Client.PostForm(w.Base+"/oidc/authorize", long))
	wiki.exchange(t, wiki.back())
	for name, form := range map[string]url.Values{"twice": {"client_id": {"wiki", "wiki"}}, "one that comes back": {"resume": {"x"}}, "nothing": {}} {
		wiki.forget()
		p.Take(p.Client.PostForm(w.Base+"/oidc/authorize", form))
		if p.Status != 400 || wiki.answered() != nil {
			t.Errorf("%s: %d", name, p.Status)
		}
	}
}

// Nothing is sent to an address before client and address are known, whatever else is wrong.
func TestNothingIsSentElsewhere(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki, evil := newParty(w, "wiki", nil), newParty(w, "evil", nil)
	p := signedIn(w, ada)
	for name, change := range map[string]func(url.Values){
		"an unknown client": func(v url.Values) { v.Set("client_id", "nobody") },
		"no client":         func(v url.Values) { v.Del("client_id") },
		"two clients":       func(v url.Values) { v.Add("client_id", "evil") },
		"no address":        func(v url.Values) { v.Del("redirect_uri") },
		"two addresses":     func(v url.Values) { v.Add("redirect_uri", evil.config.RedirectURL) },
		"another client's":  func(v url.Values) { v.Set("redirect_uri", evil.config.RedirectURL) },
		"a longer one":      func(v url.Values) { v.Set("redirect_uri", v.Get("redirect_uri")+"/x") },
		"a backslash":       func(v url.Values) { v.Set("redirect_uri", `http://127.0.0.1\@evil.example/callback`) },
		"a user": func(v url.Values) {
			v.Set("redirect_uri", strings.Replace(v.Get("redirect_uri"), "http://", "http://evil@", 1))
		},
		"an error besides":      func(v url.Values) { v.Set("redirect_uri", "https://evil.example/"); v.Set("prompt", "none login") },
		"a script":              func(v url.Values) { v.Set("redirect_uri", "javascript:alert(1)") },
		"a huge request":        func(v url.Values) { v.Set("state", strings.Repeat("s", 20000)) },
		"a request from inside": func(v url.Values) { v.Set("request_uri", "http://127.0.0.1:1/") },
	} {
		wiki.forget()
		u, _ := url.Parse(wiki.begin())
		v := u.Query()
		change(v)
		u.RawQuery = v.Encode()
		p.Get(u.String())
		if p.Status != 400 || wiki.answered() != nil || evil.answered() != nil {
			t.Errorf("%s: %d, and the applications got %v and %v", name, p.Status, wiki.answered(), evil.answered())
		}
	}
}
