package signin

import (
	"context"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
)

var recoveryCode = regexp.MustCompile(`<li><code>([0-9A-Z-]+)</code>`)

// The promise: every address of an account hears of an authenticator that is
// added or removed, and of a password that somebody used without the second
// factor, once an hour.
func TestNotices(t *testing.T) {
	w, ada := servertest.WithVPN(t)
	p := w.PostOffice()
	w.Address("ada", "ada@example.org")
	w.Address("ada", "ada@home.example")
	p.Collect()

	browser := w.Person()
	browser.Get("/sign-in")
	browser.SignIn("ada", ada.Code())
	browser.Get("/account")
	browser.Post("/account/do", "action", "authenticator.enroll", "object", "recoverycode")
	code := recoveryCode.FindStringSubmatch(browser.Page)
	if code == nil {
		t.Fatal(browser.Page)
	}
	browser.Post("/account/setup", "authenticator", "recoverycode", "text", code[1])
	browser.Sees("Added: ")
	if got := p.Collect(); len(got) != 2 || !strings.HasPrefix(got[0], "ada@example.org: ") || !strings.HasPrefix(got[1], "ada@home.example: ") {
		t.Errorf("a new authenticator was told as %q", got)
	}

	for range 3 {
		w.Begin(servertest.Line("ada", servertest.Passphrase, "000000"))
	}
	if got := p.Collect(); len(got) != 2 || !strings.Contains(got[0], "password") {
		t.Errorf("three wrong codes after the right password were told as %q", got)
	}
	w.Later(61 * time.Minute)
	w.Begin(servertest.Line("ada", servertest.Passphrase, "000000"))
	if got := p.Collect(); len(got) != 2 {
		t.Errorf("an hour later: %q", got)
	}
	for _, m := range p.Server.Mails() {
		for _, secret := range []string{servertest.Passphrase, "000000", code[1], string(ada.Secret)} {
			if strings.Contains(m.Body, secret) {
				t.Errorf("a secret is in the mail %q", m.Header.Get("Subject"))
			}
		}
	}
}

// The promise: while no mail can be sent notices wait, and none is lost.
func TestNoticesWait(t *testing.T) {
	w, _ := servertest.WithVPN(t)
	p := w.PostOffice()
	w.Address("ada", "ada@example.org")
	p.Server.Refuse(true)
	w.Begin(servertest.Line("ada", servertest.Passphrase, "000000"))
	if got := p.Collect(); len(got) != 0 {
		t.Fatalf("refused, and yet: %q", got)
	}
	w.Later(2 * time.Minute)
	p.Collect()
	p.Server.Refuse(false)
	w.Later(10 * time.Minute)
	if got := p.Collect(); len(got) != 1 {
		t.Errorf("when the mail server takes mail again: %q", got)
	}
	if got := p.Collect(); len(got) != 0 {
		t.Errorf("a second time: %q", got)
	}
}

// The promise: no name, label or reason that somebody types becomes a header or
// a recipient.
func TestNoticesCannotBeForged(t *testing.T) {
	w, ada := servertest.WithVPN(t)
	p := w.PostOffice()
	w.Address("ada", "ada@example.org")
	for _, hostile := range []string{"ada@example.org\r\nBcc: eve@example.org", "ada@example.org, eve@example.org", "<eve@example.org> ada", "ada@example.org\x00"} {
		err := w.DB.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error {
			d, err := w.Accounts.Find(t.Context(), tx, "ada")
			if err != nil {
				return err
			}
			if err := w.Accounts.AddMail(t.Context(), tx, d.ID, hostile); err != nil {
				return err
			}
			return tx.Record(audit.Entry{Event: "test.address", Outcome: audit.OK})
		})
		if err == nil {
			t.Errorf("%q is an address", hostile)
		}
	}
	hostile := servertest.Line("ada", servertest.Passphrase, "000000")
	hostile.Partner = "nas\r\nBcc: eve@example.org"
	if s := w.Begin(hostile); s.State != signin.Denied {
		t.Fatal(s.State)
	}
	browser := w.Person()
	browser.Get("/sign-in")
	browser.SignIn("ada", ada.Code())
	browser.Get("/account")
	browser.Post("/account/do", "action", "authenticator.enroll", "object", "recoverycode")
	code := recoveryCode.FindStringSubmatch(browser.Page)
	browser.Post("/account/setup", "authenticator", "recoverycode", "text", code[1], "label", "x\r\nBcc: eve@example.org\r\n\r\nbody")
	p.Collect()
	for _, m := range p.Server.Mails() {
		if m.Header.Get("Bcc") != "" || len(m.To) != 1 || m.To[0] != "ada@example.org" {
			t.Errorf("forged: %+v", m)
		}
	}
}

// The promise: two servers on one database send a notice once.
func TestNoticeOnceOnTwoServers(t *testing.T) {
	a, b, _, _ := servertest.TwoNodes(t)
	p := a.PostOffice()
	a.Address("ada", "ada@example.org")
	for range 3 {
		a.Begin(servertest.Line("ada", servertest.Passphrase, "000000"))
		a.Later(61 * time.Minute)
	}
	b.Skew.Store(a.Skew.Load())
	var all sync.WaitGroup
	for i := range 8 {
		w := []*servertest.World{a, b}[i%2]
		all.Go(func() {
			if err := w.Send(context.Background(), p.Mail, server.Settings{Now: w.Now, Log: slog.New(slog.DiscardHandler)}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	seen := map[string]int{}
	for _, m := range p.Server.Mails() {
		seen[m.Header.Get("Message-Id")]++
	}
	if len(seen) < 3 {
		t.Errorf("%d notices came", len(seen))
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s was sent %d times", id, n)
		}
	}
}
