package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"html"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"countersign/internal/admin/account"
	keys "countersign/internal/admin/key"
	"countersign/internal/admin/nouns"
	"countersign/internal/audit"
	"countersign/internal/authenticator/apikey"
	"countersign/internal/directory"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/web/api"
)

// The promise: an administrator works from the command line, each change is
// approved in the browser by its exact text, and nobody else's approval or
// session does it.
func TestCommandLine(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.Administrator("ada")
	eve := w.Administrator("eve") // an administrator as well, and still not whose it is
	sh, browser := w.Shell(), w.Person()

	if _, complaint, ok := sh.Run("", "account", "list"); ok || !strings.Contains(complaint, "countersign login") {
		t.Errorf("without a session: %s", complaint)
	}
	sh.Login(browser, "ada", ada.Code())
	out, complaint, ok := sh.Run("", "account", "list")
	if !ok || !strings.Contains(out, "ada") || !strings.Contains(out, "eve") || !strings.Contains(out, "NAME") {
		t.Fatalf("%s%s", out, complaint)
	}
	out, _, _ = sh.Run("", "--json", "account", "show", "ada")
	var shown account.Detail
	if err := json.Unmarshal([]byte(out), &shown); err != nil || shown.Name != "ada" || len(shown.Sessions) < 2 {
		t.Errorf("%v in %s", err, out)
	}

	for _, c := range []struct{ says, args string }{
		{"no account of that name", "account show nobody"},
		{"did you mean", "account lst"},
		{"expected \"<name>\"", "account show"},
	} {
		if _, complaint, ok := sh.Run("", strings.Fields(c.args)...); ok || !strings.Contains(complaint, c.says) {
			t.Errorf("%s: %s", c.args, complaint)
		}
	}
	w.Later(6 * time.Minute) // longer ago than administration accepts
	create := sh.Start("account", "create", "bob", "--display", "Bob", "--mail", "bob@example.org")
	stranger := w.Person()
	stranger.Get(create.Page)
	if strings.Contains(stranger.Page, "bob@example.org") {
		t.Error("whoever has no session reads what is asked for")
	}
	stranger.SignIn("eve", eve.Code())
	_, secret, _ := strings.Cut(create.Page, "code=")
	eves := w.Person()
	eves.Get("/sign-in")
	w.Later(time.Minute)
	eves.SignIn("eve", eve.Code())
	for _, refuse := range []string{"", "yes"} {
		eves.Get("/account")
		eves.Post("/approve", "code", secret, "refuse", refuse)
		if eves.Status != http.StatusForbidden {
			t.Errorf("somebody else answers it: %d", eves.Status)
		}
	}
	if stranger.Status == http.StatusOK || w.Events("account.created") != 2 {
		t.Errorf("somebody else approved it: status %d\n%s", stranger.Status, stranger.Page)
	}
	browser.Approves(create.Page, "person bob, called \"Bob\", mail bob@example.org, in no group", "ada", ada.Code())
	browser.Sees("Done")
	if out, complaint, ok := create.End(); !ok || !strings.Contains(out, "bob@example.org") {
		t.Errorf("%s%s", out, complaint)
	}
	browser.Get(create.Page)
	if browser.Status == http.StatusOK {
		t.Error("an approval's page is still good after it was used")
	}

	suspend := sh.Start("account", "suspend", "bob", "--reason", "a test")
	browser.Get(suspend.Page)
	_, code, _ := strings.Cut(suspend.Page, "code=")
	browser.Post("/approve", "code", code, "refuse", "yes")
	if _, complaint, ok := suspend.End(); ok || !strings.Contains(complaint, "refused in the browser") {
		t.Errorf("a refused command: %s", complaint)
	}
	if w.Events("account.suspended") != 0 {
		t.Error("a refused command was done")
	}

	if out, complaint, ok := sh.Run("", "logout"); !ok {
		t.Errorf("%s%s", out, complaint)
	}
	if _, complaint, ok := sh.Run("", "account", "list"); ok {
		t.Errorf("signed out: %s", complaint)
	}
}

