package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"syscall"
	"time"

	"countersign/internal/config"
	"countersign/internal/protocol/radius"
)

// serveCommand's flags stand before the file's settings; one that is left out
// leaves the file's.
type serveCommand struct {
	Config       string   `env:"COUNTERSIGN_CONFIG" help:"Configuration file; see: countersign config print"`
	Listen       string   `env:"COUNTERSIGN_LISTEN" help:"Address of the pages (127.0.0.1:8080)."`
	PublicURL    string   `name:"public-url" env:"COUNTERSIGN_PUBLIC_URL" help:"How browsers reach the pages (http://localhost:8080). It decides the origin and the passkeys' relying party."`
	Data         string   `env:"COUNTERSIGN_DATA" help:"Folder of the database and the root key (countersign-data)."`
	Database     string   `env:"COUNTERSIGN_DATABASE" help:"A postgres:// URL; SQLite in the data folder when empty."`
	Radius       []string `name:"radius" help:"Addresses to serve RADIUS on, such as 127.0.0.1:1812."`
	TrustedProxy []string `name:"trusted-proxy" help:"Networks whose forwarded headers are believed, such as 127.0.0.0/8."`
	Demo         bool     `help:"Use a temporary folder, three people, a protected page and a RADIUS client."`
}

// file reads the configuration and lays the flags over it.
func (c *serveCommand) file() (config.File, error) {
	file := config.Default()
	if c.Config != "" {
		var err error
		if file, err = config.Read(c.Config); err != nil {
			return file, err
		}
	}
	for _, o := range []struct {
		flag    string
		setting *string
	}{{c.Listen, &file.Listen}, {c.PublicURL, &file.PublicURL}, {c.Data, &file.Data}, {c.Database, &file.Database}} {
		if o.flag != "" {
			*o.setting = o.flag
		}
	}
	if len(c.Radius) > 0 {
		file.Radius.Listen = c.Radius
	}
	if len(c.TrustedProxy) > 0 {
		file.TrustedProxies = c.TrustedProxy
	}
	return file, file.Check()
}

// collectLater lets twice as much garbage gather as Go does by itself: what is
// alive in a server is a few megabytes, and collecting it often cost a tenth of
// the sign-ins a second. GOGC in the environment stands.
func collectLater() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
}

// fewAllocations is how many bytes a second a server takes from its memory that has
// nothing to do but to look at its rows.
const fewAllocations = 16 << 20

// collectSooner collects garbage early while little of it is made: what looks at rows in
// the background would let it gather to three times of what is alive, for nothing. Under
// load it is collected later again. GOGC in the environment stands.
func collectSooner(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	taken := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	defer debug.SetGCPercent(200)
	sooner := false
	for before := uint64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(taken)
		now := taken[0].Value.Uint64()
		if few := now-before < fewAllocations; few != sooner {
			sooner = few
			debug.SetGCPercent(map[bool]int{true: 30, false: 200}[few])
		}
		before = now
	}
}

