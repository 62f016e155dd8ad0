package admin

import (
	"encoding/base32"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/servertest"
	"countersign/internal/store"
)

var passLink = regexp.MustCompile(`id="pass-link">([^<]+)<`)

// enrollWith sets up a password and codes with the link of a pass.
func enrollWith(p *servertest.Person, link string) {
	p.W.T.Helper()
	p.Get(link)
	_, code, _ := strings.Cut(link, "code=")
	p.Post("/welcome", "code", code)
	p.Post("/account/do", "action", "authenticator.enroll", "object", "password")
	p.Post("/account/setup", "authenticator", "password", "text", servertest.Passphrase)
	p.Post("/account/do", "action", "authenticator.enroll", "object", "totp")
	m := servertest.SecretField.FindStringSubmatch(p.Page)
	if m == nil {
		p.W.T.Fatalf("no secret on the page:\n%s", p.Page)
	}
	p.Secret, _ = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(m[1], " ", ""))
	p.Post("/account/setup", "authenticator", "totp", "text", p.Code())
	p.Sees("Added: ")
	p.W.Later(time.Minute)
}

// The promise: an administrator makes an account and issues a pass on pages made
// for that; the newcomer sets up and signs in; suspended, they are out at once.
// What is changed is approved by its text, and what was typed is not lost.
func TestConsoleAccounts(t *testing.T) {
	w := servertest.NewWorld(t)
	root := w.Person()
	root.Comes("root", w.Administrator("root").Secret)
	root.Get("/console/accounts")
	root.Sees("New account")
	w.Later(6 * time.Minute)

	root.Get("/console/new-account")
	root.Sees("A new account can do nothing") // looking asks for nothing again
	root.Post("/console/new-account", "display", "Grace Hopper")
	root.Sees("Every account needs a name.")
	root.Sees("Grace Hopper")
	root.Post("/console/new-account", "name", "grace", "display", "Grace Hopper", "mail", "grace@example.org", "kind", "person", "groups", "administrators")
	root.Sees("person grace, called \"Grace Hopper\", mail grace@example.org, in groups administrators")
	root.Proves()
	root.Sees("The account was made.")
	root.Sees("waiting for a pass")
	root.Get("/console/new-account")
	root.Does("/console/new-account", "name", "Grace", "kind", "person")
	root.Sees(`There is an account named "grace" already.`)

	root.Get("/console/accounts/grace")
	root.Post("/console/accounts/grace/pass", "lifetime", "3600")
	root.Sees("Say how you made sure who it is")
	root.Does("/console/accounts/grace/pass", "lifetime", "3600", "note", "met in person")
	m := passLink.FindStringSubmatch(root.Page)
	if m == nil {
		t.Fatalf("no link on the page:\n%s", root.Page)
	}
	root.Get("/console/accounts/grace")
	root.Sees("met in person") // among the newest of the log
	grace := w.Person()
	enrollWith(grace, html.UnescapeString(m[1]))
	grace.Comes("grace", grace.Secret)
	grace.Get("/account")
	grace.Sees("Where you are signed in")

	root.Get("/console/accounts/grace")
	m = regexp.MustCompile(`/revoke"><input[^>]*><input type="hidden" name="id" value="([0-9]+)"`).FindStringSubmatch(root.Page)
	if m == nil {
		t.Fatalf("nothing to revoke on the page:\n%s", root.Page)
	}
	root.Post("/console/accounts/grace/revoke", "id", m[1])
	root.Sees("<details open><summary>Revoke")
	root.Sees("Say why")
	root.Does("/console/accounts/grace/leave", "group", "administrators")
	root.Sees("taken out of the group")
	root.Post("/console/accounts/grace/suspend", "reason", "")
	root.Sees("Say why")
	root.Does("/console/accounts/grace/suspend", "reason", "left the company")
	root.Sees("its sessions have ended")
	root.Sees("root suspended grace: left the company")
	grace.Get("/account")
	if strings.Contains(grace.Page, "Where you are signed in") {
		t.Error("a suspended person is still signed in")
	}
	if w.Events("account.suspended") != 1 || w.Events("account.created") != 2 {
		t.Error("what was done is not in the log")
	}
}

