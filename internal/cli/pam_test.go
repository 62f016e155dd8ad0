package cli

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/testbed"
)

// loginHost is a host whose PAM stack asks us: a service file of its own in
// /etc/pam.d, with Debian's pam_radius and nothing beside it.
type loginHost struct {
	w       *world
	service string
	server  string // the module's own configuration
}

const pamSecret = "a-secret-of-the-login-host"

func (w *world) loginHost(excepted bool) *loginHost { return w.loginHostAt("127.0.0.0/8", excepted) }

// loginHostAt is a host that asks from this network.
func (w *world) loginHostAt(network string, excepted bool) *loginHost {
	w.t.Helper()
	if os.Getuid() != 0 {
		w.t.Skip("only root can add a PAM service; run the tests with sudo")
	}
	testbed.Program(w.t, "pamtester")
	client := map[string]any{"name": "login host", "networks": []string{network}, "secret": pamSecret}
	if excepted {
		client["message_authenticator_exception"] = map[string]any{"reason": "pam_radius 2.0 sends none", "expires": w.now().Add(29 * 24 * time.Hour)}
	}
	w.plantApplication(application.Application{Name: "login", Kind: "ssh", Tier: application.Standard, Protocol: "radius"}, map[string]any{"mode": "challenge", "clients": []any{client}})
	h := &loginHost{w: w, service: "countersign-test-" + strings.ToLower(rand.Text()[:10]), server: filepath.Join(w.t.TempDir(), "pam_radius.conf")}
	h.trust(pamSecret)
	file := filepath.Join("/etc/pam.d", h.service)
	stack := fmt.Sprintf("auth required pam_radius_auth.so conf=%s retry=1\naccount required pam_permit.so\n", h.server)
	if err := os.WriteFile(file, []byte(stack), 0o644); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { os.Remove(file) })
	return h
}

// trust writes the module's configuration with this shared secret.
func (h *loginHost) trust(secret string) { h.asks(h.w.radius, secret) }

// asks writes the module's configuration with this server.
func (h *loginHost) asks(server, secret string) {
	h.w.t.Helper()
	if err := os.WriteFile(h.server, []byte(server+" "+secret+" 1\n"), 0o600); err != nil {
		h.w.t.Fatal(err)
	}
}

// login answers what the stack asks, line by line.
func (h *loginHost) login(name string, lines ...string) (in bool, said string) {
	h.w.t.Helper()
	cmd := exec.Command("pamtester", h.service, name, "authenticate")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	out, err := cmd.CombinedOutput()
	return err == nil, string(out)
}

// The promise: a PAM stack that asks us by RADIUS lets in with password and
// code, and not without, not with the code twice, not with us away.
func TestPAM(t *testing.T) {
	w := newWorld(t)
	ada := w.enrollCodes("ada")
	h := w.loginHost(true)
	code := ada.code()
	if in, said := h.login("ada", passphrase, "000000"); in || !strings.Contains(said, "Code from your authenticator app") {
		t.Errorf("a wrong code: %t\n%s", in, said)
	}
	if in, said := h.login("ada", passphrase, code); !in {
		t.Errorf("password and code: %s", said)
	}
	var all sync.WaitGroup
	for what, lines := range map[string][]string{
		"the code again": {passphrase, code}, "the password alone": {passphrase, ""}, "the password twice": {passphrase, passphrase},
		"a wrong password": {"wrong", code}, "nothing": {"", ""}, "both in one line": {passphrase + code},
	} {
		all.Go(func() { // PAM waits after each refusal
			if in, said := h.login("ada", lines...); in {
				t.Errorf("%s: %s", what, said)
			}
		})
	}
	all.Wait()
	if in, said := h.login("nobody", passphrase, code); in {
		t.Errorf("nobody: %s", said)
	}
	w.later(time.Minute)
	h.trust("another secret of that host")
	if in, said := h.login("ada", passphrase, ada.code()); in {
		t.Errorf("another shared secret: %s", said)
	}
	h.trust(pamSecret)
	w.stop()
	if in, said := h.login("ada", passphrase, ada.code()); in {
		t.Errorf("with Countersign stopped: %s", said)
	}
}

// The promise: equipment that sends no Message-Authenticator, as Debian's
// pam_radius 2.0, is not answered unless an exception says so, for a while.
func TestPAMWithoutException(t *testing.T) {
	w := newWorld(t)
	ada := w.enrollCodes("ada")
	h := w.loginHost(false)
	if in, said := h.login("ada", passphrase, ada.code()); in {
		t.Errorf("without Message-Authenticator and without exception: %s", said)
	}
	h = w.loginHost(true)
	if in, said := h.login("ada", passphrase, ada.code()); !in {
		t.Fatalf("with the exception: %s", said)
	}
	w.later(29*24*time.Hour + time.Hour) // and ada is not yet dormant
	if in, said := h.login("ada", passphrase, ada.code()); in {
		t.Errorf("after the exception's end: %s", said)
	}
}

// radtest is another client's way of asking, password and code in one go.
func TestRadtest(t *testing.T) {
	w := newWorld(t)
	w.enrollCodes("ada")
	w.loginHost(true)
	host, port, _ := strings.Cut(w.radius, ":")
	ask := func(password string) string {
		out, _ := exec.Command("radtest", "-x", "ada", password, host+":"+port, "0", pamSecret).CombinedOutput() // it exits 1 for what is no Accept
		return string(out)
	}
	if out := ask(passphrase); !strings.Contains(out, "Access-Challenge") {
		t.Errorf("the password:\n%s", out)
	}
	if out := ask("wrong"); strings.Contains(out, "Received Access-Accept") || !strings.Contains(out, "Access-Reject") {
		t.Errorf("a wrong password:\n%s", out)
	}
}
