package server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"net/http"

	"countersign/internal/application"
	"countersign/internal/audit"
	"countersign/internal/store"
)

// demonstrate fills a temporary installation: three people, a page behind
// forward-auth on a host of its own, and a RADIUS client on loopback.
func (in *Installation) demonstrate(ctx context.Context, s Settings) error {
	code, err := in.Setup.Link(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("\nA demonstration; all of it is gone when you stop it.\n\n  %-22s %s?code=%s\n", "You, the administrator", s.PublicURL.JoinPath("setup"), code)
	for _, p := range []struct{ name, display string }{{"ada", "Ada Lovelace"}, {"grace", "Grace Hopper"}, {"linus", "Linus"}} {
		pass, err := in.Setup.Plant(ctx, p.name, p.display)
		if err != nil {
			return err
		}
		fmt.Printf("  %-22s %s\n", p.display, pass.Link)
	}
	page, err := ProtectedPage(ctx, in.Handler)
	if err != nil {
		return err
	}
	secret := rand.Text()
	err = in.PlantApplications(ctx, page, secret)
	fmt.Printf("\n  %-22s http://%s\n  %-22s radclient 127.0.0.1:18120, secret %s (password, then code)\n\n", "A protected page", page, "RADIUS", secret)
	return err
}

// PlantApplications makes a site on that host and a RADIUS client on loopback with that
// secret, as the demonstration shows them.
func (in *Installation) PlantApplications(ctx context.Context, page, secret string) error {
	catalogue := in.Catalogue
	web, err := json.Marshal(map[string]any{"hosts": []string{page}})
	if err != nil {
		return err
	}
	vpn, err := json.Marshal(map[string]any{"mode": "challenge", "clients": []any{map[string]any{"name": "loopback", "networks": []string{"127.0.0.0/8"}, "secret": secret}}})
	if err != nil {
		return err
	}
	return in.DB.Change(ctx, audit.Actor{Name: "set-up", Via: "demo"}, func(tx *store.Tx) error {
		for _, a := range []application.Application{
			{Name: "wiki", Title: "The wiki", Kind: "wiki", Tier: application.Standard, Protocol: "forward-auth", Settings: web},
			{Name: "vpn", Title: "The VPN", Kind: "vpn", Tier: application.Standard, Protocol: "radius", Settings: vpn},
		} {
			if _, err := catalogue.Set(ctx, tx, a); err != nil {
				return err
			}
			if err := tx.Record(audit.Entry{Event: "application.set", Outcome: "ok", Application: a.Name}); err != nil {
				return err
			}
		}
		return nil
	})
}

// ProtectedPage serves a page behind a proxy of a few lines that asks as Caddy
// does, so that the demonstration needs nothing else installed.
func ProtectedPage(ctx context.Context, ask http.Handler) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	host := "localhost:" + port
	go func() { <-ctx.Done(); l.Close() }()
	go http.Serve(l, &guard{host: host, ask: ask}) //nolint:errcheck // it ends with the listener
	return host, nil
}
