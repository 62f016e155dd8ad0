package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"countersign/internal/config"
)

// daemon is a running server with what can change while it runs.
type daemon struct {
	in     *Installation
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
	if d.in != nil {
		d.in.carriers.wake()
		d.in.Delivery.Wake()
	}
	d.log.Info("the configuration was read again", "changed", now, "needs a restart", restart)
	return now, restart, nil
}

// Run says how a server runs.
type Run struct {
	Reread func() (config.File, error) // the configuration, as it is now
	Demo   bool                        // it serves a demonstration's installation, and no other
	// Greet says what to open, once everything listens; nil prints the set-up link while
	// there is no administrator.
	Greet   func(context.Context, *Installation, Settings) error
	Version string // for those who monitor it
}

// Serve serves until ctx ends.
func Serve(ctx context.Context, r Run) error {
	CollectLater()
	file, err := r.Reread()
	if err != nil {
		return err
	}
	d := newDaemon(file)
	s, err := SettingsOf(file, d.log)
	if err != nil {
		return err
	}
	s.Recovery = func() config.LocalRecovery { return d.file.Load().LocalRecovery }
	s.Mail = func() config.Mail { return d.file.Load().Mail }
	s.Version, s.Demo = r.Version, r.Demo
	if d.in, err = Assemble(ctx, s); err != nil {
		return err
	}
	defer d.in.DB.Close()
	d.catchUp(ctx)
	greet := d.greet
	if r.Greet != nil {
		greet = func(ctx context.Context, s Settings) error { return r.Greet(ctx, d.in, s) }
	}
	d.reread = r.Reread
	return d.run(ctx, s, greet)
}

// catchUpWait is how long a start waits for the log to be read to its end: a server that
// kept what it knew needs a moment. A new one beside a long log goes on reading while it
// serves, and believes MACs alone until then.
const catchUpWait = 5 * time.Second

func (d *daemon) catchUp(ctx context.Context) {
	wait, done := context.WithTimeout(ctx, catchUpWait)
	defer done()
	d.in.DB.View().CatchUp(wait)
	if !d.in.DB.View().CaughtUp() && ctx.Err() == nil {
		d.log.Warn("the audit log is not read to its end yet; until then, what was put back from an older copy is not told from the newest")
	}
}

// pages is the web server; with TLS when there is a certificate.
func (d *daemon) pages() (*http.Server, error) {
	server := patient(d.in.Handler, pageTimes)
	server.ErrorLog = slog.NewLogLogger(d.log.Handler(), slog.LevelDebug)
	if d.file.Load().TLS.Certificate == "" {
		return server, nil
	}
	c := &certificates{files: func() config.TLS { return d.file.Load().TLS }, log: d.log}
	var err error
	server.TLSConfig, err = c.TLSConfig()
	return server, err
}