// The promise: the code of a login is good for the command line that began it,
// and a stranger's use of it ends the session behind it.
func TestLoginCodeIsBound(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.Administrator("ada")
	sh, browser := w.Shell(), w.Person()
	c := sh.Start("login")
	browser.Approves(c.Page, "A command line wants", "ada", ada.Code())
	m := servertest.Onward.FindStringSubmatch(html.UnescapeString(browser.Page))
	if m == nil {
		t.Fatal(browser.Page)
	}
	_, code, _ := strings.Cut(m[1], "code=")
	thief := &client{connection: connection{Server: w.Base}, http: http.DefaultClient, base: w.Base}
	var s api.Session
	if _, err := thief.call(t.Context(), "POST", api.Root+"login/finish", api.LoginFinish{Code: code, Verifier: "guessed"}, &s); err == nil || s.Secret != "" {
		t.Error("a code without its verifier began a session")
	}
	browser.Get(m[1])
	if out, complaint, ok := c.End(); ok {
		t.Errorf("the stolen code was good once more: %s%s", out, complaint)
	}
	for _, bad := range []string{"http://evil.example/", "http://127.0.0.1/", "https://127.0.0.1:1/", "http://127.0.0.1:1/x", "http://localhost:1/", "http://u@127.0.0.1:1/", "javascript:x"} {
		in := api.LoginBegin{Challenge: strings.Repeat("A", 43), Redirect: bad}
		if _, err := thief.call(t.Context(), "POST", api.Root+"login", in, nil); err == nil {
			t.Errorf("the code would be sent to %s", bad)
		}
	}
}

// The promise: a command line's session opens no page, and a page's no command.
func TestSessionsDoNotCross(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.Administrator("ada")
	sh, browser := w.Shell(), w.Person()
	sh.Login(browser, "ada", ada.Code())
	w.Later(time.Minute)
	kept, err := os.ReadFile(sh.Home + "/countersign/login.json")
	if err != nil {
		t.Fatal(err)
	}
	var l login
	if err := json.Unmarshal(kept, &l); err != nil {
		t.Fatal(err)
	}
	thief := w.Person()
	req, _ := http.NewRequest("GET", w.Base+"/account", nil)
	req.AddCookie(&http.Cookie{Name: "countersign", Value: l.Secret})
	thief.Take(thief.Client.Do(req))
	if strings.Contains(thief.Page, "Where you are signed in") {
		t.Error("a command line's session opened the portal")
	}
	c := &client{connection: connection{Server: w.Base}, http: http.DefaultClient, base: w.Base, login: login{Server: w.Base, Secret: w.SignedIn(ada)}}
	if _, err := c.call(t.Context(), "POST", api.Root+"commands/account.list", struct{}{}, nil); err == nil {
		t.Error("a browser's session did a command")
	}
}

// The promise: policy permitting, typed answers on the terminal sign in and
// approve; a wrong code does not.
func TestTerminal(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.Administrator("ada")
	sh := w.Shell()
	if out, complaint, ok := sh.Run(servertest.Passphrase+"\n000000\n", "login", "--terminal", "ada"); ok {
		t.Errorf("%s%s", out, complaint)
	}
	if out, complaint, ok := sh.Run(servertest.Passphrase+"\n"+ada.Code()+"\n", "login", "--terminal", "ada"); !ok {
		t.Fatalf("%s%s", out, complaint)
	}
	w.Later(6 * time.Minute) // longer ago than administration accepts
	if out, complaint, ok := sh.Run("wrong\n", "account", "create", "bob"); ok {
		t.Errorf("%s%s", out, complaint)
	}
	if w.Events("account.created") != 1 {
		t.Error("created without approval")
	}
	out, complaint, ok := sh.Run(servertest.Passphrase+"\n"+ada.Code()+"\n", "account", "create", "bob")
	if !ok || !strings.Contains(complaint, "person bob, in no group") {
		t.Errorf("%s%s", out, complaint)
	}
}

