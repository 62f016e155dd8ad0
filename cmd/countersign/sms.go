package main

import (
	"bufio"
	"bytes"
	"context"
	"log/slog"
	"os"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/smscode"
	"countersign/internal/config"
	"countersign/internal/notify"
)

// gatewayOf is the configured SMS gateway; nil is none.
func gatewayOf(c config.SMS) *notify.Gateway {
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

// smsKind is the authenticator that a gateway makes possible. Its messages name the
// organisation, and the host whose pages the code is for.
func smsKind(s settings) *smscode.Authenticator {
	service := s.organisation
	if service == "" {
		service = s.publicURL.Hostname()
	}
	return smscode.New(service, s.publicURL.Hostname())
}

// carry hands what waits to the gateway.
func (in *installation) carry(ctx context.Context, g *notify.Gateway) error {
	return in.engine.Messages.Carry(ctx, func(ctx context.Context, m authenticator.Message) error { return g.Send(ctx, m.To, m.Text) })
}

// messenger carries what waits, every second.
func (in *installation) messenger(ctx context.Context, g *notify.Gateway, log *slog.Logger) {
	if g == nil {
		return
	}
	everySecond(ctx, log, "sending codes", func() error { return in.carry(ctx, g) })
}
