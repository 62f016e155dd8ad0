package oidc

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/servertest"
)

// goodbye is where the party wants browsers to be after they signed out.
func (p *party) goodbye() string { return p.server.URL + "/goodbye" }

// withGoodbye registers a party with such an address.
func withGoodbye(w *servertest.World, name string) *party {
	w.T.Helper()
	var p *party
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { p.callback(rw, r) }))
	w.T.Cleanup(server.Close)
	p = newParty(w, name, map[string]any{"redirect_uris": []string{server.URL + "/callback"}, "post_logout_redirect_uris": []string{server.URL + "/goodbye"}})
	p.server = server
	p.config.RedirectURL = server.URL + "/callback"
	return p
}

// signs is the ID token of a sign-in.
func (p *party) signs(t testing.TB, browser *servertest.Person) string {
	t.Helper()
	status, got := p.post(t, "/oidc/token", p.tokenForm(p.code(browser)))
	id, _ := got["id_token"].(string)
	if status != 200 || id == "" {
		t.Fatalf("%d %v", status, got)
	}
	return id
}

func (p *party) leaving(more ...string) string {
	v := url.Values{}
	for i := 0; i < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return p.w.Base + "/oidc/logout?" + v.Encode()
}

// isSignedIn reports whether a browser has a session.
func isSignedIn(p *servertest.Person) bool {
	p.Get(p.W.Base + "/account")
	return strings.Contains(p.Page, "Where you are signed in")
}

// The promise: an application with the ID token of this sign-in signs somebody out here, and has
// them back at an address of its own, with its state. What came of the session ends with it.
func TestAnApplicationSignsOut(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki := withGoodbye(w, "wiki")
	for name, more := range map[string][]string{
		"with all":             {"post_logout_redirect_uri", wiki.goodbye(), "state", "a b&c", "client_id", "wiki"},
		"with the least":       {},
		"to an address of its": {"post_logout_redirect_uri", wiki.goodbye()},
	} {
		p := signedIn(w, ada)
		access, _ := wiki.tokens(t, p)
		id := wiki.signs(t, p)
		w.Later(time.Hour / 2) // an ID token is a hint however old it is
		p.Get(wiki.leaving(append(more, "id_token_hint", id)...))
		switch got := wiki.answered(); {
		case len(more) == 0:
			p.Sees("You are signed out")
		case !strings.Contains(p.Page, "Welcome to the application") || len(more) > 2 && got.Get("state") != "a b&c":
			t.Errorf("%s: %v", name, got)
		}
		if isSignedIn(p) {
			t.Errorf("%s: the session stands", name)
		}
		if wiki.alive(t, access) {
			t.Errorf("%s: the access token is good still", name)
		}
		p.Get(wiki.leaving(append(more, "id_token_hint", id)...)) // once more is no error
		if len(more) == 0 {
			p.Sees("You are signed out")
		}
		w.Later(31 * time.Second)
	}
	if reason := ended(w, "session.ended"); reason != "signed-out" {
		t.Errorf("it ended because of %q", reason)
	}
}

var sealedForm = regexp.MustCompile(`name="resume" value="([^"]+)"`)