// The promise: an automation key does what it was issued for, from where it was
// issued for, until it ends; and nothing else.
func TestAutomationKey(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.Administrator("ada")
	sh, browser := w.Shell(), w.Person()
	sh.Login(browser, "ada", ada.Code())
	done := func(args ...string) string {
		t.Helper()
		out, complaint, ok := sh.Run("", args...) // just signed in, so at once
		if !ok {
			t.Fatalf("%s%s", out, complaint)
		}
		return out
	}
	done("account", "create", "robot", "--kind", "service")
	var key keys.Key
	out := done("--json", "key", "issue", "robot", "--action", "account.list", "--action", "account.create", "--network", "127.0.0.0/8", "--days", "30")
	if err := json.Unmarshal([]byte(out), &key); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	robot := w.Shell()
	robot.Env = []string{"COUNTERSIGN_KEY=" + key.Key}
	for _, c := range []struct {
		args string
		ok   bool
	}{{"account list", true}, {"account create carol", true}, {"account show ada", false}, {"pass issue eve", false}, {"key issue robot --action account.list --network 10.0.0.0/8", false}} {
		if out, complaint, ok := robot.Run("", strings.Fields(c.args)...); ok != c.ok {
			t.Errorf("%s: %t: %s%s", c.args, ok, out, complaint)
		}
	}
	ask := func(text, source string) int {
		req, _ := http.NewRequest("POST", w.Base+api.Root+"commands/account.list", strings.NewReader("{}"))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+text)
		req.Header.Set("X-Forwarded-For", source)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := ask(key.Key, "127.0.0.1"); got != http.StatusOK {
		t.Errorf("from its network: %d", got)
	}
	if got := ask(key.Key, "203.0.113.9"); got != http.StatusForbidden {
		t.Errorf("from elsewhere: %d", got)
	}
	last := "7"
	if strings.HasSuffix(key.Key, last) {
		last = "6"
	}
	if got := ask(key.Key[:len(key.Key)-1]+last, "127.0.0.1"); got != http.StatusForbidden {
		t.Errorf("another key: %d", got)
	}
	w.Later(31 * 24 * time.Hour)
	if got := ask(key.Key, "127.0.0.1"); got != http.StatusForbidden {
		t.Errorf("after its end: %d", got)
	}
	if n := w.Events("signin.refused"); n < 6 {
		t.Errorf("%d refusals are in the log", n)
	}
	entries, err := w.DB.AuditLog().Entries(t.Context(), store.Filter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	_, secret, _ := strings.Cut(strings.TrimPrefix(key.Key, "cskey_"), "_")
	for _, e := range entries {
		if b, _ := json.Marshal(e); bytes.Contains(b, []byte(secret)) {
			t.Errorf("the key is in the log: %s", e.Event)
		}
	}
}

// Every command of admin can be said on the command line, and its document
// describes it. Its summary stands in admin's list and nowhere else.
func TestEveryCommandCanBeSaid(t *testing.T) {
	p, err := parser(&commands{})
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	summaries := map[string]string{}
	for _, s := range nouns.Commands() {
		summaries[s.Action] = s.Summary
	}
	var walk func(path []string, n *kong.Node)
	walk = func(path []string, n *kong.Node) {
		action := strings.Join(path, ".")
		if n.Type == kong.CommandNode && n.Help == "" {
			t.Errorf("%s says nothing of itself in the help", action)
		}
		if n.Tag != nil && n.Tag.Help != "" && n.Tag.Help == summaries[action] {
			t.Errorf("the summary of %s stands twice; leave out its help", action)
		}
		if len(n.Children) == 0 {
			said = append(said, strings.Join(path, "."))
		}
		for _, kid := range n.Children {
			walk(append(slices.Clone(path), kid.Name), kid)
		}
	}
	walk(nil, p.Model.Node)
	for _, s := range nouns.Commands() {
		if !slices.Contains(said, s.Action) {
			t.Errorf("%s cannot be said on the command line", s.Action)
		}
		if s.Answer == nil {
			t.Errorf("%s does not say what it answers; see the list of commands", s.Action)
		}
	}
}

// A key that hangs from a person's account is nothing, whoever put it there.
func TestKeysAreForServices(t *testing.T) {
	w := servertest.NewWorld(t)
	w.Administrator("ada")
	ctx := context.Background()
	text, enrolled, err := apikey.Issue(apikey.Terms{Actions: []string{"account.list"}, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Expires: w.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	err = w.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		d, err := w.Accounts.Find(ctx, tx, "ada")
		if err != nil {
			return err
		}
		if _, err := w.Credentials.Add(ctx, tx, directory.Credential{Account: d.ID, Kind: "apikey", Label: "smuggled", Handle: enrolled.Handle, Traits: enrolled.Traits, State: enrolled.State}); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.key", Outcome: audit.OK})
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := w.Engine.CheckKey(ctx, signin.Request{Application: signin.Self, Action: "account.list", Protocol: api.Protocol, Source: netip.MustParseAddr("127.0.0.1")}, "apikey", text)
	if err != nil || s.State != signin.Denied || s.Reason != "not-a-service" {
		t.Errorf("%v %s %v", s.State, s.Reason, err)
	}
}
