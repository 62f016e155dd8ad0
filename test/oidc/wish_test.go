package oidc

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/servertest"
)

// The promise: who has a session by password and code and comes to an application that wants a
// passkey is asked for the passkey alone; the application learns that it was shown, and when.
func TestOnlyWhatIsMissingIsAsked(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	key := servertest.GetsPasskey(ada)
	bank := newParty(w, "bank", nil)
	p := signedIn(w, ada)
	w.Later(time.Minute)
	asked := w.Now()
	p.Get(bank.begin("acr_values", "phr"))
	if strings.Contains(p.Page, `name="name"`) || strings.Contains(p.Page, "Password") || strings.Contains(p.Page, "authenticator app") {
		t.Errorf("more is asked than the passkey:\n%s", p.Page)
	}
	p.UsePasskey(key)
	follow(p)
	_, said := bank.exchange(t, bank.back())
	if said.ACR != "phr" || !slices.Contains(said.AMR, "mfa") || time.Unix(said.AuthTime, 0).Before(asked.Add(-time.Second)) {
		t.Errorf("the ID token says %+v", said)
	}
	// Next time nothing is asked, and the time is that of the passkey.
	w.Later(time.Minute)
	p.Get(bank.begin("acr_values", "phr"))
	_, again := bank.exchange(t, bank.back())
	if again.ACR != "phr" || again.AuthTime != said.AuthTime {
		t.Errorf("the next ID token says %+v", again)
	}
}

// What the settings demand is demanded without a word of the client, and a client's wish never
// takes away of it.
func TestWhatTheSettingsDemand(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	bank := newParty(w, "bank", map[string]any{"acr": "phr"})
	p := signedIn(w, ada)
	for _, more := range [][]string{{}, {"acr_values", "urn:countersign:aal1"}, {"claims", `{"id_token":{"acr":{"essential":true,"value":"urn:countersign:aal2"}}}`}} {
		bank.forget()
		p.Get(bank.begin(more...))
		if got := bank.answered(); got.Get("code") != "" {
			t.Errorf("%v: the application got %v", more, got)
		}
	}
}

// An acr that nobody knows is refused where the client says that it is essential, and where it
// only would like one it is told what there is. One that cannot be reached is refused with the word
// that there is for it.
func TestClassesThatCannotBeMet(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki := newParty(w, "wiki", nil)
	refeds := newParty(w, "refeds", map[string]any{"acr_words": "refeds"})
	p := signedIn(w, ada)
	acr := func(essential bool, values ...string) string {
		b, _ := json.Marshal(map[string]any{"id_token": map[string]any{"acr": map[string]any{"essential": essential, "values": values}}})
		return string(b)
	}
	for name, c := range map[string]struct {
		more []string
		want string // an error, or "acr " and what is stated
	}{
		"unknown and essential":              {[]string{"claims", acr(true, "urn:unknown")}, "unmet_authentication_requirements"},
		"unknown ones and essential":         {[]string{"claims", acr(true, "urn:a", "urn:b")}, "unmet_authentication_requirements"},
		"unknown":                            {[]string{"acr_values", "urn:unknown"}, "acr urn:countersign:aal2"},
		"unknown and voluntary":              {[]string{"claims", acr(false, "urn:unknown")}, "acr urn:countersign:aal2"},
		"one known of two":                   {[]string{"claims", acr(true, "urn:a", "https://refeds.org/profile/mfa")}, "acr https://refeds.org/profile/mfa"},
		"the second known of two":            {[]string{"acr_values", "phr https://refeds.org/profile/mfa"}, "acr https://refeds.org/profile/mfa"},
		"out of reach, and nothing is asked": {[]string{"prompt", "none", "acr_values", "phr"}, "unmet_authentication_requirements"},
		"out of reach":                       {[]string{"acr_values", "phr"}, "unmet_authentication_requirements"},
		"a method that was used":             {[]string{"claims", `{"id_token":{"amr":{"essential":true,"values":["otp"]}}}`}, "acr urn:countersign:aal2"},
		"a method that was not":              {[]string{"claims", `{"id_token":{"amr":{"essential":true,"values":["face"]}}}`}, "unmet_authentication_requirements"},
		"no claims":                          {[]string{"claims", `{"id_token":`}, "invalid_request"},
		"claims of another form":             {[]string{"claims", `[1]`}, "invalid_request"},
		"deep claims":                        {[]string{"claims", strings.Repeat("[", 4000)}, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			wiki.forget()
			p.Get(wiki.begin(c.more...))
			if stated, ok := strings.CutPrefix(c.want, "acr "); ok {
				if _, said := wiki.exchange(t, wiki.back()); said.ACR != stated {
					t.Errorf("the ID token says %+v", said)
				}
				return
			}
			wiki.refused(c.want)
		})
	}
	p.Get(refeds.begin())
	if _, said := refeds.exchange(t, refeds.back()); said.ACR != "https://refeds.org/profile/mfa" {
		t.Errorf("in the words of REFEDS it is %+v", said)
	}
}

