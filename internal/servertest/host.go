package servertest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/testbed"
)

// ConsoleOf is a host's own log-in: a PAM stack as docs/offline.md has it, local
// accounts, and no way out while the cable is out.
type ConsoleOf struct {
	*LoginHost
	radius string // whom it asks
	Users  string // the file of its lists
}

// Console is a console whose stack is the example of the documentation, of a host
// that asks from this network.
func (w *World) Console(network string) *ConsoleOf {
	w.T.Helper()
	c := &ConsoleOf{LoginHost: loginHostAt(w, network, true), radius: w.Radius, Users: filepath.Join(w.T.TempDir(), "users.oath")}
	c.Stack(DocumentedStack(w.T))
	return c
}

func (c *ConsoleOf) Join(name, password, line string) (leave func(), err error) {
	run := func(in, name string, args ...string) error {
		cmd := exec.Command(name, args...)
		cmd.Stdin = strings.NewReader(in)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", name, err, out)
		}
		return nil
	}
	if err := run("", "useradd", "--no-create-home", "--shell", "/bin/false", name); err != nil {
		return nil, err
	}
	leave = func() {
		if err := run("", "userdel", name); err != nil {
			c.W.T.Error(err)
		}
	}
	if err := errors.Join(run(name+":"+password, "chpasswd"), os.WriteFile(c.Users, []byte(line+"\n"), 0o600)); err != nil {
		leave()
		return nil, err
	}
	return leave, nil
}

func (c *ConsoleOf) Login(_ context.Context, name string, lines ...string) (bool, error) {
	in, _ := c.LogIn(name, lines...)
	return in, nil
}

func (c *ConsoleOf) Unplug() (plug func(), err error) {
	c.CutOff()
	return func() { c.asks(c.radius, PamSecret) }, nil
}

func (c *ConsoleOf) File() (string, error) {
	b, err := os.ReadFile(c.Users)
	return string(b), err
}

// Unguarded is a stack without the codes' line: the local password is enough.
func Unguarded(stack string) string {
	return strings.ReplaceAll(stack, "auth  required", "auth  sufficient")
}

// Stack writes the stack: the example of the documentation, or a part of it.
func (c *ConsoleOf) Stack(example string) {
	c.W.T.Helper()
	text := strings.NewReplacer("/etc/pam_radius_auth.conf", c.server, "/etc/countersign/users.oath", c.Users).Replace(example)
	if err := os.WriteFile(filepath.Join("/etc/pam.d", c.Service), []byte(text+"account required pam_permit.so\n"), 0o644); err != nil {
		c.W.T.Fatal(err)
	}
}

// CutOff has nothing answer the host any more.
func (c *ConsoleOf) CutOff() {
	c.W.T.Helper()
	c.asks(fmt.Sprintf("127.0.0.1:%d", testbed.Port(c.W.T)), PamSecret)
}

var pamExample = regexp.MustCompile("(?s)```pam\n(.*?)```")

// DocumentedStack is the stack that docs/offline.md tells people to write.
func DocumentedStack(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/offline.md")
	if err != nil {
		t.Fatal(err)
	}
	m := pamExample.FindSubmatch(text)
	if m == nil {
		t.Fatal("docs/offline.md has no stack")
	}
	return string(m[1])
}

// LoginHost is a host whose PAM stack asks us: a service file of its own in
// /etc/pam.d, with Debian's pam_radius and nothing beside it.
type LoginHost struct {
	W       *World
	Service string
	server  string // the module's own configuration
}

const PamSecret = "a-secret-of-the-login-host"

func (w *World) LoginHost(excepted bool) *LoginHost { return loginHostAt(w, "127.0.0.0/8", excepted) }

// loginHostAt is a host that asks from this network.
func loginHostAt(w *World, network string, excepted bool) *LoginHost {
	w.T.Helper()
	if os.Getuid() != 0 {
		w.T.Skip("only root can add a PAM service; run the tests with sudo")
	}
	testbed.Program(w.T, "pamtester")
	client := map[string]any{"name": "login host", "networks": []string{network}, "secret": PamSecret}
	if excepted {
		client["message_authenticator_exception"] = map[string]any{"reason": "pam_radius 2.0 sends none", "expires": w.Now().Add(29 * 24 * time.Hour)}
	}
	PlantApplication(w, application.Application{Name: "login", Kind: "ssh", Tier: application.Standard, Protocol: "radius"}, map[string]any{"mode": "challenge", "clients": []any{client}})
	h := &LoginHost{W: w, Service: "countersign-test-" + strings.ToLower(rand.Text()[:10]), server: filepath.Join(w.T.TempDir(), "pam_radius.conf")}
	h.Trust(PamSecret)
	file := filepath.Join("/etc/pam.d", h.Service)
	stack := fmt.Sprintf("auth required pam_radius_auth.so conf=%s retry=1\naccount required pam_permit.so\n", h.server)
	if err := os.WriteFile(file, []byte(stack), 0o644); err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() { os.Remove(file) })
	return h
}

// Trust writes the module's configuration with this shared secret.
func (h *LoginHost) Trust(secret string) { h.asks(h.W.Radius, secret) }

// asks writes the module's configuration with this server.
func (h *LoginHost) asks(server, secret string) {
	h.W.T.Helper()
	if err := os.WriteFile(h.server, []byte(server+" "+secret+" 1\n"), 0o600); err != nil {
		h.W.T.Fatal(err)
	}
}

// LogIn answers what the stack asks, line by line.
func (h *LoginHost) LogIn(name string, lines ...string) (in bool, said string) {
	h.W.T.Helper()
	cmd := exec.Command("pamtester", h.Service, name, "authenticate")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	out, err := cmd.CombinedOutput()
	return err == nil, string(out)
}
