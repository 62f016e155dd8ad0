package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
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
	"countersign/internal/policy"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/web/api"
)

// administrator is enrollCodes for a member of administrators, under the policy
// for those who have codes.
func (w *world) administrator(name string) *person {
	w.t.Helper()
	p := w.enrollCodes(name)
	w.promote(name)
	w.setPolicy(string(policy.DefaultForCodes()))
	return p
}

// shell is a person's command line, with a home of its own.
type shell struct {
	w    *world
	home string
	env  []string
}

func (w *world) shell() *shell { return &shell{w: w, home: w.t.TempDir()} }

func (s *shell) command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append([]string{asProgram + "=1", "HOME=" + s.home, "XDG_CONFIG_HOME=" + s.home, "PATH=" + os.Getenv("PATH"), "COUNTERSIGN_SERVER=" + s.w.base}, s.env...)
	return cmd
}

// run runs a command to its end.
func (s *shell) run(stdin string, args ...string) (out, complaint string, ok bool) {
	s.w.t.Helper()
	cmd := s.command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	return stdout.String(), stderr.String(), err == nil
}

// waiting is a command that waits for a browser.
type waiting struct {
	t    testing.TB
	cmd  *exec.Cmd
	page string
	out  bytes.Buffer
	rest chan string
}

var address = regexp.MustCompile(`http://\S+/approve\?code=\S+`)

// start begins a command that prints a page for the browser.
func (s *shell) start(args ...string) *waiting {
	s.w.t.Helper()
	w := &waiting{t: s.w.t, cmd: s.command(args...), rest: make(chan string, 1)}
	w.cmd.Stdout = &w.out
	pipe, err := w.cmd.StderrPipe()
	if err != nil {
		s.w.t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		s.w.t.Fatal(err)
	}
	lines := bufio.NewReader(pipe)
	var said strings.Builder
	for w.page == "" {
		line, err := lines.ReadString('\n')
		said.WriteString(line)
		if w.page = address.FindString(line); w.page == "" && err != nil {
			w.cmd.Wait()
			s.w.t.Fatalf("%v printed no page: %s", args, said.String())
		}
	}
	go func() { b, _ := io.ReadAll(lines); w.rest <- string(b) }()
	return w
}

// end waits for the command and returns what it printed.
func (w *waiting) end() (out, complaint string, ok bool) {
	w.t.Helper()
	complaint = <-w.rest
	err := w.cmd.Wait()
	return w.out.String(), complaint, err == nil
}

// signIn answers the sign-in pages that the browser is on.
func (p *person) signIn(name, code string) {
	p.w.t.Helper()
	fields := []string{"authenticator", "password", "text", passphrase}
	if strings.Contains(p.page, `name="name"`) { // who is signed in proves to be themselves
		fields = append(fields, "name", name)
	}
	p.post("/sign-in", fields...)
	p.post("/sign-in", "authenticator", "totp", "text", code)
}

var onward = regexp.MustCompile(`href="(http://127\.0\.0\.1:\d+/\?code=[^"]+)"`)

// login signs the shell in through the browser, as the person does.
func (s *shell) login(browser *person, name, code string) {
	s.w.t.Helper()
	c := s.start("login")
	browser.approves(c.page, "A command line wants to act as you", name, code)
	m := onward.FindStringSubmatch(html.UnescapeString(browser.page))
	if m == nil {
		s.w.t.Fatalf("the browser is not sent on:\n%s", browser.page)
	}
	browser.get(m[1])
	if out, complaint, ok := c.end(); !ok || !strings.Contains(out, "as "+name) {
		s.w.t.Fatalf("%s%s", out, complaint)
	}
}

// approves opens a page that the command line printed, presses the button, and proves
// who it is, before or after, where that is asked for.
func (p *person) approves(page, says, name, code string) {
	p.w.t.Helper()
	p.get(page)
	if strings.Contains(p.page, `name="name"`) {
		p.signIn(name, code)
	}
	p.sees(says)
	_, secret, _ := strings.Cut(page, "code=")
	p.post("/approve", "code", secret)
	if strings.Contains(p.page, `action="/sign-in"`) {
		p.signIn(name, code)
	}
}