// Run serves until it is told to stop.
func (c *serveCommand) Run(ctx context.Context) error {
	collectLater()
	if c.Demo {
		if err := c.leavesAlone(); err != nil {
			return err
		}
		folder, err := os.MkdirTemp("", "countersign-demo-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(folder)
		c.Data, c.Radius, c.TrustedProxy = folder, []string{"127.0.0.1:18120"}, []string{"127.0.0.0/8"}
	}
	file, err := c.file()
	if err != nil {
		return err
	}
	d := newDaemon(file)
	s, err := settingsOf(file, d.log)
	if err != nil {
		return err
	}
	s.recovery = func() config.LocalRecovery { return d.file.Load().LocalRecovery }
	if d.in, err = assemble(ctx, s); err != nil {
		return err
	}
	defer d.in.db.Close()
	d.catchUp(ctx)
	greet := d.greet
	if c.Demo {
		greet = d.in.demonstrate
	}
	d.reread = c.file
	return d.run(ctx, s, greet)
}

// catchUpWait is how long a start waits for the log to be read to its end: a server that
// kept what it knew needs a moment. A new one beside a long log goes on reading while it
// serves, and believes MACs alone until then.
const catchUpWait = 5 * time.Second

func (d *daemon) catchUp(ctx context.Context) {
	wait, done := context.WithTimeout(ctx, catchUpWait)
	defer done()
	d.in.db.CatchUp(wait)
	if !d.in.db.CaughtUp() && ctx.Err() == nil {
		d.log.Warn("the audit log is not read to its end yet; until then, what was put back from an older copy is not told from the newest")
	}
}

// leavesAlone refuses a demonstration that would work on somebody's installation:
// people who do not exist, applications, and a set-up link on the screen.
func (c *serveCommand) leavesAlone() error {
	file, err := c.file()
	if err != nil {
		return err
	}
	switch {
	case file.Database != "":
		return errors.New("a demonstration has a database of its own, and another one is set: unset COUNTERSIGN_DATABASE and leave --database and database: in the configuration out")
	case c.Config != "" || os.Getenv("COUNTERSIGN_ROOT_KEY") != "":
		return errors.New("a demonstration takes nothing from an installation: leave --config out and unset COUNTERSIGN_CONFIG and COUNTERSIGN_ROOT_KEY")
	}
	return nil
}

// daemon is a running server with what can change while it runs.
type daemon struct {
	in     *installation
	file   atomic.Pointer[config.File]
	level  slog.LevelVar
	log    *slog.Logger
	reread func() (config.File, error)
}

func newDaemon(file config.File) *daemon {
	d := &daemon{}
	d.file.Store(&file)
	d.setLevel(file.Log.Level)
	options := &slog.HandlerOptions{Level: &d.level}
	if file.Log.Format == "json" {
		d.log = slog.New(slog.NewJSONHandler(os.Stderr, options))
	} else {
		d.log = slog.New(slog.NewTextHandler(os.Stderr, options))
	}
	return d
}

func (d *daemon) setLevel(word string) {
	var l slog.Level
	if l.UnmarshalText([]byte(word)) == nil {
		d.level.Set(l)
	}
}

// reload takes from the file what can change now, and says what cannot. A file
// that cannot be used changes nothing.
func (d *daemon) reload() (now, restart []string, err error) {
	is, err := d.reread()
	if err != nil {
		d.log.Error("the configuration is not used; everything stays as it was", "error", err)
		return nil, nil, err
	}
	was := *d.file.Load()
	now, restart = config.Changes(was, is)
	next := config.Live(was, is)
	d.file.Store(&next)
	d.setLevel(next.Log.Level)
	d.log.Info("the configuration was read again", "changed", now, "needs a restart", restart)
	return now, restart, nil
}

// listeners are the sockets, opened before anything is served.
type listeners struct {
	pages  net.Listener
	local  net.Listener
	counts net.Listener // nil for none
	cards  net.Listener // nil for none
	radius []*net.UDPConn
}

func (d *daemon) listen(file config.File) (listeners, error) {
	pages, err := net.Listen("tcp", file.Listen)
	if err != nil {
		return listeners{}, err
	}
	local, err := listenLocal(file.Data)
	if err != nil {
		return listeners{}, err
	}
	var counts net.Listener
	if file.Metrics != "" {
		if counts, err = net.Listen("tcp", file.Metrics); err != nil {
			return listeners{}, err
		}
	}
	var cards net.Listener
	if file.Certificates.Listen != "" {
		if cards, err = net.Listen("tcp", file.Certificates.Listen); err != nil {
			return listeners{}, err
		}
	}
	conns, err := radius.Listen(file.Radius.Listen)
	return listeners{pages, local, counts, cards, conns}, err
}

// pages is the web server; with TLS when there is a certificate.
func (d *daemon) pages() (*http.Server, error) {
	server := patient(d.in.handler, pageTimes)
	server.ErrorLog = slog.NewLogLogger(d.log.Handler(), slog.LevelDebug)
	if d.file.Load().TLS.Certificate == "" {
		return server, nil
	}
	c := &certificates{files: func() config.TLS { return d.file.Load().TLS }, log: d.log}
	var err error
	server.TLSConfig, err = c.tlsConfig()
	return server, err
}

func (d *daemon) run(ctx context.Context, s settings, greet func(context.Context, settings) error) error {
	file := *d.file.Load()
	server, err := d.pages()
	if err != nil {
		return err
	}
	cards, err := d.cards(s)
	if err != nil {
		return err
	}
	l, err := d.listen(file)
	if err != nil {
		return err
	}
	l.sharing(s.proxies)
	fmt.Printf("Countersign listens on %s; browsers go to %s\n", l.pages.Addr(), s.publicURL)
	if err := greet(ctx, s); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 5)
	local := patient(d.local(), times{header: pageTimes.header, read: pageTimes.read}) // whoever runs this machine may take their time
	go func() { failed <- local.Serve(l.local) }()
	if l.counts != nil {
		counts := patient(d.in.metrics(), pageTimes)
		defer counts.Close()
		go func() { failed <- counts.Serve(l.counts) }()
	}
	if l.cards != nil {
		cards.ErrorLog = server.ErrorLog
		defer cards.Close()
		go func() { failed <- cards.ServeTLS(l.cards, "", "") }()
	}
	go func() {
		if server.TLSConfig != nil {
			failed <- server.ServeTLS(l.pages, "", "")
			return
		}
		failed <- server.Serve(l.pages)
	}()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		if len(l.radius) > 0 {
			if err := d.in.radius.Serve(ctx, l.radius); err != nil {
				failed <- err
			}
		}
	}()
	go d.housekeep(ctx, s)
	go d.in.keepLooking(ctx, s.log)
	go collectSooner(ctx)
	go d.in.pusher.run(ctx, s.log)
	if s.sms != nil || s.mails {
		go d.in.messenger(ctx, carriers{s.sms, func() config.Mail { return d.file.Load().Mail }}, s.log)
	}
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	cancel()
	grace, done := context.WithTimeout(context.Background(), 10*time.Second)
	defer done()
	err = errors.Join(err, server.Shutdown(grace), local.Shutdown(grace))
	<-stopped
	if err := d.in.engine.Strangers.SumUp(grace); err != nil {
		s.log.Warn("what strangers were refused in the last minute is not in the audit log", "error", err)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// greet prints the set-up link while there is no administrator.
func (d *daemon) greet(ctx context.Context, s settings) error {
	code, err := d.in.admin.SetupLink(ctx)
	if err != nil || code == "" {
		return err
	}
	fmt.Printf("\nThere is no administrator yet. Open this link within 24 hours; it is good once:\n\n  %s?code=%s\n\n", s.publicURL.JoinPath("setup"), code)
	return nil
}

// compareClocks says when this server's clock is off: nothing else would, and everybody
// would be asked for what they have shown.
func (in *installation) compareClocks(ctx context.Context, log *slog.Logger) error {
	clock, err := in.db.Clock(ctx)
	if says := clock.Says(); says != "" {
		log.Warn(says, "behind", clock.Behind())
	}
	return err
}

// housekeep sends notices, sweeps what is over, and reads the configuration
// again on SIGHUP.
func (d *daemon) housekeep(ctx context.Context, s settings) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	var warned, compared time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			d.reload() //nolint:errcheck // it is logged
			continue
		case <-tick.C:
		}
		_, err := d.in.engine.Sweep(ctx)
		if now := time.Now(); now.Sub(warned) > time.Hour {
			warned, err = now, errors.Join(err, d.in.admin.WarnAdministrators(ctx))
		}
		err = errors.Join(err, d.in.tickets.Sweep(ctx), d.in.sessions.Sweep(ctx), d.in.recoveries.Requests.Sweep(ctx))
		if now := time.Now(); now.Sub(compared) > time.Minute {
			compared = now
			err = errors.Join(err, d.in.compareClocks(ctx, s.log))
		}
		if mail := d.file.Load().Mail; mail.Server != "" {
			err = errors.Join(err, d.in.send(ctx, mail, s))
		}
		if err != nil && ctx.Err() == nil {
			s.log.Warn("housekeeping", "error", err)
		}
	}
}
