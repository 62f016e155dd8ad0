package server

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"countersign/internal/config"
	"countersign/internal/notify"
)

// mailerOf is the configured mail server.
func mailerOf(c config.Mail) (notify.Mailer, error) {
	m := notify.Mailer{Server: c.Server, From: c.From, Username: c.Username, Password: func() (string, error) {
		b, err := os.ReadFile(c.PasswordFile)
		return strings.TrimRight(string(b), "\r\n"), err
	}}
	if c.CA != "" {
		text, err := os.ReadFile(c.CA)
		if err != nil {
			return m, err
		}
		m.Roots = x509.NewCertPool()
		if !m.Roots.AppendCertsFromPEM(text) {
			return m, fmt.Errorf("mail.ca: %s holds no certificate", c.CA)
		}
	}
	return m, nil
}

// Send empties the outbox by way of the configured mail server.
func (in *Installation) Send(ctx context.Context, c config.Mail, s Settings) error {
	m, err := mailerOf(c)
	if err != nil {
		return err
	}
	_, err = notify.NewSender(in.outbox, m.Deliver, s.Log).Send(ctx)
	return err
}