// prompt=login and max_age have somebody prove anew all that is demanded: what the session holds
// from before is nothing, and a weaker sign-in does not stand for it.
func TestProvenAnew(t *testing.T) {
	for name, more := range map[string][]string{"prompt": {"prompt", "login"}, "max_age": {"max_age", "60"}, "max_age of nothing": {"max_age", "0"}} {
		t.Run(name, func(t *testing.T) {
			w := servertest.NewWorld(t)
			ada := w.EnrollCodes("ada")
			wiki := newParty(w, "wiki", nil)
			p := signedIn(w, ada)
			w.Later(10 * time.Minute)
			asked := w.Now()
			wiki.forget()
			p.Get(wiki.begin(append(more, "prompt", "none")...))
			if more[0] != "prompt" {
				wiki.refused("login_required")
			}
			wiki.forget()
			p.Get(wiki.begin(more...))
			p.Sees("as <strong><bdi>ada")
			p.Post("/sign-in", "authenticator", "totp", "text", ada.Code())
			if wiki.answered() != nil {
				t.Fatal("one factor of two was enough")
			}
			p.Post("/sign-in", "authenticator", "password", "text", servertest.Passphrase)
			follow(p)
			_, said := wiki.exchange(t, wiki.back())
			if at := time.Unix(said.AuthTime, 0); at.Before(asked.Add(-time.Second)) || !slices.Contains(said.AMR, "mfa") {
				t.Errorf("asked at %v, and shown at %v: %+v", asked, at, said)
			}
		})
	}
}

// A session that is new enough is enough.
func TestNewEnough(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki := newParty(w, "wiki", nil)
	p := signedIn(w, ada)
	p.Get(wiki.begin("max_age", "3600", "prompt", "none"))
	wiki.back()
}

// Whom the client means is who comes back, or nobody: by an ID token of ours for this client, by
// a claim, and not by what somebody else signed.
func TestWhomTheClientMeans(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	bob := w.EnrollCodes("bob")
	wiki, evil := newParty(w, "wiki", nil), newParty(w, "evil", nil)
	p, q := signedIn(w, ada), w.Person()
	q.Get(wiki.begin())
	signIn(q, "bob", bob.Code())
	bobs, _ := wiki.exchange(t, wiki.back())
	p.Get(wiki.begin())
	adas, said := wiki.exchange(t, wiki.back())
	p.Get(evil.begin())
	foreign, _ := evil.exchange(t, evil.back())
	hint := func(of any) string { s, _ := of.(string); return s }
	hers := hint(adas.Extra("id_token"))
	parts := strings.Split(hers, ".")
	none := "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + parts[1] + "."
	w.Later(2 * time.Hour) // an ID token is a hint long after it is over
	p = signedIn(w, ada)
	for name, c := range map[string]struct{ more, want string }{
		"ada's": {hers, ""}, "bob's": {hint(bobs.Extra("id_token")), "login_required"}, "of another client": {hint(foreign.Extra("id_token")), "invalid_request"},
		"cut": {hers[:len(hers)-4], "invalid_request"}, "without a signature": {none, "invalid_request"}, "an access token": {adas.AccessToken, "invalid_request"},
		"with bob's claims": {parts[0] + "." + strings.Split(hint(bobs.Extra("id_token")), ".")[1] + "." + parts[2], "invalid_request"}, "five parts": {hers + ".a.b", "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			wiki.forget()
			p.Get(wiki.begin("id_token_hint", c.more))
			if c.want == "" {
				wiki.back()
				return
			}
			wiki.refused(c.want)
		})
	}
	for sub, want := range map[string]string{said.Subject: "", "somebody-else": "login_required"} {
		wiki.forget()
		b, _ := json.Marshal(map[string]any{"id_token": map[string]any{"sub": map[string]any{"value": sub}}})
		p.Get(wiki.begin("claims", string(b)))
		if want == "" {
			wiki.back()
		} else {
			wiki.refused(want)
		}
	}
}