// The promise: an administrator works from the command line, each change is
// approved in the browser by its exact text, and nobody else's approval or
// session does it.
func TestCommandLine(t *testing.T) {
	w := newWorld(t)
	ada := w.administrator("ada")
	eve := w.administrator("eve") // an administrator as well, and still not whose it is
	sh, browser := w.shell(), w.person()

	if _, complaint, ok := sh.run("", "account", "list"); ok || !strings.Contains(complaint, "countersign login") {
		t.Errorf("without a session: %s", complaint)
	}
	sh.login(browser, "ada", ada.code())
	out, complaint, ok := sh.run("", "account", "list")
	if !ok || !strings.Contains(out, "ada") || !strings.Contains(out, "eve") || !strings.Contains(out, "NAME") {
		t.Fatalf("%s%s", out, complaint)
	}
	out, _, _ = sh.run("", "--json", "account", "show", "ada")
	var shown account.Detail
	if err := json.Unmarshal([]byte(out), &shown); err != nil || shown.Name != "ada" || len(shown.Sessions) < 2 {
		t.Errorf("%v in %s", err, out)
	}

	for _, c := range []struct{ says, args string }{
		{"no account of that name", "account show nobody"},
		{"did you mean", "account lst"},
		{"expected \"<name>\"", "account show"},
	} {
		if _, complaint, ok := sh.run("", strings.Fields(c.args)...); ok || !strings.Contains(complaint, c.says) {
			t.Errorf("%s: %s", c.args, complaint)
		}
	}
	w.later(6 * time.Minute) // longer ago than administration accepts
	create := sh.start("account", "create", "bob", "--display", "Bob", "--mail", "bob@example.org")
	stranger := w.person()
	stranger.get(create.page)
	if strings.Contains(stranger.page, "bob@example.org") {
		t.Error("whoever has no session reads what is asked for")
	}
	stranger.signIn("eve", eve.code())
	_, secret, _ := strings.Cut(create.page, "code=")
	eves := w.person()
	eves.get("/sign-in")
	w.later(time.Minute)
	eves.signIn("eve", eve.code())
	for _, refuse := range []string{"", "yes"} {
		eves.get("/account")
		eves.post("/approve", "code", secret, "refuse", refuse)
		if eves.status != http.StatusForbidden {
			t.Errorf("somebody else answers it: %d", eves.status)
		}
	}
	if stranger.status == http.StatusOK || w.events("account.created") != 2 {
		t.Errorf("somebody else approved it: status %d\n%s", stranger.status, stranger.page)
	}
	browser.approves(create.page, "person bob, called \"Bob\", mail bob@example.org, in no group", "ada", ada.code())
	browser.sees("Done")
	if out, complaint, ok := create.end(); !ok || !strings.Contains(out, "bob@example.org") {
		t.Errorf("%s%s", out, complaint)
	}
	browser.get(create.page)
	if browser.status == http.StatusOK {
		t.Error("an approval's page is still good after it was used")
	}

	suspend := sh.start("account", "suspend", "bob", "--reason", "a test")
	browser.get(suspend.page)
	_, code, _ := strings.Cut(suspend.page, "code=")
	browser.post("/approve", "code", code, "refuse", "yes")
	if _, complaint, ok := suspend.end(); ok || !strings.Contains(complaint, "refused in the browser") {
		t.Errorf("a refused command: %s", complaint)
	}
	if w.events("account.suspended") != 0 {
		t.Error("a refused command was done")
	}

	if out, complaint, ok := sh.run("", "logout"); !ok {
		t.Errorf("%s%s", out, complaint)
	}
	if _, complaint, ok := sh.run("", "account", "list"); ok {
		t.Errorf("signed out: %s", complaint)
	}
}