func (d *daemon) run(ctx context.Context, s Settings, greet func(context.Context, Settings) error) error {
	file := *d.file.Load()
	server, err := d.pages()
	if err != nil {
		return err
	}
	cards, err := d.cards(s)
	if err != nil {
		return err
	}
	mutual, err := d.mutual()
	if err != nil {
		return err
	}
	l, err := d.listen(file)
	if err != nil {
		return err
	}
	l.sharing(s.Proxies)
	fmt.Printf("Countersign listens on %s; browsers go to %s\n", l.pages.Addr(), s.PublicURL)
	if err := greet(ctx, s); err != nil {
		return err
	}
	if !s.Demo { // which only this machine is for, and which sends nothing
		fmt.Print(missing(file))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 4+len(l.protocols))
	local := patient(d.local(), times{header: pageTimes.header, read: pageTimes.read}) // whoever runs this machine may take their time
	go func() { failed <- local.Serve(l.local) }()
	if l.counts != nil {
		counts := patient(d.in.Metrics(), pageTimes)
		defer counts.Close()
		go func() { failed <- counts.Serve(l.counts) }()
	}
	if l.cards != nil {
		defer cards.Close()
		go func() { failed <- cards.ServeTLS(l.cards, "", "") }()
	}
	if l.mutual != nil {
		defer mutual.Close()
		go func() { failed <- mutual.ServeTLS(l.mutual, "", "") }()
	}
	go func() {
		if server.TLSConfig != nil {
			failed <- server.ServeTLS(l.pages, "", "")
			return
		}
		failed <- server.Serve(l.pages)
	}()
	finished := d.in.Work(ctx)
	stopped := ServeSockets(ctx, l.protocols, func(err error) { failed <- err })
	go d.housekeep(ctx, s)
	go d.in.keepLooking(ctx, s.Log)
	go CollectByLoad(ctx)
	go d.in.Pusher.run(ctx, s.Log)
	d.carry(ctx, s)
	d.in.Delivery.Run(ctx)
	d.in.Provision.Worker.Run(ctx)
	d.in.Signals.Keeper.Run(ctx)
	d.in.Metadata.Run(ctx, MetadataSources(d.in))
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	cancel()
	grace, done := context.WithTimeout(context.Background(), 10*time.Second)
	defer done()
	err = errors.Join(err, server.Shutdown(grace), local.Shutdown(grace))
	<-stopped
	<-finished
	d.in.carriers.wait()
	d.in.Delivery.Wait()
	d.in.Provision.Worker.Wait()
	d.in.Signals.Keeper.Wait()
	d.in.Metadata.Wait()
	if err := d.in.SignIn.Strangers.SumUp(grace); err != nil {
		s.Log.Warn("what strangers were refused in the last minute is not in the audit log", "error", err)
	}
	if err := d.in.TellUnserved(grace, true); err != nil {
		s.Log.Warn("what was not served in the last minutes is not in the audit log", "error", err)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// missing says, a line each, what a new installation lacks that people will expect of it.
func missing(file config.File) string {
	var out string
	if file.Local() {
		out += "Only browsers on this machine can use it: for others, set public_url (--public-url) to an address that they reach, such as https://login.example.org.\n"
	}
	if file.Mail.Server == "" {
		out += "Mail is off: notices wait, and nobody gets a code or a pass by mail. Set mail.server and mail.from.\n"
	}
	return out
}

// greet prints the set-up link while there is no administrator.
func (d *daemon) greet(ctx context.Context, s Settings) error {
	code, err := d.in.Setup.Link(ctx)
	if err != nil || code == "" {
		return err
	}
	fmt.Printf("\nThere is no administrator yet. Open this link within 24 hours; it is good once:\n\n  %s?code=%s\n\n", s.PublicURL.JoinPath("setup"), code)
	return nil
}

// compareClocks says when this server's clock is off: nothing else would, and everybody
// would be asked for what they have shown.
func (in *Installation) compareClocks(ctx context.Context, log *slog.Logger) error {
	clock, err := in.DB.Condition().Clock(ctx)
	if says := clock.Says(); says != "" {
		log.Warn(says, "behind", clock.Behind())
	}
	return err
}

// countedAtOnce is how many pages of the log are counted for the overview at a time, so that
// nothing else that keeps house waits long for it.
const countedAtOnce = 25

// housekeep sweeps what is over, and reads the configuration again on SIGHUP. It asks
// nothing outside of this installation, so that nothing there holds it up.
func (d *daemon) housekeep(ctx context.Context, s Settings) {
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
		_, err := d.in.Engine.Sweep(ctx)
		if now := time.Now(); now.Sub(warned) > time.Hour {
			warned, err = now, errors.Join(err, d.in.Administrators.Warn(ctx))
		}
		err = errors.Join(err, d.in.Tickets.Sweep(ctx), d.in.Sessions.Sweep(ctx), d.in.Recoveries.Requests.Sweep(ctx), d.in.Participants.Sweep(ctx), d.in.Grants.Sweep(ctx), d.in.Delegations.Sweep(ctx), d.in.Signing.Keep(ctx))
		if now := time.Now(); now.Sub(compared) > time.Minute {
			compared = now
			err = errors.Join(err, d.in.compareClocks(ctx, s.Log))
		}
		_, uncounted := d.in.Counts.CatchUp(ctx, countedAtOnce)
		err = errors.Join(err, uncounted, d.in.TellUnserved(ctx, false))
		if err != nil && ctx.Err() == nil {
			s.Log.Warn("housekeeping", "error", err)
		}
	}
}
