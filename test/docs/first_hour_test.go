package docs

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"countersign/internal/servertest"
	"countersign/internal/store/storetest"
	"countersign/internal/testbed"
)

// firstHour is the page that leads from a clone to two sign-ins. It is not pasted on the stage
// of the others, but as it stands, with the program that it compiles.
const firstHour = "docs/first-hour.md"

// terminal is a shell into which blocks are pasted, and what it printed.
type terminal struct {
	t     *testing.T
	typed io.Writer
	mu    sync.Mutex
	shown bytes.Buffer
	n     int
}

func (w *terminal) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.shown.Write(b)
}

// since is what was printed after a place.
func (w *terminal) since(place int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.shown.String()[place:]
}

func (w *terminal) place() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.shown.Len()
}

// open starts a shell in a folder. It ends with the test, and with it what it started.
func open(t *testing.T, folder string, env []string) *terminal {
	t.Helper()
	cmd := exec.Command(mustLook(t, "bash"))
	cmd.Dir, cmd.Env, cmd.SysProcAttr, cmd.WaitDelay = folder, env, &syscall.SysProcAttr{Setpgid: true}, 5*time.Second
	typed, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	w := &terminal{t: t, typed: typed}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the terminal:\n%s", masked(w.since(0)))
		}
	})
	w.types("set -o pipefail; trap 'echo \"[did not work: $BASH_COMMAND]\"' ERR\n")
	return w
}

func (w *terminal) types(text string) {
	w.t.Helper()
	if _, err := io.WriteString(w.typed, text); err != nil {
		w.t.Fatal(err)
	}
}

// until waits for something to be printed after a place, and returns it.
func (w *terminal) until(place int, what *regexp.Regexp) []string {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		printed := w.since(place)
		if strings.Contains(printed, "[did not work: ") {
			w.t.Fatalf("what the page shows does not work:\n%s", masked(printed))
		}
		if m := what.FindStringSubmatch(printed); m != nil {
			return m
		}
	}
	w.t.Fatalf("it never printed %s:\n%s", what, masked(w.since(place)))
	return nil
}

// paste pastes text and what is typed behind it, waits for its end, and returns what was
// printed. Whoever has a browser approves what asks for it.
func (w *terminal) paste(text string, approve func(page string)) string {
	w.t.Helper()
	place := w.place()
	w.n++
	end := fmt.Sprintf("[end %d]", w.n)
	w.types(text + "echo '" + end + "'\n")
	either := regexp.MustCompile(`(http://\S+/approve\?code=\S+)\n|` + regexp.QuoteMeta(end))
	for from := place; ; {
		m := w.until(from, either)
		if m[1] == "" {
			return w.since(place)
		}
		from += strings.Index(w.since(from), m[1]) + len(m[1])
		approve(m[1])
	}
}

// secrets are links that are good once, passes, and what is typed at a VPN.
var secrets = regexp.MustCompile(`code=\S+|(?m)^code +\S+|Password = "[^"]*"`)

// masked is what a terminal printed, without the secrets in it.
func masked(printed string) string { return secrets.ReplaceAllString(printed, "(hidden)") }

// clone is what somebody has who cloned the sources.
func clone(t *testing.T) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "countersign")
	cmd := exec.Command("git", "clone", "--quiet", absolute(t, root), folder)
	if _, err := os.Stat(filepath.Join(root, ".git")); err != nil {
		cmd = exec.Command("cp", "-r", absolute(t, root), folder) // sources that came without their history
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return folder
}

// newcomer is somebody who follows the page: two terminals, two browsers and a phone.
type newcomer struct {
	t             *testing.T
	ada, grace    *testbed.Browser
	server, shell *terminal
	ports         *strings.Replacer
	base, wiki    string
	key           string // what the picture holds that grace's app read
	used          int64  // the last step of it that was used
}

