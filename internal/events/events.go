package events

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/metrics"
	"countersign/internal/store"
	"countersign/internal/text"
)

// Destination is where entries are sent.
type Destination struct {
	// Name is that of its position: another name begins anew.
	Name  string
	Which Which
	// FromBeginning begins with the first entry of the log instead of the next one.
	FromBeginning bool
	Receiver      Receiver
}

// Parts are what a Delivery works on.
type Parts struct {
	DB           *store.DB
	Keys         *keyring.Keyring
	Destinations []Destination
	Now          func() time.Time
	Log          *slog.Logger
}

// Delivery sends the log to all destinations. It is safe for concurrent use.
type Delivery struct {
	positions *positions
	log       *slog.Logger
	now       func() time.Time
	all       []*line
	workers   sync.WaitGroup
}

const (
	// most is how many entries are handed over at a time, and mostBytes how long they may be
	// together; this bounds the memory of a destination.
	most, mostBytes = 250, 1 << 20
	// lease is how long a server that began to send keeps others from it. It is longer than
	// any Take, and as long as another one waits after a crash.
	lease = 30 * time.Second
	// firstPause and longestPause are how long a destination is left alone after a failure:
	// twice as long each time.
	firstPause, longestPause = time.Second, time.Minute
	// tellEvery is how often the log is told of a destination that fails and works by turns.
	tellEvery = time.Hour
	// AlarmAfter is how old the oldest entry is that a failing destination does not have, when
	// that becomes an alarm; and when a destination of another server is told of as late.
	AlarmAfter = 15 * time.Minute
	// pollEvery is how often the log is looked at for what is new.
	pollEvery = time.Second
)

// line is one destination with what this server knows of it.
type line struct {
	Destination
	d  *Delivery
	me string // this process, among the servers

	mu        sync.Mutex
	problem   string // why it takes nothing; empty while it works
	since     time.Time
	until     time.Time // when it is tried again
	pause     time.Duration
	told      time.Time // when the log was last told of a problem
	owed      bool      // the log was not told yet that it works again
	alarmed   bool
	stuck     int64     // the first entry that it did not take
	behind    int64     // entries that it does not have
	oldest    time.Time // of the first of them; zero if it has all
	delivered int64
	rejected  int64
}

// New makes a Delivery. Begin must be called before Run.
func New(p Parts) *Delivery {
	d := &Delivery{positions: &positions{p.DB, p.Keys, p.Now}, log: p.Log, now: p.Now}
	me := rand.Text()
	for _, one := range p.Destinations {
		d.all = append(d.all, &line{Destination: one, d: d, me: me})
	}
	return d
}

// Begin makes the position of each destination that has none. A destination begins with what
// is written from now on, unless it is FromBeginning.
func (d *Delivery) Begin(ctx context.Context) error {
	for _, l := range d.all {
		if _, err := d.positions.begin(ctx, l.Destination); err != nil {
			return err
		}
	}
	return nil
}

// Inspect reports rows that somebody else wrote or removed.
func (d *Delivery) Inspect(ctx context.Context) error {
	all := make([]Destination, len(d.all))
	for i, l := range d.all {
		all[i] = l.Destination
	}
	return d.positions.inspect(ctx, all)
}

// Run sends until ctx ends, each destination on its own.
func (d *Delivery) Run(ctx context.Context) {
	for _, l := range d.all {
		d.workers.Go(func() { l.run(ctx) })
	}
}

// Wait waits for all to stop after the end of ctx.
func (d *Delivery) Wait() { d.workers.Wait() }

