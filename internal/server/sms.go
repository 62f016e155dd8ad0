package server

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"

	"countersign/internal/authenticator"
	"countersign/internal/config"
	"countersign/internal/notify"
)

// GatewayOf is the configured SMS gateway; nil is none.
func GatewayOf(c config.SMS) *notify.Gateway {
	if c.URL == "" {
		return nil
	}
	g := &notify.Gateway{URL: c.URL, Form: c.Format == "form", Fields: c.Fields, Header: c.Header, Value: c.Value}
	if c.SecretFile != "" {
		g.Secret = func() (string, error) {
			b, err := os.ReadFile(c.SecretFile)
			if err != nil {
				return "", err
			}
			lines := bufio.NewScanner(bytes.NewReader(b))
			lines.Scan()
			return lines.Text(), lines.Err()
		}
	}
	return g
}

// serviceName is what people call this installation.
func serviceName(s Settings) string {
	return cmp.Or(s.Organisation, s.PublicURL.Hostname())
}

// Carriers take codes to their owners.
type Carriers struct {
	SMS  *notify.Gateway // nil is none
	Mail func() config.Mail
	Host string // of the public address
}

// Carry hands what waits to who takes it.
func (in *Installation) Carry(ctx context.Context, c Carriers) error {
	c.Host = in.publicURL.Hostname()
	return in.SignIn.Messages.Carry(ctx, c.take)
}

func (c Carriers) take(ctx context.Context, m authenticator.Message) error {
	if m.Subject == "" {
		if c.SMS == nil {
			return errors.New("there is no SMS gateway any more")
		}
		return c.SMS.Send(ctx, m.To, m.Text)
	}
	mailer, err := mailerOf(c.Mail(), c.Host)
	if err != nil {
		return err
	}
	// The mail's number is in logs on its way, as a hash with the text. A random one
	// keeps the code from being found out by trying all of them.
	var number [8]byte
	rand.Read(number[:])
	return mailer.Deliver(ctx, notify.Notice{ID: int64(binary.BigEndian.Uint64(number[:])), Address: m.To, Subject: m.Subject, Body: m.Text})
}

// messenger carries what waits, every second.
func (in *Installation) messenger(ctx context.Context, c Carriers, log *slog.Logger) {
	everySecond(ctx, log, "sending codes", func() error { return in.Carry(ctx, c) })
}