// The promise: an approval is for its own form. Another one's, a form without
// its token, and a form that was never approved change nothing.
func TestConsoleApprovalsCannotBeMoved(t *testing.T) {
	w := servertest.NewWorld(t)
	root := w.Person()
	root.Comes("root", w.Administrator("root").Secret)
	w.EnrollCodes("ada")
	w.EnrollCodes("bob")
	w.Later(6 * time.Minute)

	root.Get("/console/accounts/ada")
	root.Post("/console/accounts/ada/suspend", "reason", "left")
	root.Sees("person ada: left")
	root.Post("/sign-in", "authenticator", "password", "text", servertest.Passphrase)
	root.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	root.Post("/sign-in", "authenticator", "totp", "text", root.Code())
	root.Client.CheckRedirect = nil
	for _, path := range []string{"/console/accounts/bob/suspend/approved", "/console/accounts/ada/resume/approved", "/console/accounts/ada/end-sessions/approved", "/console/commands/policy.change/approved"} {
		root.Get("/account")
		root.Post(path)
		if root.Status == http.StatusOK {
			t.Errorf("%s took an approval that was for another form:\n%s", path, root.Page)
		}
	}
	if w.Events("account.suspended") != 0 || w.Events("account.resumed") != 0 {
		t.Error("an approval served another form")
	}

	stray := w.Person()
	stray.Client.Jar = root.Client.Jar
	stray.Get("/console/accounts/ada")
	stray.Page = `name="form-token" value="forged"`
	stray.Post("/console/accounts/ada/suspend", "reason", "left")
	if stray.Status != http.StatusForbidden {
		t.Errorf("a form without its token was answered %d", stray.Status)
	}
	root.Get("/console/accounts/bob")
	root.Post("/console/accounts/bob/suspend/approved")
	if root.Status == http.StatusOK || w.Events("account.suspended") != 0 {
		t.Error("something was done without an approval")
	}
}

// The promise: a shared secret that was stored is on no page and in no answer
// again; an empty field keeps it, and it moves to no other client.
func TestConsoleKeepsSecrets(t *testing.T) {
	w := servertest.NewWorld(t)
	root := w.Person()
	root.Comes("root", w.Administrator("root").Secret)
	const first, second = "kX9-Lq27-vTzp-40aM", "w7R.mmQ2-bN5x-pp1Z"
	root.Get("/console/new-application?protocol=radius")
	form := []string{"protocol", "radius", "base", "{}", "kind", "vpn", "tier", "standard", "mode", "challenge"}
	post := func(path string, more ...string) {
		t.Helper()
		root.Does(path, append(append([]string{}, form...), more...)...)
	}
	post("/console/new-application", "name", "vpn", "client-name-0", "gate", "client-networks-0", "10.0.0.5")
	root.Sees("A new client needs a secret.")
	post("/console/new-application", "name", "vpn", "client-name-0", "gate", "client-networks-0", "10.0.0.5", "client-secret-0", "radius")
	root.Sees(`The secret of the client "gate" must have`)
	post("/console/new-application", "name", "vpn", "client-name-0", "gate", "client-networks-0", "10.0.0.5", "client-secret-0", first)
	root.Sees("The application was saved.")
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
		root.Get("/console/applications/vpn")
		m := regexp.MustCompile(`name="base" value="([^"]*)"`).FindStringSubmatch(root.Page)
		if m == nil {
			t.Fatalf("no settings on the page:\n%s", root.Page)
		}
		return html.UnescapeString(m[1])
	}
	change := func(more ...string) {
		t.Helper()
		form[3] = base()
		if strings.Contains(root.Page, first) || strings.Contains(root.Page, second) {
			t.Error("the page shows a stored secret")
		}
		post("/console/applications/vpn/change", more...)
	}
	change("client-was-0", "gate", "client-name-0", "gate", "client-networks-0", "10.0.0.0/24", "client-name-1", "door", "client-networks-1", "10.1.0.1", "client-secret-1", second)
	root.Sees("The application was saved.")
	if s := stored(); !strings.Contains(s, first) || !strings.Contains(s, second) || !strings.Contains(s, "10.0.0.0/24") {
		t.Error("an empty secret did not keep the stored one")
	}
	// Renamed, or in another's place, it is nobody's.
	change("client-was-0", "gate", "client-name-0", "mallory", "client-networks-0", "10.0.0.0/24")
	root.Sees("There is no stored secret of mallory to keep; write a new one.")
	change("client-was-0", "gate", "client-name-0", "gate", "client-networks-0", "10.0.0.0/24", "client-was-1", "door", "client-name-1", "door", "client-networks-1", "10.1.0.1", "client-gone-0", "yes")
	root.Sees("The application was saved.")
	if s := stored(); strings.Contains(s, first) || !strings.Contains(s, second) {
		t.Error("removing one client did not leave the other's secret")
	}
	change("advanced", "yes", "settings", `{"clients":[{"name":"door","networks":["10.1.0.1"],"secret":"(hidden)"}],"timeout":9}`)
	root.Sees("The application was saved.")
	if s := stored(); !strings.Contains(s, second) || !strings.Contains(s, "9") {
		t.Error("the advanced form did not keep the secret")
	}
	root.Get("/console/audit")
	if strings.Contains(root.Page, first) || strings.Contains(root.Page, second) {
		t.Error("the log shows a secret")
	}
	root.Post("/console/applications/vpn/change", "advanced", "yes", "protocol", "radius", "kind", "vpn", "settings", "{")
	root.Sees("That is not JSON")
}

