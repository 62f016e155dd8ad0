package cli

import (
	"encoding/base32"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/store"
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

var (
	// disowns is the number of an entry that can be said to be somebody else's.
	disowns = regexp.MustCompile(`name="action" value="report.not-me"><input type="hidden" name="object" value="(\d+)"`)
	// pressed is the text of an act that waits for its press.
	pressed = regexp.MustCompile(`name="text" value="([^"]+)">`)
)

// does posts a form, presses under the text of what it does, and approves it, where
// these are asked for.
func (p *person) does(path string, fields ...string) {
	p.w.t.Helper()
	p.post(path, fields...)
	if m := pressed.FindStringSubmatch(p.page); m != nil {
		p.post(path, append(fields, "text", html.UnescapeString(m[1]))...)
	}
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
	root.sees("person grace, called \"Grace Hopper\", mail grace@example.org, in groups administrators")
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
	m = regexp.MustCompile(`/revoke"><input[^>]*><input type="hidden" name="id" value="([0-9]+)"`).FindStringSubmatch(root.page)
	if m == nil {
		t.Fatalf("nothing to revoke on the page:\n%s", root.page)
	}
	root.post("/console/accounts/grace/revoke", "id", m[1])
	root.sees("<details open><summary>Revoke")
	root.sees("Say why")
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
	root.sees("person ada: left")
	root.post("/sign-in", "authenticator", "password", "text", passphrase)
	root.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	root.post("/sign-in", "authenticator", "totp", "text", root.code())
	root.client.CheckRedirect = nil
	for _, path := range []string{"/console/accounts/bob/suspend/approved", "/console/accounts/ada/resume/approved", "/console/accounts/ada/end-sessions/approved", "/console/commands/policy.change/approved"} {
		root.get("/account")
		root.post(path)
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
	root.post("/console/accounts/bob/suspend/approved")
	if root.status == http.StatusOK || w.events("account.suspended") != 0 {
		t.Error("something was done without an approval")
	}
}

// The promise: a shared secret that was stored is on no page and in no answer
// again; an empty field keeps it, and it moves to no other client.
func TestConsoleKeepsSecrets(t *testing.T) {
	w := newWorld(t)
	root := w.person()
	root.comes("root", w.administrator("root").secret)
	const first, second = "kX9-Lq27-vTzp-40aM", "w7R.mmQ2-bN5x-pp1Z"
	root.get("/console/new-application?protocol=radius")
	form := []string{"protocol", "radius", "base", "{}", "kind", "vpn", "tier", "standard", "mode", "challenge"}
	post := func(path string, more ...string) {
		t.Helper()
		root.does(path, append(append([]string{}, form...), more...)...)
	}
	post("/console/new-application", "name", "vpn", "client-name-0", "gate", "client-networks-0", "10.0.0.5")
	root.sees("A new client needs a secret.")
	post("/console/new-application", "name", "vpn", "client-name-0", "gate", "client-networks-0", "10.0.0.5", "client-secret-0", "radius")
	root.sees(`The secret of the client "gate" must have`)
	post("/console/new-application", "name", "vpn", "client-name-0", "gate", "client-networks-0", "10.0.0.5", "client-secret-0", first)
	root.sees("The application was saved.")
	stored := func() string {
		t.Helper()
		app, err := w.Catalogue.Get(t.Context(), "vpn")
		if err != nil {
			t.Fatal(err)
		}
		return string(app.Settings)
	}
	base := func() string {
		t.Helper()
		root.get("/console/applications/vpn")
		m := regexp.MustCompile(`name="base" value="([^"]*)"`).FindStringSubmatch(root.page)
		if m == nil {
			t.Fatalf("no settings on the page:\n%s", root.page)
		}
		return html.UnescapeString(m[1])
	}
	change := func(more ...string) {
		t.Helper()
		form[3] = base()
		if strings.Contains(root.page, first) || strings.Contains(root.page, second) {
			t.Error("the page shows a stored secret")
		}
		post("/console/applications/vpn/change", more...)
	}
	change("client-was-0", "gate", "client-name-0", "gate", "client-networks-0", "10.0.0.0/24", "client-name-1", "door", "client-networks-1", "10.1.0.1", "client-secret-1", second)
	root.sees("The application was saved.")
	if s := stored(); !strings.Contains(s, first) || !strings.Contains(s, second) || !strings.Contains(s, "10.0.0.0/24") {
		t.Error("an empty secret did not keep the stored one")
	}
	// Renamed, or in another's place, it is nobody's.
	change("client-was-0", "gate", "client-name-0", "mallory", "client-networks-0", "10.0.0.0/24")
	root.sees("There is no stored secret of mallory to keep; write a new one.")
	change("client-was-0", "gate", "client-name-0", "gate", "client-networks-0", "10.0.0.0/24", "client-was-1", "door", "client-name-1", "door", "client-networks-1", "10.1.0.1", "client-gone-0", "yes")
	root.sees("The application was saved.")
	if s := stored(); strings.Contains(s, first) || !strings.Contains(s, second) {
		t.Error("removing one client did not leave the other's secret")
	}
	change("advanced", "yes", "settings", `{"clients":[{"name":"door","networks":["10.1.0.1"],"secret":"(hidden)"}],"timeout":9}`)
	root.sees("The application was saved.")
	if s := stored(); !strings.Contains(s, second) || !strings.Contains(s, "9") {
		t.Error("the advanced form did not keep the secret")
	}
	root.get("/console/audit")
	if strings.Contains(root.page, first) || strings.Contains(root.page, second) {
		t.Error("the log shows a secret")
	}
	root.post("/console/applications/vpn/change", "advanced", "yes", "protocol", "radius", "kind", "vpn", "settings", "{")
	root.sees("That is not JSON")
}

// The promise: an application of Yubico's protocol is made and changed in the form like
// any other, serves, and its key is on no page and in no answer again.
func TestConsoleMakesYubico(t *testing.T) {
	w := newWorld(t)
	root := w.person()
	root.comes("root", w.administrator("root").secret)
	root.get("/console/new-application")
	root.sees("By Yubico's protocol")
	root.get("/console/new-application?protocol=yubico")
	form := []string{"protocol", "yubico", "kind", "vpn", "tier", "standard", "vouches", "password"}
	post := func(path string, more ...string) {
		t.Helper()
		root.does(path, append(append([]string{}, form...), more...)...)
	}
	post("/console/new-application", "base", "{}", "name", "gate", "client-name-0", "gateway", "client-id-0", "seven")
	root.sees("Write a number.")
	root.sees("A new client needs a key.")
	post("/console/new-application", "base", "{}", "name", "gate", "client-name-0", "gateway", "client-id-0", "7", "client-key-0", gatewayKey)
	root.sees("The application was saved.")
	root.get("/console/applications/gate")
	root.sees(`name="client-id-0" type="number" value="7"`)
	if strings.Contains(root.page, gatewayKey) {
		t.Error("the page shows a key")
	}
	base := html.UnescapeString(regexp.MustCompile(`name="base" value="([^"]*)"`).FindStringSubmatch(root.page)[1])
	post("/console/applications/gate/change", "base", base, "client-was-0", "gateway", "client-name-0", "gateway", "client-id-0", "9")
	root.sees("The application was saved.")
	app, err := w.Catalogue.Get(t.Context(), "gate")
	if want := `{"clients":[{"id":9,"key":"` + gatewayKey + `","name":"gateway"}]}`; err != nil || string(app.Settings) != want || app.Vouches != "password" {
		t.Errorf("the form that kept a key made other settings of it (%v)", err)
	}
	if got := (validator{w, w.base, 9, gatewayKey}).otp(strings.Repeat("c", 44)); got != "BAD_OTP" {
		t.Errorf("the client whose application was made in the form is answered %s", got)
	}
}

// The promise: what cannot be a policy is refused by its line before anybody
// approves it, one that locks the door by its own test is not saved, and the log
// that is exported can be verified.
func TestConsolePolicyAndLog(t *testing.T) {
	w := newWorld(t)
	root := w.person()
	root.comes("root", w.administrator("root").secret)
	w.later(6 * time.Minute)
	root.get("/console/policy/edit")
	root.sees("# Countersign's policy")
	root.post("/console/policy/save", "body", "rules:\r\n  - name: all\r\n    require: two-factor\r\n")
	root.sees("Line 3")
	root.sees("two-factors")
	root.post("/console/policy/check", "body", "rules:\r\n  - name: all\r\n    require: two-factors\r\n")
	root.sees("It can be a policy")
	root.does("/console/policy/save", "body", "rules:\r\n  - name: all\r\n    require: two-factors\r\ntests:\r\n  - name: strict\r\n    given: {action: sign-in}\r\n    expect: phishing-resistant\r\n")
	root.sees("does not hold")
	root.does("/console/policy/save", "body", "rules:\r\n  - name: all\r\n    require: two-factors\r\n    within: 1h\r\n")
	root.sees("The policy is in force")
	doc, err := w.Rules.Latest(t.Context(), w.DB)
	if err != nil || doc.Body != "rules:\n  - name: all\n    require: two-factors\n    within: 1h\n" || doc.Author != "root" {
		t.Errorf("saved %+v, %v", doc, err)
	}
	root.get("/console/policy/versions")
	root.sees("in force")
	root.get("/console/policy/explain?account=root&source=nowhere")
	root.sees("is not an address")
	root.get("/console/policy/explain?account=root")
	root.sees("root can sign in to countersign")

	root.get("/console/audit?event=policy&account=nobody")
	root.sees("There is no account of that name.")
	root.get("/console/audit?since=yesterday")
	root.sees("Write a day")
	root.get("/console/audit?event=policy")
	root.sees("root changed the policy")
	root.get("/console/audit/export")
	log, err := audit.ReadLog(strings.NewReader(root.page))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range log.Entries() {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n < 10 || w.events("audit.exported") != 1 {
		t.Errorf("%d entries were exported, %d exports are in the log", n, w.events("audit.exported"))
	}
	if strings.Contains(root.page, passphrase) {
		t.Error("the export holds a password")
	}
}

// Groups are made, filled, emptied and removed; names of others are text and
// nothing else, wherever they are shown.
func TestConsoleGroupsAndHostileNames(t *testing.T) {
	w := newWorld(t)
	root := w.person()
	root.comes("root", w.administrator("root").secret)
	root.get("/console/new-group")
	root.does("/console/new-group", "name", "a group")
	root.sees("without spaces")
	root.does("/console/new-group", "name", "operators", "display", `"><script>alert(1)</script>`)
	root.sees("The group was made.")
	root.does("/console/new-account", "name", "eve@example.org", "display", `<img src=x onerror=alert(1)>`, "kind", "person", "groups", "operators")
	root.sees("The account was made.")
	root.does("/console/groups/operators/add", "account", "nobody-at-all")
	root.sees("There is no account of that name.")
	root.does("/console/groups/operators/add", "account", "eve@example.org")
	root.sees("is in operators already")
	for _, path := range []string{"/console", "/console/accounts", "/console/accounts/eve@example.org", "/console/groups", "/console/groups/operators", "/console/audit", "/console/new-account"} {
		root.get(path)
		if root.status != http.StatusOK || strings.Contains(root.page, "<img src=x") || strings.Contains(root.page, "<script>alert") {
			t.Errorf("%s: %d, or a name that is more than text", path, root.status)
		}
	}
	root.does("/console/groups/operators/remove")
	if w.events("group.removed") != 0 {
		t.Error("a group with members was removed")
	}
	root.get("/console/groups/operators")
	root.does("/console/groups/operators/take-out", "account", "eve@example.org")
	root.sees("was taken out")
	root.does("/console/groups/operators/remove")
	root.sees("The group was removed.")
}

// The promise: where a policy wants a fresh proof for looking as well, it is
// asked for once and then looked at; what was proved for looking approves no
// change, and nobody is sent in circles.
func TestConsoleUnderAPolicyThatWantsFreshLooks(t *testing.T) {
	w := newWorld(t)
	secret := w.administrator("root").secret
	w.enrollCodes("ada")
	const old = `
rules:
  - name: everybody
    require: two-factors
  - name: administration
    when: account.privileged && action != "sign-in"
    require: two-factors
    within: 5m
  - name: suspending
    when: action == "account.suspend"
    require: two-factors
    within: 1m
`
	err := w.DB.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error {
		if _, err := w.Rules.Save(t.Context(), tx, old, "test"); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.policy", Outcome: audit.OK})
	})
	if err != nil {
		t.Fatal(err)
	}
	root := w.person()
	root.comes("root", secret)
	w.later(6 * time.Minute)
	root.get("/console/accounts/ada")
	root.sees("<h1>Sign in</h1>")
	root.post("/sign-in", "authenticator", "password", "text", passphrase)
	root.post("/sign-in", "authenticator", "totp", "text", root.code())
	root.sees("Ways to sign in")
	w.later(2 * time.Minute)
	root.get("/console/accounts/ada")
	root.sees("Ways to sign in")
	root.post("/console/accounts/ada/suspend", "reason", "left")
	root.sees("person ada: left")
	if w.events("account.suspended") != 0 {
		t.Error("what was proved for looking approved a change")
	}
	root.proves()
	root.sees("its sessions have ended")
}