// login_hint fills in a name, and says nothing about whether there is one.
func TestLoginHint(t *testing.T) {
	w := servertest.NewWorld(t)
	w.EnrollCodes("ada")
	wiki := newParty(w, "wiki", nil)
	for _, name := range []string{"ada", "nobody", `"><script>`} {
		p := w.Person()
		p.Get(wiki.begin("login_hint", name))
		p.Sees(`name="name" value="` + name)
		if strings.Contains(p.Page, "<script>\"") {
			t.Error("it is markup")
		}
	}
}

// An application of somebody else's is told who it is only where the person says so, once for as
// long as that lasts; one of ours only asks where it wants to be sure.
func TestConsent(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	shop := newParty(w, "shop", map[string]any{"consent": "ask"})
	p := signedIn(w, ada)
	shop.forget()
	p.Get(shop.begin("prompt", "none"))
	shop.refused("consent_required")
	shop.forget()
	p.Get(shop.begin())
	p.Sees("The application wants to know:")
	p.Sees("your mail address")
	press(p, "refuse")
	shop.refused("access_denied")
	p.Get(shop.begin())
	press(p, "allow")
	shop.exchange(t, shop.back())
	shop.forget()
	p.Get(shop.begin())
	shop.back()
	p.Get(shop.begin("prompt", "consent"))
	p.Sees("The application wants to know:")
	// The page of one person is nothing in the session of another.
	bob := w.EnrollCodes("bob")
	q := w.Person()
	q.Get(shop.begin())
	shop.forget()
	signIn(q, "bob", bob.Code())
	q.Sees("The application wants to know:")
	q.Page = p.Page
	press(q, "allow")
	if got := shop.answered(); got != nil {
		t.Errorf("what ada's page says lets bob on: %v", got)
	}
}

// Who chooses an account goes on as whom they are, or signs in as somebody else.
func TestSelectAccount(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki := newParty(w, "wiki", nil)
	p := signedIn(w, ada)
	wiki.forget()
	p.Get(wiki.begin("prompt", "select_account"))
	p.Sees("Use another account")
	if wiki.answered() != nil {
		t.Fatal("nobody was asked")
	}
	press(p, "continue")
	wiki.back()
	wiki.forget()
	p.Get(wiki.begin("prompt", "select_account"))
	press(p, "another")
	p.Sees("Sign out and begin again")
	if wiki.answered() != nil {
		t.Fatal("it went on")
	}
}

// press sends the form of a page with one of its buttons.
func press(p *servertest.Person, answer string) {
	p.W.T.Helper()
	m := hiddenResume.FindStringSubmatch(p.Page)
	if m == nil {
		p.W.T.Fatalf("there is no form:\n%s", p.Page)
	}
	p.Take(p.Client.PostForm(p.W.Base+"/oidc/answer", url.Values{"resume": {m[1]}, "answer": {answer}}))
}