// TestTheFirstHour plays docs/first-hour.md from a clone to a page behind nginx and a sign-in
// by RADIUS. What it pastes is on the page; what it does in a browser, the page says. Only the
// ports are others, which are not free on every machine.
func TestTheFirstHour(t *testing.T) {
	storetest.Long(t, "compiles a clone and follows the guide")
	began := time.Now()
	n := arrive(t)
	for _, b := range blocksOf(t, firstHour) {
		switch text := n.ports.Replace(b.text); {
		case b.lang != "sh" && b.lang != "console":
		case b.only != "":
			b.parse(t)
		case strings.HasPrefix(text, "go run"):
			n.starts(text)
		case strings.HasPrefix(text, "read "):
			n.signsInByRADIUS(text)
		default:
			n.pastes(b, text)
		}
	}
	t.Logf("from a clone to a page behind nginx and a sign-in by RADIUS: %s, of which grace waited up to a minute for two new codes", time.Since(began).Round(time.Second))
}

// arrive clones the sources and opens two terminals and two browsers.
func arrive(t *testing.T) *newcomer {
	t.Helper()
	folder, home := clone(t), t.TempDir()
	pages, site, behind, equipment := free(t), free(t), free(t), free(t)
	n := &newcomer{t: t, base: "http://localhost:" + portOf(pages), wiki: "http://wiki.localhost:" + portOf(site)}
	n.ports = strings.NewReplacer("localhost:8081", "localhost:"+portOf(site), "127.0.0.1:3000", behind, "http.server 3000", "http.server "+portOf(behind), "127.0.0.1:1812", equipment)
	env := []string{"HOME=" + home, "XDG_CONFIG_HOME=" + home, "PATH=" + os.Getenv("PATH"), "TZ=UTC", "COUNTERSIGN_LISTEN=" + pages}
	for _, name := range []string{"GOPATH", "GOMODCACHE", "GOCACHE", "GOPROXY", "GOFLAGS", "GOTOOLCHAIN", "GONOSUMDB", "GONOSUMCHECK", "GOSUMDB"} {
		out, err := exec.Command(mustLook(t, "go"), "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, name+"="+strings.TrimSpace(string(out)))
	}
	n.server, n.shell = open(t, folder, env), open(t, folder, env)
	t.Cleanup(func() { stopNginx(filepath.Join(folder, "first-hour/nginx.pid")) })
	n.ada = testbed.Chromium(t)
	n.grace = n.ada.Stranger()
	return n
}

// stopNginx ends an nginx that a failed test left behind.
func stopNginx(file string) {
	if b, err := os.ReadFile(file); err == nil {
		if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
			_ = syscall.Kill(pid, syscall.SIGTERM)
		}
	}
}

// starts is the first part: the server, the link that it prints, and a passkey.
func (n *newcomer) starts(text string) {
	n.t.Helper()
	place := n.server.place()
	n.server.types(text)
	link := n.server.until(place, regexp.MustCompile(`(http://\S+/setup\?code=\S+)\n`))[1]
	if !strings.HasPrefix(link, n.base+"/") {
		n.t.Fatalf("the link does not lead to %s", n.base)
	}
	n.ada.Passkey()
	n.ada.Visit(link)
	n.ada.Fill("#name", "ada")
	n.ada.Fill("#display", "Ada Lovelace")
	n.ada.Click("main form button")
	n.ada.WaitText("h1", "Set up how you sign in")
	n.ada.Click(`form:has(input[value=passkey]) button`)
	n.ada.WaitText("button", "Create it")
	n.ada.Click("main form button")
	n.ada.WaitText("main", "Use a passkey or security key")
	n.ada.Click("form[data-passkey] button")
	n.ada.WaitText("main", "Until all is ready")
}

// approves opens a page that the command line printed, and presses its button: the command
// goes on when it heard of it.
func (n *newcomer) approves(page string) {
	n.t.Helper()
	n.ada.Visit(page)
	n.ada.Click("main form button:not(.second):not(.quiet)")
}

