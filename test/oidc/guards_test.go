package oidc

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"countersign/internal/servertest"
)

// unfollowed is what a browser is answered, without going where it leads.
func unfollowed(p *servertest.Person, do func(*http.Client) (*http.Response, error)) *http.Response {
	p.W.T.Helper()
	client := *p.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	r, err := do(&client)
	if err != nil {
		p.W.T.Fatal("the request failed") // its error has the address
	}
	p.Take(r, nil)
	return r
}

var hiddenField = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)

var firstForm = regexp.MustCompile(`(?s)<form[^>]* action="([^"]*)"[^>]*>(.*?)</form>`)

// formOf are the hidden fields of a page's first form, and where it goes.
func formOf(p *servertest.Person) (to string, fields came) {
	m := firstForm.FindStringSubmatch(p.Page)
	if m == nil {
		return "", nil
	}
	to, fields = m[1], came{}
	for _, m := range hiddenField.FindAllStringSubmatch(m[2], -1) {
		fields[m[1]] = append(fields[m[1]], m[2])
	}
	return to, fields
}

// A client that wants its answer by a form gets it by none but that: no address holds a code or an
// error, whether somebody is let in or not.
func TestAnAnswerByAForm(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki := newParty(w, "wiki", nil)
	p := signedIn(w, ada)
	asks := func(more ...string) (string, came) {
		t.Helper()
		r := unfollowed(p, func(c *http.Client) (*http.Response, error) {
			return c.Get(wiki.begin(append(more, "response_mode", "form_post")...))
		})
		if r.StatusCode >= 300 && r.StatusCode < 400 || r.Header.Get("Location") != "" || !strings.Contains(r.Header.Get("Cache-Control"), "no-store") {
			t.Errorf("%v: status %d, to an address: %v, kept by %q", more, r.StatusCode, r.Header.Get("Location") != "", r.Header.Get("Cache-Control"))
		}
		if strings.Contains(p.Page, wiki.config.RedirectURL+"?") {
			t.Errorf("%v: the page has an address with an answer", more)
		}
		return formOf(p)
	}
	to, fields := asks()
	if to != wiki.config.RedirectURL || fields.Get("code") == "" || fields.Get("state") != "a-state" || fields.Get("iss") != w.Base {
		t.Errorf("the form goes to %s with %v", to, fields)
	}
	wiki.exchange(t, fields.Get("code"))
	if to, fields = asks("prompt", "none", "acr_values", "phr"); to != wiki.config.RedirectURL || fields.Get("error") != "unmet_authentication_requirements" {
		t.Errorf("an error goes to %s with %v", to, fields)
	}
	w.Suspend("ada")
	if to, fields = asks(); p.Status != http.StatusForbidden || to != wiki.config.RedirectURL || fields.Get("error") != "access_denied" || fields.Get("iss") != w.Base || fields.Get("code") != "" || len(fields) != 4 {
		t.Errorf("of somebody who is suspended the form goes to %s with %v", to, fields)
	}
}

// What changes something comes by a form of its own and never by an address, which anybody can send
// to anybody: neither consent nor signing out, nor what clients ask themselves.
func TestNothingIsDoneByAnAddress(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	shop := newParty(w, "shop", map[string]any{"consent": "ask"})
	p := signedIn(w, ada)
	p.Get(shop.begin())
	consent := hiddenResume.FindStringSubmatch(p.Page)
	p.Get(shop.leaving())
	leaving := hiddenResume.FindStringSubmatch(p.Page)
	if consent == nil || leaving == nil {
		t.Fatal("nobody was asked")
	}
	for path, v := range map[string]url.Values{
		"/oidc/answer":        {"resume": {consent[1]}, "answer": {"allow"}},
		"/oidc/logout/answer": {"resume": {leaving[1]}, "answer": {"leave"}},
		"/oidc/token":         {}, "/oidc/par": {}, "/oidc/introspect": {}, "/oidc/revoke": {},
	} {
		for _, method := range []string{"GET", "HEAD", "PUT"} {
			shop.forget()
			r := unfollowed(p, func(c *http.Client) (*http.Response, error) {
				q, err := http.NewRequestWithContext(t.Context(), method, w.Base+path+"?"+v.Encode(), nil)
				if err != nil {
					return nil, err
				}
				return c.Do(q)
			})
			if r.StatusCode != http.StatusMethodNotAllowed && r.StatusCode != http.StatusNotFound || shop.answered() != nil {
				t.Errorf("%s %s: status %d, and the application got %v", method, path, r.StatusCode, shop.answered())
			}
		}
	}
	if !isSignedIn(p) {
		t.Error("an address signed ada out")
	}
	p.Get(shop.begin("prompt", "none"))
	shop.refused("consent_required")
}

