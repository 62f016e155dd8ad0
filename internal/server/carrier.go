package server

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"countersign/internal/audit"
	"countersign/internal/config"
	"countersign/internal/failure"
	"countersign/internal/notify"
	"countersign/internal/store"
	"countersign/internal/text"
)

// carrier is a service that takes messages to people, with workers of its own: one that
// hangs holds up neither the others nor what keeps house. While it takes nothing it is
// asked less and less often, and the administrator is told why.
type carrier struct {
	name string // "mail server"
	db   *store.DB
	log  *slog.Logger
	all  sync.WaitGroup // its workers

	mu      sync.Mutex
	problem string    // why it takes nothing; empty while it works
	since   time.Time // when that began
	until   time.Time // when it is asked again
	pause   time.Duration
	told    time.Time // when the audit log was last told of a problem
	owed    bool      // the log was not told yet that it works again
}

// How long a carrier is left alone after a failure: twice as long each time.
const (
	firstPause   = 2 * time.Second
	longestPause = time.Minute
	// tellEvery is how often the audit log is told of a carrier that fails and works by turns.
	tellEvery = time.Hour
)

// job hands over what waits for a carrier, and returns how many messages were taken. An
// error of class Unavailable says that the carrier takes nothing.
type job func(ctx context.Context) (taken int, err error)

// run does a job with so many workers until ctx ends.
func (c *carrier) run(ctx context.Context, workers int, do job) {
	for range workers {
		c.all.Go(func() { c.work(ctx, do) })
	}
}

func (c *carrier) work(ctx context.Context, do job) {
	everySecond(ctx, c.log.With("carrier", c.name), "the audit log was not told how a carrier is", func() error {
		if c.rests() {
			return nil
		}
		taken, err := do(ctx)
		if ctx.Err() != nil {
			return nil
		}
		return c.came(ctx, taken, err)
	})
}

func (c *carrier) rests() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Before(c.until)
}

// wake has the carrier asked at once, because something about it was changed.
func (c *carrier) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until, c.pause = time.Time{}, 0
}

// came takes down how a job went. That nothing waited says nothing of the carrier.
func (c *carrier) came(ctx context.Context, taken int, err error) error {
	now := time.Now()
	en := audit.Entry{Outcome: audit.OK, Application: audit.Self, Detail: map[string]string{"carrier": c.name}}
	c.mu.Lock()
	switch {
	case err != nil:
		c.pause = min(max(2*c.pause, firstPause), longestPause)
		c.until = now.Add(c.pause)
		c.log.Warn("messages are not taken", "carrier", c.name, "again in", c.pause, "error", err)
		if failure.ClassOf(err) != failure.Unavailable {
			break // it is not the carrier
		}
		if c.problem == "" {
			c.since = now
		}
		c.problem = notify.Why(err)
		if !c.owed && now.Sub(c.told) >= tellEvery {
			c.told, c.owed = now, true
			en.Event, en.Outcome, en.Detail["answer"] = "carrier.failing", audit.Failed, c.problem
		}
	case taken > 0:
		c.problem, c.pause, c.until = "", 0, time.Time{}
		if c.owed {
			c.owed = false
			en.Event = "carrier.works"
		}
	}
	c.mu.Unlock()
	if en.Event == "" {
		return nil
	}
	return c.db.Change(ctx, audit.System("carrier"), func(tx *store.Tx) error { return tx.Record(en) })
}

// says is what an administrator is told of a carrier that takes nothing; empty while it works.
func (c *carrier) says() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.problem == "" {
		return ""
	}
	return fmt.Sprintf("Since %s the %s takes nothing: %s", c.since.UTC().Format("15:04 UTC on 2 January"), c.name, text.Seen(c.problem))
}

// carriers are all of an installation.
type carriers struct{ mail, sms *carrier }

func newCarriers(db *store.DB, log *slog.Logger) carriers {
	return carriers{mail: &carrier{name: "mail server", db: db, log: log}, sms: &carrier{name: "SMS gateway", db: db, log: log}}
}

// wake has all of them asked at once.
func (c carriers) wake() {
	c.mail.wake()
	c.sms.wake()
}

// wait waits for what is under way to be written down, after the end.
func (c carriers) wait() {
	c.mail.all.Wait()
	c.sms.all.Wait()
}

// says is what is wrong with each that takes nothing.
func (c carriers) says() []string {
	var out []string
	for _, one := range []*carrier{c.mail, c.sms} {
		if s := one.says(); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// How many messages each carrier is handed at a time.
const (
	noticeWorkers = 1 // notices may wait
	codeWorkers   = 2 // codes by mail: somebody waits for each
	smsWorkers    = 4
)

// carry starts the workers of all carriers. That of pushes is [Pusher.run].
func (d *daemon) carry(ctx context.Context, s Settings) {
	by := Carriers{SMS: s.SMS, Mail: func() config.Mail { return d.file.Load().Mail }, Host: s.PublicURL.Hostname(), Organisation: s.Organisation}
	mail, sms := d.in.carriers.mail, d.in.carriers.sms
	mail.run(ctx, noticeWorkers, func(ctx context.Context) (int, error) {
		if by.Mail().Server == "" {
			return 0, nil
		}
		return d.in.send(ctx, by.Mail(), s)
	})
	mail.run(ctx, codeWorkers, func(ctx context.Context) (int, error) { return d.in.SignIn.Messages.CarryBy(ctx, by.byMail()) })
	sms.run(ctx, smsWorkers, func(ctx context.Context) (int, error) { return d.in.SignIn.Messages.CarryBy(ctx, by.bySMS()) })
}
