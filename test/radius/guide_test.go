package radius

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"countersign/internal/admin/application"
	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// freeradius is the least that FreeRADIUS needs to pass on what it gets.
const freeradius = `
name = proxying
logdir = %[1]s
run_dir = %[1]s
pidfile = %[1]s/pid
proxy_requests = yes
max_requests = 256
security { allow_vulnerable_openssl = yes }
client gear { ipaddr = 127.0.0.1
 secret = a-secret-of-the-gear
 require_message_authenticator = no }
$INCLUDE proxy.conf
modules { }
server default {
 listen { type = auth
  ipaddr = 127.0.0.1
  port = %[2]d }
 authorize { update control { Proxy-To-Realm := "DEFAULT" } }
}
`

// The promise: FreeRADIUS passes sign-ins on with the file that is shown, in which only the
// secret is written where it says so; a wrong code is refused.
func TestShownProxyOfFreeRADIUS(t *testing.T) {
	program, dictionary := testbed.Program(t, "freeradius"), "/usr/share/freeradius"
	w, ada := servertest.WithVPN(t)
	desk := w.Clerk()
	const secret = "kX9-Lq27-vTzp-40aM"
	settings := map[string]any{"mode": "appended", "clients": []any{map[string]any{"name": "proxy", "networks": []string{"127.0.0.2"}, "secret": secret}}}
	if err := desk.Do(t.Context(), "application.set", map[string]any{"name": "gear", "kind": "vpn", "protocol": "radius", "settings": settings, "over": []string{"vpn"}}, nil); err != nil {
		t.Fatal(err)
	}
	var shown application.Snippets
	if err := desk.Do(t.Context(), "application.snippet", map[string]any{"name": "gear", "for": "freeradius"}, &shown); err != nil {
		t.Fatal(err)
	}
	text := shown.Files[0].Text
	if strings.Contains(text, secret) {
		t.Fatal("the secret is shown")
	}
	dir, port := t.TempDir(), testbed.Port(t)
	host, own, err := net.SplitHostPort(w.Radius)
	if err != nil || !strings.Contains(text, "ipaddr = "+host) || !strings.Contains(text, "port = "+own) {
		t.Fatalf("it does not say %s: %v\n%s", w.Radius, err, text)
	}
	text = strings.Replace(text, "SECRET-OF-PROXY", secret, 1)
	text = strings.Replace(text, "type = auth", "type = auth\n\tsrc_ipaddr = 127.0.0.2", 1) // another client than the world's own
	for name, body := range map[string]string{"proxy.conf": text, "radiusd.conf": fmt.Sprintf(freeradius, dir, port)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	testbed.Start(t, testbed.Process{Path: program, Args: []string{"-f", "-l", "stdout", "-d", dir, "-D", dictionary, "-n", "radiusd"}, Dir: dir})
	asks := func(line string) string {
		cmd := exec.Command(testbed.Program(t, "radclient"), "-r", "3", "-t", "3", fmt.Sprintf("127.0.0.1:%d", port), "auth", "a-secret-of-the-gear")
		cmd.Stdin = strings.NewReader("User-Name = \"ada\"\nUser-Password = \"" + line + "\"\nMessage-Authenticator = 0x00\n")
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		_ = cmd.Run() // a refusal ends with a status of its own
		return out.String()
	}
	if out := asks(servertest.Passphrase + ada.Code()); !strings.Contains(out, "Access-Accept") {
		t.Errorf("ada was not let in: %s", out)
	}
	if out := asks(servertest.Passphrase + "000000"); !strings.Contains(out, "Access-Reject") {
		t.Errorf("a wrong code: %s", out)
	}
}

// No product's files hold a secret, and each names where Countersign is.
func TestShownToClients(t *testing.T) {
	w, _ := servertest.WithVPN(t)
	desk := w.Clerk()
	for _, product := range []string{"freeradius", "pam", "openvpn", "cisco", "radclient"} {
		var shown application.Snippets
		if err := desk.Do(t.Context(), "application.snippet", map[string]any{"name": "vpn", "for": product}, &shown); err != nil {
			t.Errorf("%s: %v", product, err)
			continue
		}
		host, port, _ := net.SplitHostPort(w.Radius)
		all := ""
		for _, f := range shown.Files {
			all += f.Path + "\n" + f.Text
		}
		if !strings.Contains(all, host) || !strings.Contains(all, port) || strings.Contains(all, servertest.DrillSecret) || strings.Contains(all, "the-shared-secret") || strings.Contains(all, "wiki") {
			t.Errorf("%s:\n%s", product, all)
		}
	}
}
