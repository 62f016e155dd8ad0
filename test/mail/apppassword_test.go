package mail

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/servertest"
)

var secretOnPage = regexp.MustCompile(`<code class="secret">([^<]+)</code>`)

// makes makes an app password in a browser that has a session, and returns it.
func makes(p *servertest.Person, device, what string) string {
	p.W.T.Helper()
	p.Get("/account/app-passwords")
	p.Sees("App passwords")
	p.Does("/account/app-passwords", "label", device, "for", what)
	m := secretOnPage.FindStringSubmatch(p.Page)
	if m == nil {
		p.W.T.Fatal("no app password is on the page")
	}
	return html.UnescapeString(m[1])
}

// The promise: who has a device that cannot sign in on a page makes it a password with two fresh
// factors, which is shown once, opens the one service that it was made for, and nothing else of
// the mail server or of ours.
func TestAnAppPasswordOpensOneDoor(t *testing.T) {
	p := setUp(t, nil)
	ada := p.EnrollCodes("ada")
	browser := signedIn(p.World, ada)
	p.Later(10 * time.Minute) // what was shown is not fresh any more
	secret := makes(browser, "The old telephone", "mail/imap")
	if n := len(strings.ReplaceAll(secret, "-", "")); n < 34 {
		t.Errorf("it has %d letters", n)
	}
	browser.Get("/account/app-passwords")
	browser.Sees("The old telephone")
	if strings.Contains(browser.Page, secret) {
		t.Error("it is shown a second time")
	}
	for _, door := range p.doors {
		for _, way := range door.Passwords() {
			want := door.Protocol == "imap" && !door.Open && way != "AUTH-LOGIN"
			if in, said := p.types(door, way, "ada", secret); in != want {
				t.Errorf("%s by %s: %v, %s", door.Name, way, in, said)
			}
		}
	}
	if in, _ := p.types(p.doors[2], "PLAIN", "bob", secret); in {
		t.Error("it opens another mailbox")
	}
	if p.Events("credential.new-place") != 1 || !strings.Contains(p.last("credential.enrolled").Detail["serves"], "mail/imap") {
		t.Error("the log lacks its making or its first use")
	}
	nowhereOfOurs(t, p, secret)
}

// nowhereOfOurs tries an app password at every door of Countersign itself.
func nowhereOfOurs(t *testing.T, p *post, secret string) {
	t.Helper()
	thief := p.World.Person()
	thief.Get("/sign-in")
	for _, as := range []string{"password", "totp", "apppassword", "accesspass", "recoverycode"} {
		thief.Post("/sign-in", "name", "ada", "authenticator", as, "text", secret)
		if thief.Inside() {
			t.Fatalf("it opens the portal as %s", as)
		}
		thief.Get("/sign-in")
	}
	for name, ask := range map[string]func(r *http.Request){
		"the API": func(r *http.Request) {
			r.URL.Path = "/api/v1/account.list"
			r.Header.Set("Authorization", "Bearer "+secret)
		},
		"SCIM":     func(r *http.Request) { r.URL.Path = "/scim/v2/Users"; r.Header.Set("Authorization", "Bearer "+secret) },
		"userinfo": func(r *http.Request) { r.URL.Path = "/oidc/userinfo"; r.Header.Set("Authorization", "Bearer "+secret) },
	} {
		r, err := http.NewRequest("GET", p.Base, nil)
		if err != nil {
			t.Fatal(err)
		}
		ask(r)
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got.Body.Close()
		if got.StatusCode < 400 {
			t.Errorf("%s: %d", name, got.StatusCode)
		}
	}
	for _, form := range []url.Values{
		{"grant_type": {"password"}, "username": {"ada"}, "password": {secret}}, {"grant_type": {"refresh_token"}, "refresh_token": {secret}}, {"grant_type": {"authorization_code"}, "code": {secret}},
	} {
		if status, _ := p.program.post("/oidc/token", form); status < 400 {
			t.Errorf("%s: %d", form.Get("grant_type"), status)
		}
	}
	if status, got := p.program.post("/oidc/app-password", url.Values{"username": {"ada"}, "password": {secret}, "service": {"imap"}}); status != 200 || got["active"] != false {
		t.Errorf("another client asks: %d %v", status, got)
	}
}

// The promise: an app password ends when its owner ends it, is suspended, or says that something
// was not them, and when an administrator removes it; whoever has it open is out within five
// seconds, and nothing brings it back.
func TestAnAppPasswordEnds(t *testing.T) {
	for what, do := range map[string]func(p *post, browser *servertest.Person){
		"ended by its owner": func(p *post, browser *servertest.Person) {
			browser.Get("/account/app-passwords")
			m := regexp.MustCompile(`name="object" value="(\d+)"`).FindStringSubmatch(browser.Page)
			browser.Does("/account/do", "action", "authenticator.remove", "object", m[1])
		},
		"suspended and resumed": func(p *post, _ *servertest.Person) {
			root := servertest.OfficeOf(p.World, "root")[0]
			for _, action := range []string{"account.suspend", "account.resume"} {
				if err := root.Do(t.Context(), action, map[string]any{"name": "ada", "reason": "a test"}, nil); err != nil {
					t.Fatal(err)
				}
			}
		},
		"not theirs": func(p *post, browser *servertest.Person) {
			browser.Get("/account/history")
			m := servertest.Disowns.FindStringSubmatch(browser.Page)
			browser.Does("/account/do", "action", "report.not-me", "object", m[1])
		},
		"removed by an administrator": func(p *post, _ *servertest.Person) {
			root := servertest.OfficeOf(p.World, "root")[0]
			number := int64(0)
			for _, c := range servertest.AuthenticatorsOf(p.World, "ada") {
				if c.Kind == "apppassword" {
					number = int64(c.ID)
				}
			}
			if err := root.Do(t.Context(), "authenticator.revoke", map[string]any{"account": "ada", "id": number, "reason": "a test"}, nil); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			p := closing(t)
			ada := p.EnrollCodes("ada")
			browser := signedIn(p.World, ada)
			secret := makes(browser, "telephone", "mail/imap")
			p.Later(time.Minute)
			c := p.idles("", secret)
			do(p, browser)
			ends(t, what, c)
			if in, said := p.types(p.doors[2], "PLAIN", "ada", secret); in {
				t.Errorf("it opens again: %s", said)
			}
		})
	}
}
