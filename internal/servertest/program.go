package servertest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"countersign/internal/policy"
	"countersign/internal/server"
	"countersign/internal/web/api"
)

// Administrator is enrollCodes for a member of administrators, under the policy
// for those who have codes.
func (w *World) Administrator(name string) *Person {
	w.T.Helper()
	p := w.EnrollCodes(name)
	w.Promote(name)
	w.SetPolicy(string(policy.DefaultForCodes()))
	return p
}

// Shell is a person's command line, with a home of its own.
type Shell struct {
	W    *World
	Home string
	Env  []string
}

func (w *World) Shell() *Shell { return &Shell{W: w, Home: w.T.TempDir()} }

func (s *Shell) Command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append([]string{AsProgram + "=1", "HOME=" + s.Home, "XDG_CONFIG_HOME=" + s.Home, "PATH=" + os.Getenv("PATH"), "COUNTERSIGN_SERVER=" + s.W.Base}, s.Env...)
	return cmd
}

// Run runs a command to its end.
func (s *Shell) Run(stdin string, args ...string) (out, complaint string, ok bool) {
	s.W.T.Helper()
	cmd := s.Command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	return stdout.String(), stderr.String(), err == nil
}

// waiting is a command that waits for a browser.
type waiting struct {
	t    testing.TB
	cmd  *exec.Cmd
	Page string
	out  bytes.Buffer
	rest chan string
}

var address = regexp.MustCompile(`http://\S+/approve\?code=\S+`)

// Start begins a command that prints a page for the browser.
func (s *Shell) Start(args ...string) *waiting {
	s.W.T.Helper()
	w := &waiting{t: s.W.T, cmd: s.Command(args...), rest: make(chan string, 1)}
	w.cmd.Stdout = &w.out
	pipe, err := w.cmd.StderrPipe()
	if err != nil {
		s.W.T.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		s.W.T.Fatal(err)
	}
	lines := bufio.NewReader(pipe)
	var said strings.Builder
	for w.Page == "" {
		line, err := lines.ReadString('\n')
		said.WriteString(line)
		if w.Page = address.FindString(line); w.Page == "" && err != nil {
			w.cmd.Wait()
			s.W.T.Fatalf("%v printed no page: %s", args, said.String())
		}
	}
	go func() { b, _ := io.ReadAll(lines); w.rest <- string(b) }()
	return w
}

// End waits for the command and returns what it printed.
func (w *waiting) End() (out, complaint string, ok bool) {
	w.t.Helper()
	complaint = <-w.rest
	err := w.cmd.Wait()
	return w.out.String(), complaint, err == nil
}

// SignIn answers the sign-in pages that the browser is on.
func (p *Person) SignIn(name, code string) {
	p.W.T.Helper()
	fields := []string{"authenticator", "password", "text", Passphrase}
	if strings.Contains(p.Page, `name="name"`) { // who is signed in proves to be themselves
		fields = append(fields, "name", name)
	}
	p.Post("/sign-in", fields...)
	p.Post("/sign-in", "authenticator", "totp", "text", code)
}

var Onward = regexp.MustCompile(`href="(http://127\.0\.0\.1:\d+/\?code=[^"]+)"`)

// Login signs the shell in through the browser, as the person does.
func (s *Shell) Login(browser *Person, name, code string) {
	s.W.T.Helper()
	c := s.Start("login")
	browser.Approves(c.Page, "A command line wants to act as you", name, code)
	m := Onward.FindStringSubmatch(html.UnescapeString(browser.Page))
	if m == nil {
		s.W.T.Fatalf("the browser is not sent on:\n%s", browser.Page)
	}
	browser.Get(m[1])
	if out, complaint, ok := c.End(); !ok || !strings.Contains(out, "as "+name) {
		s.W.T.Fatalf("%s%s", out, complaint)
	}
}

// Approves opens a page that the command line printed, presses the button, and proves
// who it is, before or after, where that is asked for.
func (p *Person) Approves(page, says, name, code string) {
	p.W.T.Helper()
	p.Get(page)
	if strings.Contains(p.Page, `name="name"`) {
		p.SignIn(name, code)
	}
	p.Sees(says)
	_, secret, _ := strings.Cut(page, "code=")
	p.Post("/approve", "code", secret)
	if strings.Contains(p.Page, `action="/sign-in"`) {
		p.SignIn(name, code)
	}
}

// Reopen assembles what was restored, at the moment of the world's clock.
func Reopen(w *World, folder string) *server.Installation {
	w.T.Helper()
	u, err := url.Parse(w.Base)
	if err != nil {
		w.T.Fatal(err)
	}
	in, err := server.Assemble(w.T.Context(), server.Settings{Folder: folder, PublicURL: u, Now: w.Now, Log: slog.New(slog.NewTextHandler(w.T.Output(), nil))})
	if err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() { in.DB.Close() })
	return in
}

// Terminal is a command line that types, with the session that it holds.
type Terminal struct {
	W      *World
	Secret string
	Status int
	api.TerminalStep
	Body string
}

func (c *Terminal) Says(in api.TerminalAnswer) {
	c.W.T.Helper()
	b, err := json.Marshal(in)
	if err != nil {
		c.W.T.Fatal(err)
	}
	r := httptest.NewRequest("POST", c.W.Base+"/api/v1/login/terminal", strings.NewReader(string(b)))
	r.RemoteAddr = "127.0.0.1:4711"
	r.Header.Set("X-Forwarded-For", "198.51.100.9")
	r.Header.Set("Content-Type", "application/json")
	if c.Secret != "" {
		r.Header.Set("Authorization", "Bearer "+c.Secret)
	}
	out := httptest.NewRecorder()
	c.W.Handler.ServeHTTP(out, r)
	c.Status, c.Body, c.TerminalStep = out.Code, out.Body.String(), api.TerminalStep{}
	if c.Status == http.StatusOK {
		if err := json.Unmarshal(out.Body.Bytes(), &c.TerminalStep); err != nil {
			c.W.T.Fatal(err)
		}
	}
	if c.Session != nil {
		c.Secret = c.Session.Secret
	}
}

// Answers types one after the other what is named, for a command or to sign in.
func (c *Terminal) Answers(first api.TerminalAnswer, named ...[2]string) {
	c.W.T.Helper()
	c.Says(first)
	for _, a := range named {
		if c.Status != http.StatusOK || c.Ticket == "" {
			return
		}
		c.Says(api.TerminalAnswer{Ticket: c.Ticket, Authenticator: a[0], Text: a[1], Command: first.Command})
	}
}

// AsProgram has the test binary be the program, so that tests run the real command line,
// which was built with them.
const AsProgram = "COUNTERSIGN_TEST_AS_PROGRAM"

// Main runs a package's tests, or the program where a test runs its own binary as one.
func Main(m *testing.M, program func(version string)) {
	if os.Getenv(AsProgram) == "1" {
		program("")
		return
	}
	os.Exit(m.Run())
}
