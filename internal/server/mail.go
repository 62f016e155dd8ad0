package server

import (
	"context"
	"crypto/x509"
	"net/url"
	"os"
	"strings"

	"countersign/internal/assurance"
	"countersign/internal/config"
	"countersign/internal/failure"
	"countersign/internal/notify"
	"countersign/internal/store"
)

// MailerOf is the configured mail server, which knows this installation by the host of its
// public address. The file mail.ca is read now, the password for each mail.
func MailerOf(file config.File) (notify.Mailer, error) {
	u, err := url.Parse(file.PublicURL)
	if err != nil {
		return notify.Mailer{}, err
	}
	return mailerOf(file.Mail, sender{u.Hostname(), file.Organisation})
}

// sender is who sends mails: the host that it calls itself, and the organisation.
type sender struct{ host, organisation string }

func mailerOf(c config.Mail, by sender) (notify.Mailer, error) {
	m := notify.Mailer{Server: c.Server, From: c.From, Name: by.host, Organisation: by.organisation, TLS: c.TLS, Username: c.Username, Password: func() (string, error) {
		b, err := os.ReadFile(c.PasswordFile)
		return strings.TrimRight(string(b), "\r\n"), err
	}}
	if c.CA != "" {
		text, err := os.ReadFile(c.CA)
		if err != nil {
			return m, failure.Wrap(failure.Unavailable, err, "The file mail.ca cannot be read.")
		}
		m.Roots = x509.NewCertPool()
		if !m.Roots.AppendCertsFromPEM(text) {
			return m, failure.New(failure.Unavailable, "The file mail.ca has no certificate: %s.", c.CA)
		}
	}
	return m, nil
}

// mailer is the mail server as it is configured whenever it is asked for; one without a Server
// is none.
func (in *Installation) mailer(configured func() config.Mail) func() (notify.Mailer, error) {
	return func() (notify.Mailer, error) {
		if configured == nil {
			return notify.Mailer{}, nil
		}
		return mailerOf(configured(), sender{in.publicURL.Hostname(), in.organisation})
	}
}

// Send empties the outbox by way of the configured mail server.
func (in *Installation) Send(ctx context.Context, c config.Mail, s Settings) error {
	_, err := in.send(ctx, c, s)
	return err
}

// send is Send, and returns how many notices were taken.
func (in *Installation) send(ctx context.Context, c config.Mail, s Settings) (int, error) {
	m, err := mailerOf(c, sender{in.publicURL.Hostname(), in.organisation})
	if err != nil {
		return 0, err
	}
	return notify.NewSender(in.outbox, m.Deliver, s.Log).Naming(in.nameOf).Filling(in.Invitations.Fill).Send(ctx)
}

// nameOf is an account's name; empty is that of one which went.
func (in *Installation) nameOf(ctx context.Context, r store.Reader, account int64) string {
	a, err := in.Accounts.Get(ctx, r, assurance.AccountID(account))
	if err != nil {
		return ""
	}
	return a.Name
}
