package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// Whoever sets up mail reads what the server said to each step, and never the password.
func TestMailTest(t *testing.T) {
	m := testbed.NewMailServer(t)
	m.Password, m.Mechanisms = "correct horse", " LOGIN XOAUTH2"
	folder := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca, right, wrong := file("ca.pem", string(m.Root())), file("right", m.Password+"\n"), file("wrong", "battery staple\n")
	with := func(password string) string {
		return file("config.yaml", fmt.Sprintf("public_url: https://login.example.org\nmail: {server: %q, from: Countersign <mfa@example.org>, username: mfa, password_file: %q, ca: %q}\n", m.Addr, password, ca))
	}
	sh := (&servertest.World{T: t}).Shell()
	out, complaint, ok := sh.Run("", "mail", "test", "ada@bücher.example", "--config", with(right))
	if !ok || strings.Contains(out+complaint, "Y29ycmVjdCBob3JzZQ") || strings.Contains(out+complaint, m.Password) {
		t.Fatalf("%s%s", out, complaint)
	}
	at := 0
	for _, step := range []string{"connecting to " + m.Addr, "S: 220 sink ready", "C: EHLO login.example.org", "C: STARTTLS", "* TLS 1.3, the certificate is for 127.0.0.1", "S: 250 AUTH LOGIN XOAUTH2",
		"C: AUTH LOGIN\n", "C: ***\nS: 235 welcome", "C: MAIL FROM:<mfa@example.org>\nS: 250", "C: RCPT TO:<ada@xn--bcher-kva.example>\nS: 250", "C: DATA\nS: 354", "C: .\nS: 250 taken", "C: QUIT\nS: 221", "accepted the mail"} {
		i := strings.Index(out[at:], step)
		if i < 0 {
			t.Fatalf("%q is not there, or not in its place:\n%s", step, out)
		}
		at += i
	}
	if got := m.Mails(); len(got) != 1 || got[0].Header.Get("From") != `"Countersign" <mfa@example.org>` || !strings.Contains(got[0].Body, "https://login.example.org") {
		t.Errorf("%+v", got)
	}
	out, complaint, ok = sh.Run("", "mail", "test", "ada@example.org", "--json", "--config", with(wrong))
	var tested tested
	if err := json.Unmarshal([]byte(out), &tested); err != nil || ok || tested.Accepted || !strings.Contains(tested.Problem, "mail.password_file): 535 no") || strings.Contains(out+complaint, "battery") || !strings.Contains(complaint, "535 no") {
		t.Errorf("%t, %v:\n%s%s", ok, err, out, complaint)
	}
	for text, says := range map[string]string{"listen: 127.0.0.1:1\n": "names no mail server", "mail: {server: x, sender: y}\n": "sender"} {
		if _, complaint, ok := sh.Run("", "mail", "test", "ada@example.org", "--config", file("other.yaml", text)); ok || !strings.Contains(complaint, says) {
			t.Errorf("%s: %s", text, complaint)
		}
	}
}
