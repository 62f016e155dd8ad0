package oidc

import (
	"html"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/servertest"
)

var leaveLink = regexp.MustCompile(`href="(http[^"]*/oidc/authorize\?resume=[^"]*)"`)

var hiddenResume = regexp.MustCompile(`name="resume" value="([^"]*)"`)

// leaving is where a page goes on to by itself.
func leaving(page string) (string, bool) {
	m := leaveLink.FindStringSubmatch(page)
	if m == nil {
		return "", false
	}
	return html.UnescapeString(m[1]), true
}

// The promise: somebody who comes from an application signs in here with two factors and comes
// back signed in there; the application learns who it is and how it was shown, by a client
// library that we did not write.
func TestAnApplicationSignsInByOpenID(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki := newParty(w, "wiki", nil)
	p := w.Person()
	p.Get(wiki.begin())
	began := w.Now()
	signIn(p, "ada", ada.Code())
	p.Sees("Welcome to the application")
	token, said := wiki.exchange(t, wiki.back())
	if said.Name != "ada" || said.Subject == "" || said.Nonce != "a-nonce" || said.ACR != "urn:countersign:aal2" || !slices.Equal(said.AMR, []string{"mfa", "otp", "pwd"}) {
		t.Errorf("the ID token says %+v", said)
	}
	if at := time.Unix(said.AuthTime, 0); at.Before(began.Add(-time.Second)) || at.After(w.Now()) {
		t.Errorf("the time of the sign-in is %v, and it began at %v", at, began)
	}
	info, err := wiki.provider.UserInfo(t.Context(), wiki.config.TokenSource(t.Context(), token))
	if err != nil || info.Subject != said.Subject {
		t.Fatalf("%+v, %v", info, err)
	}
	for _, event := range []string{"client.authorized", "client.tokens"} {
		if n := w.Events(event); n != 1 {
			t.Errorf("%d entries of %s", n, event)
		}
	}
	// With the session the next application asks nothing.
	code := newParty(w, "code", map[string]any{"id_token_algorithm": "RS256"})
	p.Get(code.begin())
	p.Sees("Welcome to the application")
	if _, again := code.exchange(t, code.back()); again.Subject != said.Subject {
		t.Errorf("ada is %q here and %q there", again.Subject, said.Subject)
	}
}

// Without a session, and where nothing may be asked, the application is told so at once.
func TestNothingIsAsked(t *testing.T) {
	w := servertest.NewWorld(t)
	w.EnrollCodes("ada")
	wiki := newParty(w, "wiki", nil)
	p := w.Person()
	p.Get(wiki.begin("prompt", "none"))
	wiki.refused("login_required")
}

// What is published can be read and kept by everybody.
func TestDiscovery(t *testing.T) {
	w := servertest.NewWorld(t)
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/oidc/keys"} {
		r, err := http.Get(w.Base + path)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != 200 || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") || r.Header.Get("Access-Control-Allow-Origin") != "*" || r.ContentLength < 0 {
			t.Errorf("%s: %d %v", path, r.StatusCode, r.Header)
		}
	}
}