// The promise: the code of a login is good for the command line that began it,
// and a stranger's use of it ends the session behind it.
func TestLoginCodeIsBound(t *testing.T) {
	w := newWorld(t)
	ada := w.administrator("ada")
	sh, browser := w.shell(), w.person()
	c := sh.start("login")
	browser.approves(c.page, "A command line wants", "ada", ada.code())
	m := onward.FindStringSubmatch(html.UnescapeString(browser.page))
	if m == nil {
		t.Fatal(browser.page)
	}
	_, code, _ := strings.Cut(m[1], "code=")
	thief := &client{connection: connection{Server: w.base}, http: http.DefaultClient, base: w.base}
	var s api.Session
	if _, err := thief.call(t.Context(), "POST", api.Root+"login/finish", api.LoginFinish{Code: code, Verifier: "guessed"}, &s); err == nil || s.Secret != "" {
		t.Error("a code without its verifier began a session")
	}
	browser.get(m[1])
	if out, complaint, ok := c.end(); ok {
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
	w := newWorld(t)
	ada := w.administrator("ada")
	sh, browser := w.shell(), w.person()
	sh.login(browser, "ada", ada.code())
	w.later(time.Minute)
	kept, err := os.ReadFile(sh.home + "/countersign/login.json")
	if err != nil {
		t.Fatal(err)
	}
	var l login
	if err := json.Unmarshal(kept, &l); err != nil {
		t.Fatal(err)
	}
	thief := w.person()
	req, _ := http.NewRequest("GET", w.base+"/account", nil)
	req.AddCookie(&http.Cookie{Name: "countersign", Value: l.Secret})
	thief.take(thief.client.Do(req))
	if strings.Contains(thief.page, "Where you are signed in") {
		t.Error("a command line's session opened the portal")
	}
	c := &client{connection: connection{Server: w.base}, http: http.DefaultClient, base: w.base, login: login{Server: w.base, Secret: w.signedIn(ada)}}
	if _, err := c.call(t.Context(), "POST", api.Root+"commands/account.list", struct{}{}, nil); err == nil {
		t.Error("a browser's session did a command")
	}
}

// The promise: policy permitting, typed answers on the terminal sign in and
// approve; a wrong code does not.
func TestTerminal(t *testing.T) {
	w := newWorld(t)
	ada := w.administrator("ada")
	sh := w.shell()
	if out, complaint, ok := sh.run(passphrase+"\n000000\n", "login", "--terminal", "ada"); ok {
		t.Errorf("%s%s", out, complaint)
	}
	if out, complaint, ok := sh.run(passphrase+"\n"+ada.code()+"\n", "login", "--terminal", "ada"); !ok {
		t.Fatalf("%s%s", out, complaint)
	}
	w.later(6 * time.Minute) // longer ago than administration accepts
	if out, complaint, ok := sh.run("wrong\n", "account", "create", "bob"); ok {
		t.Errorf("%s%s", out, complaint)
	}
	if w.events("account.created") != 1 {
		t.Error("created without approval")
	}
	out, complaint, ok := sh.run(passphrase+"\n"+ada.code()+"\n", "account", "create", "bob")
	if !ok || !strings.Contains(complaint, "account.create: person bob") {
		t.Errorf("%s%s", out, complaint)
	}
}

// The promise: an automation key does what it was issued for, from where it was
// issued for, until it ends; and nothing else.
func TestAutomationKey(t *testing.T) {
	w := newWorld(t)
	ada := w.administrator("ada")
	sh, browser := w.shell(), w.person()
	sh.login(browser, "ada", ada.code())
	done := func(args ...string) string {
		t.Helper()
		out, complaint, ok := sh.run("", args...) // just signed in, so at once
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
	robot := w.shell()
	robot.env = []string{"COUNTERSIGN_KEY=" + key.Key}
	for _, c := range []struct {
		args string
		ok   bool
	}{{"account list", true}, {"account create carol", true}, {"account show ada", false}, {"pass issue eve", false}, {"key issue robot --action account.list --network 10.0.0.0/8", false}} {
		if out, complaint, ok := robot.run("", strings.Fields(c.args)...); ok != c.ok {
			t.Errorf("%s: %t: %s%s", c.args, ok, out, complaint)
		}
	}
	ask := func(text, source string) int {
		req, _ := http.NewRequest("POST", w.base+api.Root+"commands/account.list", strings.NewReader("{}"))
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
	w.later(31 * 24 * time.Hour)
	if got := ask(key.Key, "127.0.0.1"); got != http.StatusForbidden {
		t.Errorf("after its end: %d", got)
	}
	if n := w.events("signin.refused"); n < 6 {
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
	w := newWorld(t)
	w.administrator("ada")
	ctx := context.Background()
	text, enrolled, err := apikey.Issue(apikey.Terms{Actions: []string{"account.list"}, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Expires: w.now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	err = w.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		d, err := w.Directory.Find(ctx, tx, "ada")
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
