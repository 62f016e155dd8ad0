package cli

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/config"
	"countersign/internal/server"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/testbed"
)

var recoveryCode = regexp.MustCompile(`<li><code>([0-9A-Z-]+)</code>`)

// postOffice is a world whose notices go to a mail server.
type postOffice struct {
	*world
	server *testbed.MailServer
	mail   config.Mail
}

func (w *world) postOffice() *postOffice {
	w.t.Helper()
	p := &postOffice{world: w, server: testbed.NewMailServer(w.t)}
	ca := filepath.Join(w.t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, p.server.Root(), 0o600); err != nil {
		w.t.Fatal(err)
	}
	p.mail = config.Mail{Server: p.server.Addr, From: "countersign@example.org", CA: ca}
	return p
}

// address gives an account a verified address.
func (w *world) address(name, mail string) {
	w.t.Helper()
	ctx := context.Background()
	err := w.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		d, err := w.Directory.Find(ctx, tx, name)
		if err != nil {
			return err
		}
		if err := w.Directory.AddMail(ctx, tx, d.ID, mail); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.address", Outcome: audit.OK})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// collect empties the outbox and returns what came, as "address: subject".
func (p *postOffice) collect() []string {
	p.t.Helper()
	before := len(p.server.Mails())
	if err := p.Send(context.Background(), p.mail, server.Settings{Now: p.now, Log: slog.New(slog.DiscardHandler)}); err != nil {
		p.t.Fatal(err)
	}
	var out []string
	for _, m := range p.server.Mails()[before:] {
		out = append(out, strings.Join(m.To, ",")+": "+m.Header.Get("Subject"))
	}
	slices.Sort(out)
	return out
}

// The promise: every address of an account hears of an authenticator that is
// added or removed, and of a password that somebody used without the second
// factor, once an hour.
func TestNotices(t *testing.T) {
	w, ada := withVPN(t)
	p := w.postOffice()
	w.address("ada", "ada@example.org")
	w.address("ada", "ada@home.example")
	p.collect()

	browser := w.person()
	browser.get("/sign-in")
	browser.signIn("ada", ada.code())
	browser.get("/account")
	browser.post("/account/do", "action", "authenticator.enroll", "object", "recoverycode")
	code := recoveryCode.FindStringSubmatch(browser.page)
	if code == nil {
		t.Fatal(browser.page)
	}
	browser.post("/account/setup", "authenticator", "recoverycode", "text", code[1])
	browser.sees("Added: ")
	if got := p.collect(); len(got) != 2 || !strings.HasPrefix(got[0], "ada@example.org: ") || !strings.HasPrefix(got[1], "ada@home.example: ") {
		t.Errorf("a new authenticator was told as %q", got)
	}

	for range 3 {
		w.begin(line("ada", passphrase, "000000"))
	}
	if got := p.collect(); len(got) != 2 || !strings.Contains(got[0], "password") {
		t.Errorf("three wrong codes after the right password were told as %q", got)
	}
	w.later(61 * time.Minute)
	w.begin(line("ada", passphrase, "000000"))
	if got := p.collect(); len(got) != 2 {
		t.Errorf("an hour later: %q", got)
	}
	for _, m := range p.server.Mails() {
		for _, secret := range []string{passphrase, "000000", code[1], string(ada.secret)} {
			if strings.Contains(m.Body, secret) {
				t.Errorf("a secret is in the mail %q", m.Header.Get("Subject"))
			}
		}
	}
}

// The promise: while no mail can be sent notices wait, and none is lost.
func TestNoticesWait(t *testing.T) {
	w, _ := withVPN(t)
	p := w.postOffice()
	w.address("ada", "ada@example.org")
	p.server.Refuse(true)
	w.begin(line("ada", passphrase, "000000"))
	if got := p.collect(); len(got) != 0 {
		t.Fatalf("refused, and yet: %q", got)
	}
	w.later(2 * time.Minute)
	p.collect()
	p.server.Refuse(false)
	w.later(10 * time.Minute)
	if got := p.collect(); len(got) != 1 {
		t.Errorf("when the mail server takes mail again: %q", got)
	}
	if got := p.collect(); len(got) != 0 {
		t.Errorf("a second time: %q", got)
	}
}

// The promise: no name, label or reason that somebody types becomes a header or
// a recipient.
func TestNoticesCannotBeForged(t *testing.T) {
	w, ada := withVPN(t)
	p := w.postOffice()
	w.address("ada", "ada@example.org")
	for _, hostile := range []string{"ada@example.org\r\nBcc: eve@example.org", "ada@example.org, eve@example.org", "<eve@example.org> ada", "ada@example.org\x00"} {
		err := w.DB.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error {
			d, err := w.Directory.Find(t.Context(), tx, "ada")
			if err != nil {
				return err
			}
			if err := w.Directory.AddMail(t.Context(), tx, d.ID, hostile); err != nil {
				return err
			}
			return tx.Record(audit.Entry{Event: "test.address", Outcome: audit.OK})
		})
		if err == nil {
			t.Errorf("%q is an address", hostile)
		}
	}
	hostile := line("ada", passphrase, "000000")
	hostile.Partner = "nas\r\nBcc: eve@example.org"
	if s := w.begin(hostile); s.State != signin.Denied {
		t.Fatal(s.State)
	}
	browser := w.person()
	browser.get("/sign-in")
	browser.signIn("ada", ada.code())
	browser.get("/account")
	browser.post("/account/do", "action", "authenticator.enroll", "object", "recoverycode")
	code := recoveryCode.FindStringSubmatch(browser.page)
	browser.post("/account/setup", "authenticator", "recoverycode", "text", code[1], "label", "x\r\nBcc: eve@example.org\r\n\r\nbody")
	p.collect()
	for _, m := range p.server.Mails() {
		if m.Header.Get("Bcc") != "" || len(m.To) != 1 || m.To[0] != "ada@example.org" {
			t.Errorf("forged: %+v", m)
		}
	}
}

// The promise: two servers on one database send a notice once.
func TestNoticeOnceOnTwoServers(t *testing.T) {
	a, b, _, _ := twoNodes(t)
	p := a.postOffice()
	a.address("ada", "ada@example.org")
	for range 3 {
		a.begin(line("ada", passphrase, "000000"))
		a.later(61 * time.Minute)
	}
	b.skew.Store(a.skew.Load())
	var all sync.WaitGroup
	for i := range 8 {
		w := []*world{a, b}[i%2]
		all.Go(func() {
			if err := w.Send(context.Background(), p.mail, server.Settings{Now: w.now, Log: slog.New(slog.DiscardHandler)}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	seen := map[string]int{}
	for _, m := range p.server.Mails() {
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