func (l *line) run(ctx context.Context) {
	defer l.Receiver.Close()
	defer l.release()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		more, err := l.step(ctx)
		if err != nil && ctx.Err() == nil {
			l.d.log.Warn("the audit log is not sent", "destination", l.Name, "error", err)
			l.rest()
		}
		if more && err == nil && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// release lets another server send at once.
func (l *line) release() {
	ctx, done := context.WithTimeout(context.Background(), 5*time.Second)
	defer done()
	p, err := l.d.positions.read(ctx, l.Name)
	if err == nil && p.holder == l.me {
		err = l.free(ctx, p)
	}
	if err != nil {
		l.d.log.Debug("the lease of a destination ends by itself", "destination", l.Name, "error", err)
	}
}

// free gives up a lease.
func (l *line) free(ctx context.Context, p position) error {
	is := p
	is.holder, is.until = "", 0
	_, _, err := l.d.positions.move(ctx, p, is)
	return err
}

// step sends what is new, up to one batch. More says that there may be more at once. An
// error is one of the database; that a receiver takes nothing is kept in l.
func (l *line) step(ctx context.Context) (more bool, err error) {
	p, err := l.position(ctx)
	if err != nil {
		return false, err
	}
	if err := l.look(ctx, p); err != nil {
		return false, err
	}
	if err := l.elsewhere(ctx, p); err != nil || l.rests() || l.held(p) {
		return false, err
	}
	entries, next, err := l.batch(ctx, p.next)
	if err != nil || next == p.next {
		return false, err
	}
	mine := p
	mine.holder, mine.until = l.me, store.Unix(l.d.now().Add(lease))
	mine, ok, err := l.d.positions.move(ctx, p, mine)
	if !ok {
		return false, err // another server was first
	}
	var rejected int
	if len(entries) > 0 {
		if rejected, err = l.Receiver.Take(ctx, entries); err != nil {
			if ctx.Err() != nil {
				return false, nil
			}
			return false, errors.Join(l.failed(ctx, err, entries[0]), l.free(ctx, mine))
		}
	}
	done := mine
	done.next = next
	if _, ok, err = l.d.positions.move(ctx, mine, done); !ok {
		return false, err
	}
	return true, l.worked(ctx, entries, rejected)
}

// position is where the destination is. One that was removed or altered begins again where
// it began: what a receiver has already, it drops by its numbers.
func (l *line) position(ctx context.Context) (position, error) {
	p, err := l.d.positions.read(ctx, l.Name)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, errAltered) {
		return l.d.positions.begin(ctx, l.Destination)
	}
	return p, err
}

// held reports whether another server sends.
func (l *line) held(p position) bool {
	return p.holder != "" && p.holder != l.me && store.Time(p.until).After(l.d.now())
}

// batch reads entries from a number on, and returns those that are to be sent, and the number
// after the last one that was read. Numbers come without a gap and in order.
func (l *line) batch(ctx context.Context, from int64) (out []audit.Entry, next int64, err error) {
	read, err := l.d.positions.db.AuditLog().Entries(ctx, store.Filter{From: from, Limit: most})
	if err != nil {
		return nil, from, err
	}
	next = from
	for size := 0; len(read) > 0 && size < mostBytes; read = read[1:] {
		e := read[0]
		if e.Seq < 0 {
			break // it has no number yet
		}
		next = e.Seq + 1
		if e.At.IsZero() { // it could not be read
			e.At, e.Actor = l.d.now(), audit.System("log")
		}
		if l.Which.takes(e) {
			out = append(out, e)
			size += len(body(e))
		}
	}
	return out, next, nil
}

// look takes down how far the destination is behind.
func (l *line) look(ctx context.Context, p position) error {
	end, err := l.d.positions.end(ctx)
	if err != nil {
		return err
	}
	oldest, err := l.d.positions.oldest(ctx, p)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.behind, l.oldest = max(0, end-p.next), oldest
	return nil
}

func (l *line) rests() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.d.now().Before(l.until)
}

// rest leaves the destination alone for a while, and returns for how long.
func (l *line) rest() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pause = min(max(2*l.pause, firstPause), longestPause)
	l.until = l.d.now().Add(l.pause)
	return l.pause
}

// Wake has every destination tried at once, because something about it was changed.
func (d *Delivery) Wake() {
	for _, l := range d.all {
		l.mu.Lock()
		l.until, l.pause = time.Time{}, 0
		l.mu.Unlock()
	}
}

// failed takes down that a receiver took nothing, beginning with this entry.
func (l *line) failed(ctx context.Context, cause error, first audit.Entry) error {
	why := text.Seen(failure.Public(cause))
	if failure.ClassOf(cause) != failure.Unavailable {
		why = text.Seen(cause.Error())
	}
	pause, now := l.rest(), l.d.now()
	l.d.log.Warn("a destination takes nothing", "destination", l.Name, "first", first.Seq, "again in", pause, "error", cause)
	var says []audit.Entry
	l.mu.Lock()
	if l.problem == "" {
		l.since = now
	}
	l.problem, l.stuck = why, first.Seq
	detail := map[string]string{"destination": l.Name, "answer": why, "first": strconv.FormatInt(first.Seq, 10)}
	if !l.owed && now.Sub(l.told) >= tellEvery {
		l.told, l.owed = now, true
		says = append(says, audit.Entry{Event: "destination.failing", Outcome: audit.Failed, Detail: detail})
	}
	if !l.alarmed && now.Sub(first.At) >= AlarmAfter {
		l.alarmed, l.owed = true, true
		says = append(says, audit.Entry{Event: "alarm.destination-behind", Outcome: audit.Failed, Detail: detail})
	}
	l.mu.Unlock()
	return l.record(ctx, says)
}