// pastes is any block of the second terminal, and what the page says is done after it.
func (n *newcomer) pastes(b block, text string) {
	n.t.Helper()
	turns := []turn{{command: text}}
	if b.lang == "console" {
		turns = block{lang: b.lang, text: text}.turns()
	}
	for _, turn := range turns {
		printed := n.shell.paste(turn.command, n.approves)
		for _, line := range turn.missing(printed) {
			n.t.Errorf("%s: %s\n%s", b.says("the page shows what is not printed"), line, masked(printed))
		}
		switch {
		case strings.Contains(text, "pass issue"):
			n.graceSetsUp(printed)
		case strings.Contains(text, "application test"):
			if !regexp.MustCompile(`(?m)^works +yes$`).MatchString(printed) {
				n.t.Errorf("the test of the application found:\n%s", masked(printed))
			}
			n.graceReads()
		case strings.Contains(text, "audit search"):
			if !strings.Contains(printed, "signin.granted") || !strings.Contains(printed, "signin.refused") {
				n.t.Errorf("the log does not show both:\n%s", masked(printed))
			}
		}
	}
}

// graceSetsUp follows the link of her pass: a password, an app, and in with both.
func (n *newcomer) graceSetsUp(printed string) {
	n.t.Helper()
	link := regexp.MustCompile(`http://\S+`).FindString(printed)
	if link == "" {
		n.t.Fatal("the pass has no link")
	}
	n.grace.Visit(html.UnescapeString(link))
	n.grace.Click("main form button")
	n.grace.WaitText("h1", "Set up how you sign in")
	n.grace.Click(`form:has(input[value=password]) button`)
	n.grace.Fill("#text", servertest.Passphrase)
	n.grace.Fill("#again", servertest.Passphrase)
	n.grace.Click("main form button")
	n.grace.WaitText("main", "1 of 2 done")
	n.grace.Click(`form:has(input[value=totp]) button`)
	n.grace.Wait("svg.qr")
	n.key = testbed.Eval[string](n.grace, `document.querySelector('a[href^="otpauth:"]').getAttribute("href")`)
	n.grace.Fill("#text", n.code())
	n.grace.Click("main form button")
	n.grace.WaitText("main", "Added: ")
	n.grace.Visit(n.base + "/sign-in")
	n.grace.Fill("#text-password", servertest.Passphrase)
	n.grace.Click(`form:has(#text-password) button`)
	n.grace.Fill("#text-totp", n.code())
	n.grace.Click(`form:has(#text-totp) button`)
	n.grace.WaitText("main", "This browser")
}

// code is the one that grace's app shows now: if she used it already, she waits for the next.
func (n *newcomer) code() string {
	n.t.Helper()
	step := max(n.used+1, time.Now().Unix()/30)
	for step > time.Now().Unix()/30 {
		time.Sleep(100 * time.Millisecond)
	}
	n.used = step
	return testbed.OATHTool(n.t, n.key, time.Unix(step*30, 0), 0)
}

// graceReads opens the wiki, and a stranger does not.
func (n *newcomer) graceReads() {
	n.t.Helper()
	n.grace.Visit(n.wiki + "/")
	n.grace.WaitText("h1", "The wiki")
	stranger := n.ada.Stranger()
	stranger.Visit(n.wiki + "/")
	stranger.WaitText("h1", "Sign in")
}

// signsInByRADIUS is grace at a VPN, and somebody who saw her type.
func (n *newcomer) signsInByRADIUS(text string) {
	n.t.Helper()
	answers := servertest.Passphrase + "\n" + n.code() + "\n"
	n.shell.types("trap - ERR\n")
	if printed := n.shell.paste(text+answers, n.approves); !strings.Contains(printed, "Received Access-Accept") {
		n.t.Fatalf("grace was not let in:\n%s\n%s", masked(printed), n.shell.paste("countersign audit search --account grace\n", n.approves))
	}
	place := n.shell.place()
	n.shell.types(text + answers)
	n.shell.until(place, regexp.MustCompile("Received Access-Reject"))
}