// Nobody is signed out who did not want it: without the ID token of this very session people are
// asked, and another browser's page asks for nobody else.
func TestSigningOutIsAskedFor(t *testing.T) {
	w := servertest.NewWorld(t)
	ada, bob := w.EnrollCodes("ada"), w.EnrollCodes("bob")
	_ = bob
	wiki := withGoodbye(w, "wiki")
	p := signedIn(w, ada)
	old := wiki.signs(t, p)
	p.Get("/account")
	p.Post("/sign-out")
	w.Later(time.Minute)
	p = signedIn(w, ada)
	for name, more := range map[string][]string{
		"nothing": {}, "a client": {"client_id", "wiki", "post_logout_redirect_uri", wiki.goodbye()}, "another session's token": {"id_token_hint", old, "post_logout_redirect_uri", wiki.goodbye()},
	} {
		p.Get(wiki.leaving(more...))
		p.Sees("Do you want to sign out?")
		code := sealedForm.FindStringSubmatch(p.Page)
		if code == nil {
			t.Fatalf("%s: no form", name)
		}
		if !isSignedIn(p) {
			t.Fatalf("%s: was signed out without being asked", name)
		}
		p.Get(wiki.leaving("resume", code[1])) // a link to what was asked of her
		p.Post("/oidc/logout/answer", "resume", code[1], "answer", "stay")
		p.Sees("Nothing was ended")
		if !isSignedIn(p) {
			t.Fatalf("%s: was signed out and wanted to stay", name)
		}
	}
	// What one browser was asked signs no other one out.
	thief := w.Person()
	thief.Get("/sign-in")
	thief.Post("/sign-in", "name", "bob", "authenticator", "password", "text", servertest.Passphrase)
	thief.Post("/sign-in", "authenticator", "totp", "text", bob.Code())
	thief.Get(wiki.leaving())
	code := sealedForm.FindStringSubmatch(thief.Page)
	if code == nil {
		t.Fatal("bob is not asked")
	}
	p.Post("/oidc/logout/answer", "resume", code[1], "answer", "leave")
	p.Sees("Do you want to sign out?")
	if !isSignedIn(p) {
		t.Error("bob's page signed ada out")
	}
	p.Get(wiki.leaving("client_id", "wiki", "post_logout_redirect_uri", wiki.goodbye(), "state", "s"))
	code = sealedForm.FindStringSubmatch(p.Page)
	p.Post("/oidc/logout/answer", "resume", code[1], "answer", "leave")
	p.Sees("Welcome to the application")
	if isSignedIn(p) || wiki.answered().Get("state") != "s" {
		t.Error("who said yes is signed in still")
	}
}

// Signing out leads nobody elsewhere, and what is not a sign-in of ours is none.
func TestSigningOutLeadsNowhereElse(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki, other := withGoodbye(w, "wiki"), withGoodbye(w, "other")
	p := signedIn(w, ada)
	id := wiki.signs(t, p)
	good := wiki.goodbye()
	cut := id[:len(id)-6] + "AAAAAA"
	for name, more := range map[string][]string{
		"an unknown address":         {"id_token_hint", id, "post_logout_redirect_uri", "https://evil.example/"},
		"another client's":           {"id_token_hint", id, "post_logout_redirect_uri", other.goodbye()},
		"with a query":               {"id_token_hint", id, "post_logout_redirect_uri", good + "?to=https://evil.example"},
		"with a fragment":            {"id_token_hint", id, "post_logout_redirect_uri", good + "#x"},
		"with a slash":               {"id_token_hint", id, "post_logout_redirect_uri", good + "/"},
		"with dots":                  {"id_token_hint", id, "post_logout_redirect_uri", good + "/../goodbye"},
		"a name before the host":     {"id_token_hint", id, "post_logout_redirect_uri", strings.Replace(good, "://", "://evil@", 1)},
		"a backslash":                {"id_token_hint", id, "post_logout_redirect_uri", strings.Replace(good, "/goodbye", "\\goodbye", 1)},
		"its redirect URI":           {"id_token_hint", id, "post_logout_redirect_uri", wiki.config.RedirectURL},
		"of nobody":                  {"post_logout_redirect_uri", good},
		"of an unknown client":       {"client_id", "nobody", "post_logout_redirect_uri", good},
		"of two clients":             {"id_token_hint", id, "client_id", "other", "post_logout_redirect_uri", other.goodbye()},
		"a token that was altered":   {"id_token_hint", cut, "post_logout_redirect_uri", good},
		"no token":                   {"id_token_hint", "nonsense", "post_logout_redirect_uri", good},
		"a scheme that runs":         {"id_token_hint", id, "post_logout_redirect_uri", "javascript:alert(1)"},
		"a request that was altered": {"resume", "nonsense"},
	} {
		client := *p.Client
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		r, err := client.Get(wiki.leaving(more...))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != 400 || r.Header.Get("Location") != "" {
			t.Errorf("%s: %d to %q", name, r.StatusCode, r.Header.Get("Location"))
		}
	}
	if !isSignedIn(p) {
		t.Error("one of them signed ada out")
	}
	// Without a session the browser goes where it may all the same, and nowhere else.
	stranger := w.Person()
	stranger.Get(wiki.leaving("client_id", "wiki", "post_logout_redirect_uri", good))
	stranger.Sees("Welcome to the application")
	// A form from elsewhere brings no session: it is asked again by an address.
	r, err := http.PostForm(w.Base+"/oidc/logout", url.Values{"id_token_hint": {id}, "post_logout_redirect_uri": {good}})
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.Request.URL.Path != "/goodbye" {
		t.Errorf("by a form it goes to %s", r.Request.URL.Path)
	}
}