// elsewhere takes down that another server sent what this one could not.
func (l *line) elsewhere(ctx context.Context, p position) error {
	l.mu.Lock()
	passed := l.problem != "" && p.next > l.stuck
	l.mu.Unlock()
	if !passed {
		return nil
	}
	return l.record(ctx, l.mended())
}

// mended forgets a problem, and returns what the log is to be told.
func (l *line) mended() []audit.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	owed := l.owed
	l.problem, l.pause, l.until, l.alarmed, l.owed = "", 0, time.Time{}, false, false
	if !owed {
		return nil
	}
	return []audit.Entry{{Event: "destination.works", Outcome: audit.OK, Detail: map[string]string{"destination": l.Name}}}
}

// worked takes down that a receiver took entries.
func (l *line) worked(ctx context.Context, entries []audit.Entry, rejected int) error {
	if len(entries) == 0 {
		return nil // nothing was asked of the receiver
	}
	says, now := l.mended(), l.d.now()
	l.mu.Lock()
	l.delivered += int64(len(entries) - rejected)
	l.rejected += int64(rejected)
	if rejected > 0 && now.Sub(l.told) >= tellEvery {
		l.told = now
		says = append(says, audit.Entry{Event: "destination.rejected", Outcome: audit.Failed, Detail: map[string]string{"destination": l.Name, "rejected": strconv.Itoa(rejected),
			"first": strconv.FormatInt(entries[0].Seq, 10), "last": strconv.FormatInt(entries[len(entries)-1].Seq, 10)}})
	}
	l.mu.Unlock()
	if rejected > 0 {
		l.d.log.Warn("a destination threw entries away", "destination", l.Name, "rejected", rejected, "first", entries[0].Seq, "last", entries[len(entries)-1].Seq)
	}
	return l.record(ctx, says)
}

func (l *line) record(ctx context.Context, says []audit.Entry) error {
	if len(says) == 0 {
		return nil
	}
	return l.d.positions.db.Change(ctx, audit.System("events"), func(tx *store.Tx) error {
		for _, e := range says {
			e.Application = audit.Self
			if err := tx.Record(e); err != nil {
				return err
			}
		}
		return nil
	})
}

// Says is what an administrator is told of destinations that take nothing, as this server
// finds it, and of those that are late while another server sends.
func (d *Delivery) Says() []string {
	var out []string
	for _, l := range d.all {
		if s := l.says(d.now()); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func (l *line) says(now time.Time) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.problem != "":
		return fmt.Sprintf("Since %s the destination %s of the audit log takes nothing, and %d entries wait: %s", l.since.UTC().Format("15:04 UTC on 2 January"), l.Name, l.behind, l.problem)
	case !l.oldest.IsZero() && now.Sub(l.oldest) >= AlarmAfter:
		return fmt.Sprintf("The destination %s of the audit log is %d entries behind, the oldest of %s. Look at the other servers' logs.", l.Name, l.behind, l.oldest.UTC().Format("15:04 UTC on 2 January"))
	}
	return ""
}

// Gather is what monitoring reads: how far each destination is behind, and what this server
// sent.
func (d *Delivery) Gather(ctx context.Context) ([]metrics.Sample, error) {
	var out []metrics.Sample
	for _, l := range d.all {
		p, err := d.positions.read(ctx, l.Name)
		if err != nil {
			return nil, err
		}
		if err := l.look(ctx, p); err != nil {
			return nil, err
		}
		out = append(out, l.samples(d.now())...)
	}
	return out, nil
}

func (l *line) samples(now time.Time) []metrics.Sample {
	l.mu.Lock()
	defer l.mu.Unlock()
	late, failing := 0.0, 0.0
	if !l.oldest.IsZero() {
		late = max(0, now.Sub(l.oldest).Seconds())
	}
	if l.problem != "" {
		failing = 1
	}
	by := []string{"destination", l.Name}
	return []metrics.Sample{
		{Name: "countersign_events_lag_entries", Help: "Entries of the audit log that a destination does not have yet.", Kind: metrics.Gauge, Labels: by, Value: float64(l.behind)},
		{Name: "countersign_events_lag_seconds", Help: "Age of the oldest entry that a destination does not have; 0 if it has all.", Kind: metrics.Gauge, Labels: by, Value: late},
		{Name: "countersign_events_failing", Help: "1 while a destination takes nothing from this server.", Kind: metrics.Gauge, Labels: by, Value: failing},
		{Name: "countersign_events_delivered_total", Help: "Entries that a destination took from this server.", Kind: metrics.Counter, Labels: by, Value: float64(l.delivered)},
		{Name: "countersign_events_rejected_total", Help: "Entries that a destination threw away, saying so.", Kind: metrics.Counter, Labels: by, Value: float64(l.rejected)},
	}
}