// The promise: an application of Yubico's protocol is made and changed in the form like
// any other, serves, and its key is on no page and in no answer again.
func TestConsoleMakesYubico(t *testing.T) {
	w := servertest.NewWorld(t)
	root := w.Person()
	root.Comes("root", w.Administrator("root").Secret)
	root.Get("/console/new-application")
	root.Sees("By Yubico's protocol")
	root.Get("/console/new-application?protocol=yubico")
	form := []string{"protocol", "yubico", "kind", "vpn", "tier", "standard", "vouches", "password"}
	post := func(path string, more ...string) {
		t.Helper()
		root.Does(path, append(append([]string{}, form...), more...)...)
	}
	post("/console/new-application", "base", "{}", "name", "gate", "client-name-0", "gateway", "client-id-0", "seven")
	root.Sees("Write a number.")
	root.Sees("A new client needs a key.")
	post("/console/new-application", "base", "{}", "name", "gate", "client-name-0", "gateway", "client-id-0", "7", "client-key-0", servertest.GatewayKey)
	root.Sees("The application was saved.")
	root.Get("/console/applications/gate")
	root.Sees(`name="client-id-0" type="number" value="7"`)
	if strings.Contains(root.Page, servertest.GatewayKey) {
		t.Error("the page shows a key")
	}
	base := html.UnescapeString(regexp.MustCompile(`name="base" value="([^"]*)"`).FindStringSubmatch(root.Page)[1])
	post("/console/applications/gate/change", "base", base, "client-was-0", "gateway", "client-name-0", "gateway", "client-id-0", "9")
	root.Sees("The application was saved.")
	app, err := w.Catalogue.Get(t.Context(), "gate")
	if want := `{"clients":[{"id":9,"key":"` + servertest.GatewayKey + `","name":"gateway"}]}`; err != nil || string(app.Settings) != want || app.Vouches != "password" {
		t.Errorf("the form that kept a key made other settings of it (%v)", err)
	}
	if got := (servertest.Validator{W: w, Base: w.Base, Id: 9, Key: servertest.GatewayKey}).Otp(strings.Repeat("c", 44)); got != "BAD_OTP" {
		t.Errorf("the client whose application was made in the form is answered %s", got)
	}
}

