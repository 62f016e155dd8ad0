package main

import (
	"encoding/base32"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// comes signs a person in on a fresh page.
func (p *person) comes(name string, secret []byte) {
	p.w.t.Helper()
	p.secret = secret
	p.get("/sign-in")
	p.signIn(name, p.code())
	p.w.later(time.Minute) // the next code is another one
}

// proves shows again what an approval asks for.
func (p *person) proves() {
	p.w.t.Helper()
	p.sees("Approve")
	p.post("/sign-in", "authenticator", "password", "text", passphrase)
	p.post("/sign-in", "authenticator", "totp", "text", p.code())
	p.w.later(time.Minute)
}

// does posts a form and approves it where that is asked for.
func (p *person) does(path string, fields ...string) {
	p.w.t.Helper()
	p.post(path, fields...)
	if strings.Contains(p.page, "<h1>Approve</h1>") {
		p.proves()
	}
}

var passLink = regexp.MustCompile(`id="pass-link">([^<]+)<`)

// enrollWith sets up a password and codes with the link of a pass.
func (p *person) enrollWith(link string) {
	p.w.t.Helper()
	p.get(link)
	_, code, _ := strings.Cut(link, "code=")
	p.post("/welcome", "code", code)
	p.post("/account/do", "action", "authenticator.enroll", "object", "password")
	p.post("/account/setup", "authenticator", "password", "text", passphrase)
	p.post("/account/do", "action", "authenticator.enroll", "object", "totp")
	m := secretField.FindStringSubmatch(p.page)
	if m == nil {
		p.w.t.Fatalf("no secret on the page:\n%s", p.page)
	}
	p.secret, _ = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(m[1], " ", ""))
	p.post("/account/setup", "authenticator", "totp", "text", p.code())
	p.sees("Added: ")
	p.w.later(time.Minute)
}

// The promise: an administrator makes an account and issues a pass on pages made
// for that; the newcomer sets up and signs in; suspended, they are out at once.
// What is changed is approved by its text, and what was typed is not lost.
func TestConsoleAccounts(t *testing.T) {
	w := newWorld(t)
	root := w.person()
	root.comes("root", w.administrator("root").secret)
	root.get("/console/accounts")
	root.sees("New account")
	w.later(6 * time.Minute)

	root.get("/console/new-account")
	root.sees("A new account can do nothing") // looking asks for nothing again
	root.post("/console/new-account", "display", "Grace Hopper")
	root.sees("Every account needs a name.")
	root.sees("Grace Hopper")
	root.post("/console/new-account", "name", "grace", "display", "Grace Hopper", "mail", "grace@example.org", "kind", "person", "groups", "administrators")
	root.sees("account grace (Grace Hopper, grace@example.org) in groups [administrators]")
	root.proves()
	root.sees("The account was made.")
	root.sees("waiting for a pass")
	root.get("/console/new-account")
	root.does("/console/new-account", "name", "Grace", "kind", "person")
	root.sees(`There is an account named "grace" already.`)

	root.get("/console/accounts/grace")
	root.post("/console/accounts/grace/pass", "lifetime", "3600")
	root.sees("Say how you made sure who it is")
	root.does("/console/accounts/grace/pass", "lifetime", "3600", "note", "met in person")
	m := passLink.FindStringSubmatch(root.page)
	if m == nil {
		t.Fatalf("no link on the page:\n%s", root.page)
	}
	grace := w.person()
	grace.enrollWith(html.UnescapeString(m[1]))
	grace.comes("grace", grace.secret)
	grace.get("/account")
	grace.sees("Where you are signed in")

	root.get("/console/accounts/grace")
	root.sees("met in person")
	root.does("/console/accounts/grace/leave", "group", "administrators")
	root.sees("taken out of the group")
	root.post("/console/accounts/grace/suspend", "reason", "")
	root.sees("Say why")
	root.does("/console/accounts/grace/suspend", "reason", "left the company")
	root.sees("its sessions have ended")
	root.sees("root suspended grace: left the company")
	grace.get("/account")
	if strings.Contains(grace.page, "Where you are signed in") {
		t.Error("a suspended person is still signed in")
	}
	if w.events("account.suspended") != 1 || w.events("account.created") != 2 {
		t.Error("what was done is not in the log")
	}
}

// The promise: an approval is for its own form. Another one's, a form without
// its token, and a form that was never approved change nothing.
func TestConsoleApprovalsCannotBeMoved(t *testing.T) {
	w := newWorld(t)
	root := w.person()
	root.comes("root", w.administrator("root").secret)
	w.enrollCodes("ada")
	w.enrollCodes("bob")
	w.later(6 * time.Minute)

	root.get("/console/accounts/ada")
	root.post("/console/accounts/ada/suspend", "reason", "left")
	root.sees("account ada: left")
	root.post("/sign-in", "authenticator", "password", "text", passphrase)
	root.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	root.post("/sign-in", "authenticator", "totp", "text", root.code())
	root.client.CheckRedirect = nil
	for _, path := range []string{"/console/accounts/bob/suspend/approved", "/console/accounts/ada/resume/approved", "/console/accounts/ada/end-sessions/approved", "/console/commands/policy.change/approved"} {
		root.get(path)
		if root.status == http.StatusOK {
			t.Errorf("%s took an approval that was for another form:\n%s", path, root.page)
		}
	}
	if w.events("account.suspended") != 0 || w.events("account.resumed") != 0 {
		t.Error("an approval served another form")
	}

	stray := w.person()
	stray.client.Jar = root.client.Jar
	stray.get("/console/accounts/ada")
	stray.page = `name="form-token" value="forged"`
	stray.post("/console/accounts/ada/suspend", "reason", "left")
	if stray.status != http.StatusForbidden {
		t.Errorf("a form without its token was answered %d", stray.status)
	}
	root.get("/console/accounts/bob")
	root.get("/console/accounts/bob/suspend/approved")
	if root.status == http.StatusOK || w.events("account.suspended") != 0 {
		t.Error("something was done without an approval")
	}
}
