package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"countersign/internal/server"
	words "countersign/internal/text"
	"countersign/internal/web/api"
)

// client speaks the admin API to a running server, over the local socket or
// over https.
type client struct {
	connection
	login login
	http  *http.Client
	base  string
}

// connection is what every command of the command line takes.
type connection struct {
	Server string `env:"COUNTERSIGN_SERVER" placeholder:"URL" help:"The server: https://login.example.org, or the data folder of one on this machine. What you signed in to when left out."`
	JSON   bool   `name:"json" help:"Print JSON."`
	NoWait bool   `name:"no-wait" help:"Do not wait for the approval of a change: print the page on which you approve it, and end with 3."`
	Zone   string `env:"COUNTERSIGN_ZONE" placeholder:"ZONE" help:"The time zone of what is printed, such as Europe/Berlin or UTC; this machine's when left out."`
}

// login is what is kept of a sign-in, in a file that only its owner reads.
type login struct {
	Server   string    `json:"server"`
	Secret   string    `json:"secret"`
	Account  string    `json:"account"`
	Terminal bool      `json:"terminal,omitempty"`
	Expires  time.Time `json:"expires"`
}

func loginPath() (string, error) {
	dir, err := os.UserConfigDir()
	return filepath.Join(dir, "countersign", "login.json"), err
}

func readLogin() (login, error) {
	path, err := loginPath()
	if err != nil {
		return login{}, nil //nolint:nilerr // nobody to have signed in
	}
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return login{}, nil
	}
	if err != nil {
		return login{}, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return login{}, fmt.Errorf("%s can be read by others; run chmod 600 %s", path, path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return login{}, err
	}
	var l login
	if err := json.Unmarshal(b, &l); err != nil {
		return login{}, fmt.Errorf("%s cannot be read; run countersign login again", path)
	}
	return l, nil
}

func (l login) write() error {
	path, err := loginPath()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	fresh := path + ".new"
	if err := os.WriteFile(fresh, b, 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}

func forgetLogin() error {
	path, err := loginPath()
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// folders are where a server of this machine keeps its data, as a rule.
var folders = []string{"countersign-data", "/var/lib/countersign"}

// connect finds the server.
func (c connection) connect() (*client, error) {
	l, err := readLogin()
	if err != nil {
		return nil, err
	}
	out := &client{connection: c, login: l}
	if c.Server == "" {
		c.Server = l.Server
	}
	if c.Server == "" {
		for _, folder := range folders {
			if _, err := os.Stat(filepath.Join(folder, server.SocketName)); err == nil {
				c.Server = folder
				break
			}
		}
	}
	switch {
	case c.Server == "":
		return nil, errors.New("no server: run countersign login --server https://login.example.org, or name the data folder of one on this machine with --server")
	case strings.HasPrefix(c.Server, "https://"), strings.HasPrefix(c.Server, "http://"):
		out.base, out.http = strings.TrimSuffix(c.Server, "/"), &http.Client{Timeout: time.Minute}
	default:
		folder, err := filepath.Abs(c.Server)
		if err != nil {
			return nil, err
		}
		c.Server = folder
		path := filepath.Join(folder, server.SocketName)
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
		out.base, out.http = "http://countersign", &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: dial}}
	}
	if strings.HasPrefix(c.Server, "http://") && !strings.HasPrefix(c.Server, "http://localhost") && !strings.HasPrefix(c.Server, "http://127.") {
		return nil, errors.New("over http your session could be read on the way; use https")
	}
	out.Server = c.Server
	return out, nil
}

// problem is a refusal by the server.
type problem struct{ api.Problem }

func (p *problem) Error() string {
	if p.Type == api.SignInProblem {
		return words.Lines(p.Detail) + " Run: countersign login"
	}
	return words.Lines(p.Detail)
}

// secret is what proves us: a key in the environment, or the kept session.
func (c *client) secret() string {
	if key := os.Getenv("COUNTERSIGN_KEY"); key != "" {
		return key
	}
	if c.login.Server == c.Server {
		return c.login.Secret
	}
	return ""
}

// call sends one request and decodes its answer. It returns the status.
func (c *client) call(ctx context.Context, method, path string, in, out any) (int, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return 0, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return 0, err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Prefer", api.Async)
	if s := c.secret(); s != "" {
		req.Header.Set("Authorization", "Bearer "+s)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, fmt.Errorf("the server at %s cannot be reached: %w", c.Server, errors.Unwrap(err))
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return resp.StatusCode, err
	}
	if resp.StatusCode >= 400 {
		var p problem
		if json.Unmarshal(b, &p.Problem) != nil || p.Detail == "" {
			p.Detail = "the server answered " + resp.Status
		}
		return resp.StatusCode, &p
	}
	if at, err := time.Parse(time.RFC3339, resp.Header.Get(api.ProvedHeader)); err == nil {
		fmt.Fprintf(os.Stderr, "You were not asked again: you had proved yourself at %s.\n", clock(at))
	}
	if out == nil {
		return resp.StatusCode, nil
	}
	return resp.StatusCode, json.Unmarshal(b, out)
}