// The promise: what cannot be a policy is refused by its line before anybody
// approves it, one that locks the door by its own test is not saved, and the log
// that is exported can be verified.
func TestConsolePolicyAndLog(t *testing.T) {
	w := servertest.NewWorld(t)
	root := w.Person()
	root.Comes("root", w.Administrator("root").Secret)
	w.Later(6 * time.Minute)
	root.Get("/console/policy/edit")
	root.Sees("# Countersign's policy")
	root.Post("/console/policy/save", "body", "rules:\r\n  - name: all\r\n    require: two-factor\r\n")
	root.Sees("Line 3")
	root.Sees("two-factors")
	root.Post("/console/policy/check", "body", "rules:\r\n  - name: all\r\n    require: two-factors\r\n")
	root.Sees("It can be a policy")
	root.Does("/console/policy/save", "body", "rules:\r\n  - name: all\r\n    require: two-factors\r\ntests:\r\n  - name: strict\r\n    given: {action: sign-in}\r\n    expect: phishing-resistant\r\n")
	root.Sees("does not hold")
	root.Does("/console/policy/save", "body", "rules:\r\n  - name: all\r\n    require: two-factors\r\n    within: 1h\r\n")
	root.Sees("The policy is in force")
	doc, err := w.Rules.Latest(t.Context(), w.DB)
	if err != nil || doc.Body != "rules:\n  - name: all\n    require: two-factors\n    within: 1h\n" || doc.Author != "root" {
		t.Errorf("saved %+v, %v", doc, err)
	}
	root.Get("/console/policy/versions")
	root.Sees("in force")
	root.Get("/console/policy/explain?account=root&source=nowhere")
	root.Sees("is not an address")
	root.Get("/console/policy/explain?account=root")
	root.Sees("root can sign in to countersign")

	root.Get("/console/audit?event=policy&account=nobody")
	root.Sees("There is no account of that name.")
	root.Get("/console/audit?since=yesterday")
	root.Sees("Write a day")
	root.Get("/console/audit?event=policy")
	root.Sees("root changed the policy")
	root.Get("/console/audit/export")
	log, err := audit.ReadLog(strings.NewReader(root.Page))
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
	if n < 10 || w.Events("audit.exported") != 1 {
		t.Errorf("%d entries were exported, %d exports are in the log", n, w.Events("audit.exported"))
	}
	if strings.Contains(root.Page, servertest.Passphrase) {
		t.Error("the export holds a password")
	}
}

// Groups are made, filled, emptied and removed; names of others are text and
// nothing else, wherever they are shown.
func TestConsoleGroupsAndHostileNames(t *testing.T) {
	w := servertest.NewWorld(t)
	root := w.Person()
	root.Comes("root", w.Administrator("root").Secret)
	root.Get("/console/new-group")
	root.Does("/console/new-group", "name", "a group")
	root.Sees("without spaces")
	root.Does("/console/new-group", "name", "operators", "display", `"><script>alert(1)</script>`)
	root.Sees("The group was made.")
	root.Does("/console/new-account", "name", "eve@example.org", "display", `<img src=x onerror=alert(1)>`, "kind", "person", "groups", "operators")
	root.Sees("The account was made.")
	root.Does("/console/groups/operators/add", "account", "nobody-at-all")
	root.Sees("There is no account of that name.")
	root.Does("/console/groups/operators/add", "account", "eve@example.org")
	root.Sees("is in operators already")
	for _, path := range []string{"/console", "/console/accounts", "/console/accounts/eve@example.org", "/console/groups", "/console/groups/operators", "/console/audit", "/console/new-account"} {
		root.Get(path)
		if root.Status != http.StatusOK || strings.Contains(root.Page, "<img src=x") || strings.Contains(root.Page, "<script>alert") {
			t.Errorf("%s: %d, or a name that is more than text", path, root.Status)
		}
	}
	root.Does("/console/groups/operators/remove")
	if w.Events("group.removed") != 0 {
		t.Error("a group with members was removed")
	}
	root.Get("/console/groups/operators")
	root.Does("/console/groups/operators/take-out", "account", "eve@example.org")
	root.Sees("was taken out")
	root.Does("/console/groups/operators/remove")
	root.Sees("The group was removed.")
}

