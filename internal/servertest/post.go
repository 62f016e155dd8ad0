package servertest

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"countersign/internal/audit"
	"countersign/internal/config"
	"countersign/internal/server"
	"countersign/internal/store"
	"countersign/internal/testbed"
)

// postOffice is a world whose notices go to a mail server.
type postOffice struct {
	*World
	Server *testbed.MailServer
	Mail   config.Mail
}

func (w *World) PostOffice() *postOffice {
	w.T.Helper()
	p := &postOffice{World: w, Server: testbed.NewMailServer(w.T)}
	ca := filepath.Join(w.T.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, p.Server.Root(), 0o600); err != nil {
		w.T.Fatal(err)
	}
	p.Mail = config.Mail{Server: p.Server.Addr, From: "countersign@example.org", CA: ca}
	return p
}

// Address gives an account a verified address.
func (w *World) Address(name, mail string) {
	w.T.Helper()
	ctx := context.Background()
	err := w.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		d, err := w.Accounts.Find(ctx, tx, name)
		if err != nil {
			return err
		}
		if err := w.Accounts.AddMail(ctx, tx, d.ID, mail); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.address", Outcome: audit.OK})
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// Collect empties the outbox and returns what came, as "address: subject".
func (p *postOffice) Collect() []string {
	p.T.Helper()
	before := len(p.Server.Mails())
	if err := p.Send(context.Background(), p.Mail, server.Settings{Now: p.Now, Log: slog.New(slog.DiscardHandler)}); err != nil {
		p.T.Fatal(err)
	}
	var out []string
	for _, m := range p.Server.Mails()[before:] {
		out = append(out, strings.Join(m.To, ",")+": "+m.Header.Get("Subject"))
	}
	slices.Sort(out)
	return out
}

// Telephones is an installation with an SMS gateway.
type Telephones struct {
	*World
	Gateway *testbed.SMSGateway
	Sms     server.Settings
}

// Arrives is the messages that came since the last time.
func (p *Telephones) Arrives() []testbed.SMS {
	p.T.Helper()
	if err := p.Carry(context.Background(), server.Carriers{SMS: p.Sms.SMS}); err != nil {
		p.T.Fatal(err)
	}
	return p.Gateway.Got()
}

var codeInSMS = regexp.MustCompile(`^(\d{6}) is your code for localhost\. Nobody who calls you needs it\.\n\n@localhost #(\d{6})$`)

// Reads is the code in the one message that came to a number.
func (p *Telephones) Reads(number string) string {
	p.T.Helper()
	got := p.Arrives()
	if len(got) != 1 || got[0].Number != number {
		p.T.Fatalf("%d messages came", len(got))
	}
	m := codeInSMS.FindStringSubmatch(got[0].Text)
	if m == nil || m[1] != m[2] {
		p.T.Fatal("the message is another")
	}
	return m[1]
}

const BobsNumber = "+4930123456"

// Bob has a password and a telephone.
func (p *Telephones) Bob() *Person {
	p.T.Helper()
	bob := p.Welcomed("bob")
	bob.Post("/account/do", "action", "authenticator.enroll", "object", "smscode")
	bob.Sees("the weakest way")
	bob.Post("/account/setup", "authenticator", "smscode", "text", "030 123456")
	bob.Sees("with its country")
	bob.Post("/account/setup", "authenticator", "smscode", "text", "+49 30 12-34-56")
	bob.Sees("Code sent to " + BobsNumber)
	bob.Post("/account/setup", "authenticator", "smscode", "text", "000000")
	bob.Sees("not the code that was sent")
	bob.Post("/account/setup", "authenticator", "smscode", "text", p.Reads(BobsNumber))
	bob.Sees("Added: Code by SMS")
	p.Later(25 * time.Hour)
	return bob
}
