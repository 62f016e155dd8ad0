package admin

import (
	"context"
	"testing"
	"time"

	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// The promise: an administrator with a passkey does the whole of an account's
// life on pages, in a real browser, on a phone too; another browser with the
// same address gets the sign-in page and nothing else.
func TestConsoleInTheBrowser(t *testing.T) {
	w := servertest.NewWorld(t)
	if err := w.PlantApplications(context.Background(), "wiki.example.org", "kX9-Lq27-vTzp-40aM"); err != nil {
		t.Fatal(err)
	}
	w.EnrollCodes("ada")
	w.EnrollCodes("linus")
	if _, err := w.Setup.Plant(context.Background(), "katherine", "Katherine Johnson"); err != nil {
		t.Fatal(err)
	}
	plantTokens(w, "26001", "26002")
	mallory := w.Person()
	for range 3 {
		mallory.Get("/sign-in")
		mallory.SignIn("ada", "000000")
	}
	code, err := w.Setup.Link(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	b := testbed.Chromium(t)
	b.Passkey()
	b.Visit(w.Base + "/setup?code=" + code)
	b.Fill("#name", "root")
	b.Fill("#display", "Radia Perlman")
	b.Click("main form button")
	servertest.MakePasskey(b)
	b.WaitText("main", "Use a passkey or security key")
	b.Click("form[data-passkey] button")
	b.WaitText("main", "Until all is ready")

	b.Visit(w.Base + "/console/new-account")
	b.Fill("#name", "gr ace")
	b.Fill("#display", "Grace Hopper")
	b.Fill("#mail", "grace@example.org")
	b.Click("main form .actions button")
	b.WaitText("#name-wrong", "without spaces")
	servertest.Pictures(b, "new-account")
	servertest.Fits(t, b, "new-account")
	b.Fill("#name", "grace")
	b.Click("main form .actions button")
	b.WaitText("main", "The account was made.")

	// Six minutes later looking goes on, and a change is approved by its text.
	w.Later(6 * time.Minute)
	b.Visit(w.Base + "/console/accounts/grace")
	b.WaitText("h1", "Grace Hopper")
	b.Fill("#pass-note", "met in person")
	servertest.Pictures(b, "account")
	servertest.Fits(t, b, "account")
	b.Click(`form[action$="/pass"] button`)
	b.WaitText("h1", "Approve")
	b.WaitText("main", "person grace for 1 hour: met in person")
	b.Click("form[data-passkey] button")
	b.WaitText("h1", "A pass for grace")
	servertest.Pictures(b, "pass")
	servertest.Fits(t, b, "pass")
	link := b.Text("#pass-link")

	grace := b.Stranger()
	grace.Passkey()
	grace.Visit(link)
	grace.Click("main form button")
	servertest.MakePasskey(grace)
	grace.WaitText("main", "Use a passkey or security key")
	grace.Click("form[data-passkey] button")
	grace.WaitText("main", "This browser")
	grace.Visit(w.Base + "/console/accounts")
	grace.WaitText("main", "These pages are for administrators.")

	servertest.RaiseRisk(w, "grace")
	for _, p := range []struct{ path, name, says string }{
		{"/console", "home", "1 at risk"},
		{"/console/accounts", "accounts", "Grace Hopper"},
		{"/console/accounts/grace", "account-full", "its owner said that a sign-in was not theirs"},
		{"/console/accounts?state=dormant", "accounts-none", "No account is like that"},
		{"/console/groups", "groups", "Administrators"},
		{"/console/tokens", "tokens", "Feitian"},
		{"/console/tokens/26001", "token", "Assign"},
		{"/console/tokens?q=nothing", "tokens-none", "No token is like that"},
		{"/console/import", "import", "The first line names the columns"},
		{"/console/groups/administrators", "group", "root"},
		{"/console/new-group", "new-group", "Make the group"},
		{"/console/applications", "applications", "The wiki"},
		{"/console/applications/wiki", "application-web", "wiki.example.org"},
		{"/console/applications/vpn", "application-radius", "Clients"},
		{"/console/new-application", "new-application", "How does it ask?"},
		{"/console/new-application?protocol=radius", "new-radius", "Shared secret"},
		{"/console/new-application?protocol=forward-auth", "new-web", "Guarded paths"},
		{"/console/new-application?protocol=yubico", "new-yubico", "its client id"},
		{"/console/policy", "policy", "in force"},
		{"/console/policy/edit", "policy-edit", "Change the policy"},
		{"/console/policy/versions", "policy-versions", "Version 1"},
		{"/console/policy/compare?version=1", "policy-compare", "If version 1"},
		{"/console/policy/explain?account=grace&application=vpn", "policy-explain", "Rules that apply"},
		{"/console/coverage", "coverage", "T1110"},
		{"/console/coverage/declare?row=T1669", "declare", "Until"},
		{"/console/audit", "audit", "a temporary access pass"},
		{"/console/commands", "commands", "policy.change"},
		{"/console/commands/audit.search", "command", "newest first"},
	} {
		b.Visit(w.Base + p.path)
		b.WaitText("main", "")
		if p.says != "" && !testbed.Eval[bool](b, `document.querySelector("main").textContent.includes(`+quoted(p.says)+`) || [...document.querySelectorAll("main input, main textarea")].some(e => e.value.includes(`+quoted(p.says)+`))`) {
			t.Errorf("%s does not say %q", p.path, p.says)
		}
		servertest.Pictures(b, p.name)
		servertest.Fits(t, b, p.path)
		if b.Has("main") && testbed.Eval[bool](b, `document.documentElement.outerHTML.includes("kX9-Lq27-vTzp-40aM")`) {
			t.Errorf("%s shows a secret", p.path)
		}
	}

	b.Visit(w.Base + "/console/policy/edit")
	b.Fill("#body", "rules:\n  - name: all\n    when: account.privilegd\n    require: two-factors\n")
	b.Click(`button[formaction$="/check"]`)
	b.WaitText("main", "Line 3")
	servertest.Pictures(b, "policy-problems")
	servertest.Fits(t, b, "policy-problems")
	b.Fill("#body", "rules:\n  - name: all\n    require: one-factor\n")
	b.Click(`button[formaction$="/check"]`)
	b.WaitText("#checked", "asks less")
	servertest.Pictures(b, "policy-checked")
	servertest.Fits(t, b, "policy-checked")
}

func quoted(s string) string { return `"` + s + `"` }
