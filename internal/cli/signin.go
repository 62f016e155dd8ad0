package cli

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/term"

	"countersign/internal/admin"
	words "countersign/internal/text"
	"countersign/internal/web/api"
)

type loginCommand struct {
	Terminal string `placeholder:"NAME" help:"Sign in as NAME with typed answers, without a browser. Policy may not accept that."`
	Paste    bool   `help:"The browser is on another machine: paste the code that it shows."`
}

// Run signs in and keeps the session.
func (l *loginCommand) Run(ctx context.Context, conn *connection) error {
	c, err := conn.connect()
	if err != nil {
		return err
	}
	if c.NoWait {
		return errors.New("login waits for you: leave --no-wait out")
	}
	c.login = login{}
	host, _ := os.Hostname()
	var s api.Session
	switch {
	case l.Terminal != "":
		s, err = c.loginHere(ctx, l.Terminal, host)
	default:
		s, err = c.loginByBrowser(ctx, host, l.Paste)
	}
	if err != nil {
		return err
	}
	err = login{Server: c.Server, Secret: s.Secret, Account: s.Account, Terminal: l.Terminal != "", Expires: s.Expires}.write()
	if err == nil {
		fmt.Printf("Signed in to %s as %s.\n", c.Server, s.Account)
	}
	return err
}

// loginByBrowser is RFC 8252 with PKCE (RFC 7636): the code comes to an address
// of this machine alone, so a page that somebody else began and sent to a person
// brings them nothing.
func (c *client) loginByBrowser(ctx context.Context, host string, paste bool) (api.Session, error) {
	verifier := rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	in := api.LoginBegin{Challenge: base64.RawURLEncoding.EncodeToString(sum[:]), Agent: host}
	codes := make(chan string, 1)
	if !paste {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return api.Session{}, err
		}
		defer l.Close()
		in.Redirect = "http://" + l.Addr().String() + "/"
		go http.Serve(l, catch(codes)) //nolint:errcheck // it ends with the listener
	}
	var page api.LoginPage
	if _, err := c.call(ctx, "POST", api.Root+"login", in, &page); err != nil {
		return api.Session{}, err
	}
	fmt.Fprintf(os.Stderr, "Sign in with your browser, within 10 minutes:\n\n  %s\n\n", page.Page)
	if paste {
		code, err := ask("Code: ", false)
		if err != nil {
			return api.Session{}, err
		}
		codes <- code
	} else {
		open(page.Page)
	}
	select {
	case <-ctx.Done():
		return api.Session{}, ctx.Err()
	case <-time.After(10 * time.Minute):
		return api.Session{}, errors.New("nobody signed in; is the browser on another machine? then use --paste")
	case code := <-codes:
		var s api.Session
		_, err := c.call(ctx, "POST", api.Root+"login/finish", api.LoginFinish{Code: code, Verifier: verifier}, &s)
		return s, err
	}
}

// catch takes the code from the browser, once.
func catch(codes chan<- string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code := r.URL.Query().Get("code")
		if r.Method != http.MethodGet || code == "" {
			http.NotFound(w, r)
			return
		}
		select {
		case codes <- code:
		default:
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		w.Header().Set("Referrer-Policy", "no-referrer")
		fmt.Fprint(w, "<!doctype html><meta name=color-scheme content='light dark'><title>Countersign</title><p>You are signed in. You can close this page and go back to the command line.")
	})
}

// open tries to open the person's browser where there may be one. That it does
// not is no error: the address was printed.
func open(page string) {
	if os.Getenv("SSH_CONNECTION") != "" || !term.IsTerminal(int(os.Stderr.Fd())) {
		return
	}
	name := "xdg-open"
	if runtime.GOOS == "darwin" {
		name = "open"
	} else if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
		return
	}
	exec.Command(name, page).Start() //nolint:errcheck // see above
}

func (c *client) loginHere(ctx context.Context, name, host string) (api.Session, error) {
	step, err := c.converse(ctx, api.TerminalAnswer{Name: name, Agent: host})
	if err == nil && step.Session == nil {
		err = errors.New("the server did not begin a session")
	}
	if err != nil {
		return api.Session{}, err
	}
	return *step.Session, nil
}

// approveHere has a command approved by typed answers on this terminal.
func (c *client) approveHere(ctx context.Context, cmd admin.Command) (json.RawMessage, error) {
	input, err := json.Marshal(cmd)
	if err != nil {
		return nil, err
	}
	step, err := c.converse(ctx, api.TerminalAnswer{Command: &api.TerminalCommand{Action: cmd.Action(), Input: string(input)}})
	if err != nil {
		return nil, err
	}
	return json.Marshal(step.Answer)
}

// converse answers question after question.
func (c *client) converse(ctx context.Context, turn api.TerminalAnswer) (api.TerminalStep, error) {
	said := ""
	for {
		var step api.TerminalStep
		if _, err := c.call(ctx, "POST", api.Root+"login/terminal", turn, &step); err != nil {
			return step, err
		}
		if len(step.Ask) == 0 {
			return step, nil
		}
		if step.Text != "" && step.Text != said {
			said = step.Text
			sayReading(os.Stderr, said, step.Reading)
		}
		q := step.Ask[0]
		if q.Hint != "" {
			fmt.Fprintln(os.Stderr, words.Seen(q.Hint))
		}
		text, err := ask(words.Seen(q.Label)+": ", q.Hidden)
		if err != nil {
			return step, err
		}
		turn.Ticket, turn.Authenticator, turn.Text, turn.Name = step.Ticket, q.Authenticator, text, ""
	}
}

// input is read line by line through one buffer, so that nothing is lost between
// two questions.
var input = bufio.NewReader(os.Stdin)

// ask asks on the terminal; what is hidden is not echoed.
func ask(label string, hidden bool) (string, error) {
	fmt.Fprint(os.Stderr, label)
	if fd := int(os.Stdin.Fd()); hidden && term.IsTerminal(fd) {
		b, err := term.ReadPassword(fd)
		fmt.Fprintln(os.Stderr)
		return string(b), err
	}
	line, err := input.ReadString('\n')
	if err != nil && line == "" {
		return "", errors.New("nothing was typed")
	}
	return strings.TrimRight(line, "\r\n"), nil
}

type logoutCommand struct{}

func (logoutCommand) Run(ctx context.Context, conn *connection) error {
	c, err := conn.connect()
	if err != nil {
		return err
	}
	if c.secret() != "" {
		if _, err := c.call(ctx, "DELETE", api.Root+"session", nil, nil); err != nil {
			return err
		}
	}
	if err := forgetLogin(); err != nil {
		return err
	}
	fmt.Println("Signed out.")
	return nil
}

type whoamiCommand struct{}

func (whoamiCommand) Run(ctx context.Context, conn *connection) error {
	c, err := conn.connect()
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if _, err := c.call(ctx, "GET", api.Root+"session", nil, &raw); err != nil {
		return err
	}
	return c.print(os.Stdout, raw)
}
