package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"time"

	"countersign/internal/notify"
	"countersign/internal/protocol/radius"
)

type serveCommand struct {
	Listen       string   `default:"127.0.0.1:8080" env:"COUNTERSIGN_LISTEN" help:"Address of the pages."`
	PublicURL    string   `name:"public-url" default:"http://localhost:8080" env:"COUNTERSIGN_PUBLIC_URL" help:"How browsers reach the pages. It decides the origin and the passkeys' relying party."`
	Data         string   `default:"countersign-data" env:"COUNTERSIGN_DATA" help:"Folder of the database and the root key."`
	Database     string   `env:"COUNTERSIGN_DATABASE" help:"A postgres:// URL; SQLite in the data folder when empty."`
	Radius       []string `name:"radius" help:"Addresses to serve RADIUS on, such as 127.0.0.1:1812."`
	TrustedProxy []string `name:"trusted-proxy" help:"Networks whose forwarded headers are believed, such as 127.0.0.0/8."`
	TLSCert      string   `name:"tls-certificate" help:"PEM file; with it the pages are served by https."`
	TLSKey       string   `name:"tls-key" help:"PEM file of the certificate's key."`
	SMTP         string   `name:"smtp" help:"Mail server for notices, HOST:PORT; notices wait when empty."`
	MailFrom     string   `name:"mail-from" help:"Sender of notices."`
	Demo         bool     `help:"Use a temporary folder, three people, a protected page and a RADIUS client."`
}

// check turns the flags into settings, or says in one sentence what is wrong.
func (c *serveCommand) check(log *slog.Logger) (settings, error) {
	u, err := url.Parse(c.PublicURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" || u.User != nil || u.RawQuery != "" {
		return settings{}, fmt.Errorf("--public-url must be like https://login.example.org, without a path")
	}
	s := settings{folder: c.Data, database: c.Database, publicURL: u, now: time.Now, log: log}
	for _, p := range c.TrustedProxy {
		prefix, err := netip.ParsePrefix(p)
		if err != nil {
			return settings{}, fmt.Errorf("--trusted-proxy %q is not a network such as 127.0.0.0/8", p)
		}
		s.proxies = append(s.proxies, prefix)
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return settings{}, fmt.Errorf("--listen must be HOST:PORT, not %q", c.Listen)
	}
	if ip, err := netip.ParseAddr(host); c.TLSCert == "" && (err != nil && host != "localhost" || err == nil && !ip.IsLoopback()) {
		return settings{}, fmt.Errorf("--listen %s is not on loopback, so it needs --tls-certificate and --tls-key", c.Listen)
	}
	return s, nil
}

func (c *serveCommand) Run(ctx context.Context) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if c.Demo {
		folder, err := os.MkdirTemp("", "countersign-demo-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(folder)
		c.Data, c.Radius, c.TrustedProxy = folder, []string{"127.0.0.1:18120"}, []string{"127.0.0.0/8"}
	}
	s, err := c.check(log)
	if err != nil {
		return err
	}
	in, err := assemble(ctx, s)
	if err != nil {
		return err
	}
	defer in.db.Close()
	return c.run(ctx, in, s)
}

func (c *serveCommand) run(ctx context.Context, in *installation, s settings) error {
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	conns, err := radius.Listen(c.Radius)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	server := &http.Server{Handler: in.handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10}
	if err := c.greet(ctx, in, s, listener); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 2)
	go func() {
		if c.TLSCert != "" {
			failed <- server.ServeTLS(listener, c.TLSCert, c.TLSKey)
			return
		}
		failed <- server.Serve(listener)
	}()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		if len(conns) > 0 {
			if err := in.radius.Serve(ctx, conns); err != nil {
				failed <- err
			}
		}
	}()
	go c.housekeep(ctx, in, s)
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	cancel()
	grace, done := context.WithTimeout(context.Background(), 10*time.Second)
	defer done()
	err = errors.Join(err, server.Shutdown(grace))
	<-stopped
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// greet prints where to go.
func (c *serveCommand) greet(ctx context.Context, in *installation, s settings, l net.Listener) error {
	fmt.Printf("Countersign listens on %s; browsers go to %s\n", l.Addr(), s.publicURL)
	if c.Demo {
		return in.demonstrate(ctx, s)
	}
	code, err := in.admin.SetupLink(ctx)
	if err != nil || code == "" {
		return err
	}
	fmt.Printf("\nThere is no administrator yet. Open this link within 24 hours; it is good once:\n\n  %s?code=%s\n\n", s.publicURL.JoinPath("setup"), code)
	return nil
}

// housekeep sends notices and sweeps what is over.
func (c *serveCommand) housekeep(ctx context.Context, in *installation, s settings) {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		_, err := in.engine.Sweep(ctx)
		err = errors.Join(err, in.tickets.Sweep(ctx), in.sessions.Sweep(ctx))
		if c.SMTP != "" {
			_, sent := (&notify.Sender{DB: in.db, Deliver: notify.SMTP(c.SMTP, c.MailFrom), Now: s.now, Log: s.log}).Send(ctx)
			err = errors.Join(err, sent)
		}
		if err != nil && ctx.Err() == nil {
			s.log.Warn("housekeeping", "error", err)
		}
	}
}
