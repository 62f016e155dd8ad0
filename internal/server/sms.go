package server

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"os"
	"regexp"

	"countersign/internal/authenticator"
	"countersign/internal/config"
	"countersign/internal/failure"
	"countersign/internal/notify"
	"countersign/internal/outbox"
)

// GatewayOf is the configured SMS gateway; nil is none.
func GatewayOf(c config.SMS) *notify.Gateway {
	if c.URL == "" {
		return nil
	}
	g := &notify.Gateway{URL: c.URL, Method: c.Method, Form: c.Format == "form", Fields: c.Fields, JSON: c.Body, Number: c.Number, Header: c.Header, Value: c.Value}
	if c.Accepted != "" {
		g.Accepted = regexp.MustCompile(c.Accepted) // config checked it
	}
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
	// Organisation is whose installation it is, for mails; it may be empty.
	Organisation string
}

// Carry hands what waits to who takes it, once, by mail and by SMS. A carrier that takes
// nothing is no error.
func (in *Installation) Carry(ctx context.Context, c Carriers) error {
	c.Host = in.publicURL.Hostname()
	for _, way := range []outbox.Carrier{c.byMail(), c.bySMS()} {
		if _, err := in.SignIn.Messages.CarryBy(ctx, way); err != nil && failure.ClassOf(err) != failure.Unavailable {
			return err
		}
	}
	return nil
}

// isMail tells a code by mail from one by SMS.
func isMail(m authenticator.Message) bool { return m.Subject != "" }

func (c Carriers) bySMS() outbox.Carrier {
	return outbox.Carrier{Takes: func(m authenticator.Message) bool { return !isMail(m) }, Carry: func(ctx context.Context, m authenticator.Message) error {
		if c.SMS == nil {
			return failure.New(failure.Invalid, "There is no SMS gateway any more.")
		}
		return c.SMS.Send(ctx, m.To, m.Text)
	}}
}

func (c Carriers) byMail() outbox.Carrier {
	return outbox.Carrier{Takes: isMail, Carry: func(ctx context.Context, m authenticator.Message) error {
		mailer, err := mailerOf(c.Mail(), sender{c.Host, c.Organisation})
		if err != nil {
			return err
		}
		// The mail's number is in logs on its way, as a hash with the text. A random one
		// keeps the code from being found out by trying all of them.
		var number [8]byte
		rand.Read(number[:])
		return mailer.Deliver(ctx, notify.Notice{ID: int64(binary.BigEndian.Uint64(number[:])), Address: m.To, Subject: m.Subject, Body: m.Text})
	}}
}