// The promise: where a policy wants a fresh proof for looking as well, it is
// asked for once and then looked at; what was proved for looking approves no
// change, and nobody is sent in circles.
func TestConsoleUnderAPolicyThatWantsFreshLooks(t *testing.T) {
	w := servertest.NewWorld(t)
	secret := w.Administrator("root").Secret
	w.EnrollCodes("ada")
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
	root := w.Person()
	root.Comes("root", secret)
	w.Later(6 * time.Minute)
	root.Get("/console/accounts/ada")
	root.Sees("<h1>Sign in</h1>")
	root.Post("/sign-in", "authenticator", "password", "text", servertest.Passphrase)
	root.Post("/sign-in", "authenticator", "totp", "text", root.Code())
	root.Sees("Ways to sign in")
	w.Later(2 * time.Minute)
	root.Get("/console/accounts/ada")
	root.Sees("Ways to sign in")
	root.Post("/console/accounts/ada/suspend", "reason", "left")
	root.Sees("person ada: left")
	if w.Events("account.suspended") != 0 {
		t.Error("what was proved for looking approved a change")
	}
	root.Proves()
	root.Sees("its sessions have ended")
}

// The page of coverage and the list of accounts say what the commands say: the
// automation keys that open rows, and who is dormant beside being active.
func TestConsoleNamesKeysAndDormantAccounts(t *testing.T) {
	w := servertest.NewWorld(t)
	root := w.Person()
	root.Comes("root", w.Administrator("root").Secret)
	root.Does("/console/new-account", "name", "drill", "kind", "service")
	root.Does("/console/accounts/drill/key", "actions", "account.create", "networks", "192.0.2.1/32", "days", "1", "note", "a <b>drill</b>")
	root.Get("/console/coverage")
	root.Sees("Automation keys that open rows")
	if strings.Contains(root.Page, "<b>drill") || !strings.Contains(root.Page, "&lt;b&gt;drill&lt;/b&gt;") {
		t.Error("what a key is for is not shown, or shown as it is")
	}
	root.Sees("opens T1098, T1136 for account.create")
	root.Sees("countersign authenticator revoke drill")
	root.Does("/console/new-account", "name", "idle", "kind", "person")
	w.Later(20 * 24 * time.Hour)
	root.Comes("root", root.Secret)
	w.Later(20 * 24 * time.Hour)
	root.Comes("root", root.Secret)
	root.Get("/console/coverage")
	if strings.Contains(root.Page, "Automation keys that open rows") {
		t.Error("a key that has ended is named")
	}
	root.Sees("are dormant: they get nothing")
	root.Get("/console/accounts?q=idle")
	root.Sees(`<span class="tag warn">dormant</span>`)
}

// The console says when an account ends and that it has, names no key of one that has, and
// gives it another end or none.
func TestConsoleOfAccountsThatEnd(t *testing.T) {
	w := servertest.NewWorld(t)
	root := w.Person()
	root.Comes("root", w.Administrator("root").Secret)
	root.Does("/console/new-account", "name", "temp", "kind", "service", "ends", "24h")
	root.Does("/console/accounts/temp/key", "actions", "account.create", "networks", "192.0.2.1/32", "days", "9", "note", "a drill")
	root.Get("/console/coverage")
	root.Sees("Automation keys that open rows")
	root.Get("/console/accounts/temp")
	root.Sees("has an end")
	w.Later(25 * time.Hour)
	root.Comes("root", root.Secret)
	root.Get("/console/coverage")
	if strings.Contains(root.Page, "Automation keys that open rows") {
		t.Error("a key is named whose account has ended")
	}
	root.Get("/console/accounts?state=ended")
	root.Sees(`<span class="tag bad">ended</span>`)
	root.Get("/console/accounts/temp")
	root.Sees("Give the account a later end")
	root.Does("/console/accounts/temp/set-end", "ends", "never", "reason", "it stays")
	root.Get("/console/accounts/temp")
	if strings.Contains(root.Page, ">ended<") || strings.Contains(root.Page, "has an end") {
		t.Error("it has an end still")
	}
	root.Get("/console/audit?event=account.end-set")
	root.Sees("set the end of temp to never: it stays")
	root.Get("/console/new-account")
	root.Does("/console/new-account", "name", "brief", "kind", "person", "ends", "59s")
	root.Sees("An account ends after a minute at the soonest")
}