// What was begun here comes back by an address of ours, and not by a form of another site.
func TestAFormBringsNothingThatWasBegun(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki := withGoodbye(w, "wiki")
	p := signedIn(w, ada)
	begun, err := url.Parse(wiki.begin())
	if err != nil {
		t.Fatal(err)
	}
	for path, v := range map[string]url.Values{"/oidc/authorize": begun.Query(), "/oidc/logout": {"client_id": {"wiki"}, "post_logout_redirect_uri": {wiki.goodbye()}}} {
		r := unfollowed(p, func(c *http.Client) (*http.Response, error) { return c.PostForm(w.Base+path, v) })
		to, err := r.Location()
		if err != nil || to.Path != path || to.Query().Get("resume") == "" {
			t.Fatalf("%s: status %d, and it is not asked again", path, r.StatusCode)
		}
		wiki.forget()
		if r = unfollowed(p, func(c *http.Client) (*http.Response, error) { return c.PostForm(w.Base+path, to.Query()) }); r.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: by a form it is %d", path, r.StatusCode)
		}
		if r = unfollowed(p, func(c *http.Client) (*http.Response, error) { return c.Get(to.String()) }); r.StatusCode >= 400 {
			t.Errorf("%s: by its address it is %d", path, r.StatusCode)
		}
	}
}

// Who is suspended gets nothing at once, whatever they hold: no token is told of, no code is
// answered, no new one is issued, and where nothing may be asked the application is told.
func TestWhoIsSuspendedGetsNothing(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki := newParty(w, "files", map[string]any{"refresh": "session"})
	p := signedIn(w, ada)
	access, _ := wiki.tokens(t, p)
	code := wiki.code(p)
	w.Suspend("ada")
	if status, got := wiki.userinfo(t, access); status != http.StatusUnauthorized || len(got) > 0 {
		t.Errorf("userinfo: %d", status)
	}
	status, got := wiki.post(t, "/oidc/token", wiki.tokenForm(code))
	fails(t, "a code", status, got, "invalid_grant")
	wiki.forget()
	p.Get(wiki.begin("prompt", "none"))
	wiki.refused("access_denied")
	wiki.forget()
	p.Get(wiki.begin())
	if got := wiki.answered(); p.Status != http.StatusForbidden || got != nil {
		t.Errorf("status %d, and the application got %v", p.Status, got)
	}
}

// Two session cookies are none: whoever put the second one there is let in as nobody.
func TestTwoSessionsAreNone(t *testing.T) {
	w := servertest.NewWorld(t)
	ada, bob := w.EnrollCodes("ada"), w.EnrollCodes("bob")
	wiki := newParty(w, "wiki", nil)
	p := signedIn(w, ada)
	at, err := url.Parse(w.Base)
	if err != nil {
		t.Fatal(err)
	}
	q := w.Person()
	q.Get("/sign-in")
	q.Post("/sign-in", "name", "bob", "authenticator", "password", "text", servertest.Passphrase)
	q.Post("/sign-in", "authenticator", "totp", "text", bob.Code())
	hers, his := p.Client.Jar.Cookies(at), q.Client.Jar.Cookies(at)
	r, err := http.NewRequestWithContext(t.Context(), "GET", wiki.begin("prompt", "none"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range append(his, hers...) {
		r.AddCookie(c)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal("the request failed")
	}
	resp.Body.Close()
	wiki.refused("login_required")
}

// The hint and the claims mean one person, or nobody.
func TestTwoPeopleAreMeant(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki := withGoodbye(w, "wiki")
	newParty(w, "other", nil)
	p := signedIn(w, ada)
	id := wiki.signs(t, p)
	b, err := json.Marshal(map[string]any{"id_token": map[string]any{"sub": map[string]any{"value": "somebody-else"}}})
	if err != nil {
		t.Fatal(err)
	}
	wiki.forget()
	p.Get(wiki.begin("id_token_hint", id, "claims", string(b)))
	wiki.refused("invalid_request")
	// To sign out: the hint is of the client that is named.
	wiki.forget()
	p.Get(wiki.leaving("id_token_hint", id, "client_id", "other", "post_logout_redirect_uri", wiki.goodbye()))
	if p.Status != http.StatusBadRequest || wiki.answered() != nil || !isSignedIn(p) {
		t.Errorf("a hint of another client: %d", p.Status)
	}
}

// Who has just proved themselves for a request is not asked as whom they go on, and what one person
// pressed is nothing in the session of another.
func TestWhoseChoiceItIs(t *testing.T) {
	w := servertest.NewWorld(t)
	ada, bob := w.EnrollCodes("ada"), w.EnrollCodes("bob")
	wiki := newParty(w, "wiki", nil)
	p, q := signedIn(w, ada), w.Person()
	q.Get(wiki.begin("prompt", "select_account"))
	signIn(q, "bob", bob.Code())
	wiki.back()
	p.Get(wiki.begin("prompt", "select_account"))
	p.Sees("Go on as <bdi>ada</bdi>")
	wiki.forget()
	q.Page = p.Page
	press(q, "continue")
	q.Sees("Go on as <bdi>bob</bdi>")
	if got := wiki.answered(); got != nil {
		t.Errorf("what ada's page says lets bob on: %v", got)
	}
}
