package mail

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/config"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// closedWithin is the promise: how long an open connection outlives what it rests on.
const closedWithin = 5 * time.Second

// around a world that has connections closed at the mail server.
func closing(t *testing.T) *post {
	t.Helper()
	doveadm := testbed.Addr(t)
	key := filepath.Join(t.TempDir(), "doveadm-key")
	if err := os.WriteFile(key, []byte(testbed.DoveadmKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := servertest.NewWorldFrom(t, server.Settings{Events: []config.Destination{{Name: "mail", Kind: "dovecot", URL: "http://" + doveadm + "/doveadm/v1", SecretFile: key, Inside: []string{"127.0.0.1"}}}}, "http://localhost", nil)
	w.Delivery.Run(t.Context())
	return around(w, func(conf string) string {
		_, port, _ := strings.Cut(doveadm, ":")
		before, rest, _ := strings.Cut(conf, "inet_listener http")
		_, after, _ := strings.Cut(rest, "port = ")
		_, after, _ = strings.Cut(after, "\n")
		return before + "inet_listener http {\n    address = 127.0.0.1\n    port = " + port + "\n" + after
	})
}

// idles opens a mailbox with a token or an app password and waits for mail.
func (p *post) idles(token, password string) *testbed.MailClient {
	p.T.Helper()
	c := testbed.DialMailT(p.T, p.doors[2])
	said, err := c.Token("OAUTHBEARER", "ada", token)
	if password != "" {
		c.Close()
		c = testbed.DialMailT(p.T, p.doors[2])
		said, err = c.Password("PLAIN", "ada", password)
	}
	if err != nil || !testbed.Yes(said) || !reads(c) {
		p.T.Fatalf("not in: %s, %v", said, err)
	}
	if said, err = c.Do("IDLE"); err != nil || !strings.HasPrefix(said, "+") {
		p.T.Fatalf("IDLE: %s, %v", said, err)
	}
	return c
}

// ends says after how long the server closed a connection; it fails if it did not.
func ends(t *testing.T, what string, c *testbed.MailClient) {
	t.Helper()
	began := time.Now()
	for {
		line, err := c.Line(closedWithin - time.Since(began))
		if err != nil {
			if took := time.Since(began); took >= closedWithin || strings.Contains(err.Error(), "timeout") {
				t.Errorf("%s: the connection is open after %v", what, took)
			} else {
				t.Logf("%s: closed after %v", what, took.Round(10*time.Millisecond))
			}
			return
		}
		if !strings.HasPrefix(line, "* ") {
			t.Errorf("%s: %q", what, line)
		}
	}
}

// The promise, T1114.002: who reads mail while they are signed out, suspended, or lose what they
// signed in with, is out within five seconds, also from a connection that waits for mail; and
// somebody else stays in.
func TestAnOpenConnectionEnds(t *testing.T) {
	for what, do := range map[string]func(p *post, browser *servertest.Person, token string){
		"suspended": func(p *post, _ *servertest.Person, _ string) { p.Suspend("ada") },
		"signed out": func(_ *post, browser *servertest.Person, _ string) {
			browser.Get("/account")
			browser.Post("/sign-out")
		},
		"given back": func(p *post, _ *servertest.Person, token string) {
			p.program.post("/oidc/revoke", map[string][]string{"token": {token}})
		},
	} {
		t.Run(what, func(t *testing.T) {
			p := closing(t)
			ada := p.EnrollCodes("ada")
			browser := signedIn(p.World, ada)
			token := p.program.token(browser)
			c := p.idles(token, "")
			do(p, browser, token)
			ends(t, what, c)
			if in, said := p.tries(p.doors[2], "OAUTHBEARER", "ada", token); in {
				t.Errorf("it opens again: %s", said)
			}
		})
	}
}
