package signal

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/secevent"
	"countersign/internal/store"
	"countersign/internal/text"
)

const (
	// lease is how long a server that began to send keeps others from it.
	lease = 30 * time.Second
	// firstPause and longestPause are how long a stream is left alone after a failure: twice as long
	// each time.
	firstPause, longestPause = time.Second, 5 * time.Minute
	// AlarmAfter is how long a stream may take nothing before that is an alarm, and GiveUpAfter
	// before it is paused.
	AlarmAfter, GiveUpAfter = 15 * time.Minute, 24 * time.Hour
	// mostPushed is how many tokens are pushed before the position is written.
	mostPushed = 50
)

// Transmitter sends what streams are to tell. It is safe for concurrent use.
type Transmitter struct {
	streams   *Streams
	positions *positions
	writer    *writer
	caller    caller
	db        *store.DB
	now       func() time.Time
	log       *slog.Logger
	me        string // this process, among the servers

	mu    sync.Mutex
	lines map[string]*line // by the stream's ID
}

// line is what this server knows of a stream that is pushed or polled.
type line struct {
	one     sync.Mutex // one delivery at a time
	problem string     // why it takes nothing
	until   time.Time  // when it is tried again
	pause   time.Duration
	alarmed bool
}

func newTransmitter(p Parts, s *Streams, w *writer) *Transmitter {
	return &Transmitter{streams: s, positions: &positions{p.DB, p.Keys}, writer: w, caller: caller{p.Inside, p.CA}, db: p.DB, now: p.Now, log: p.Log, me: rand.Text(), lines: map[string]*line{}}
}

func (t *Transmitter) line(id string) *line {
	t.mu.Lock()
	defer t.mu.Unlock()
	l, ok := t.lines[id]
	if !ok {
		l = &line{}
		t.lines[id] = l
	}
	return l
}

// Deliver pushes once what waits on each stream that is due, all streams side by side.
func (t *Transmitter) Deliver(ctx context.Context) error {
	all, err := t.streams.All(ctx)
	if err != nil {
		return err
	}
	errs := make([]error, len(all))
	var workers sync.WaitGroup
	for i, one := range all {
		if one.Delivery == Push {
			workers.Go(func() { errs[i] = t.push(ctx, one) })
		}
	}
	workers.Wait()
	return errors.Join(errs...)
}

// push sends what waits on a stream. An error is one of the database; that a receiver takes
// nothing is kept.
func (t *Transmitter) push(ctx context.Context, one Stream) error {
	l := t.line(one.ID)
	if !l.one.TryLock() {
		return nil
	}
	defer l.one.Unlock()
	if t.rests(l) {
		return nil
	}
	for range 20 { // then the others have a turn
		more, err := t.step(ctx, one, l)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

func (t *Transmitter) rests(l *line) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now().Before(l.until)
}

// step sends one stretch of the log.
func (t *Transmitter) step(ctx context.Context, one Stream, l *line) (more bool, err error) {
	p, err := t.positions.of(ctx, one)
	if err != nil || p.held(t.me, t.now()) {
		return false, err
	}
	batch, err := t.batch(ctx, one, p)
	if err != nil || batch.next == p.next && len(batch.waiting) == 0 {
		return false, err
	}
	if len(batch.waiting) == 0 {
		is := p
		is.next = batch.next
		_, ok, err := t.positions.move(ctx, p, is)
		return ok && batch.more, err
	}
	mine := p
	mine.holder, mine.until = t.me, store.Unix(t.now().Add(lease))
	mine, ok, err := t.positions.move(ctx, p, mine)
	if !ok {
		return false, err
	}
	done, failed := t.send(ctx, one, mine, batch)
	return t.sent(ctx, one, l, mine, done, failed, batch.more)
}

// batch is what is to be sent: first that the state of the stream was changed by us. While it is
// not enabled there is nothing else.
func (t *Transmitter) batch(ctx context.Context, one Stream, p position) (stretch, error) {
	if p.told < one.Changes {
		return stretch{from: p.next, next: p.next, more: true, waiting: []waiting{t.writer.updated(one)}}, nil
	}
	if one.Status != Enabled {
		return stretch{from: p.next, next: p.next}, nil
	}
	return t.writer.stretch(ctx, one, p.next, mostPushed)
}

// send pushes token after token, and returns the position after those that were taken.
func (t *Transmitter) send(ctx context.Context, one Stream, p position, batch stretch) (position, error) {
	done := p
	until := t.now().Add(lease - patience)
	for _, w := range batch.waiting {
		if t.now().After(until) {
			return done, nil // the rest with a lease of its own
		}
		if err := t.writer.sign(ctx, one, &w); err != nil {
			return done, err
		}
		if err := t.post(ctx, one, w); err != nil {
			return done, err
		}
		if w.says.Event == secevent.StreamUpdated {
			done.told = one.Changes
			continue
		}
		done.next = w.seq // an entry's other tokens are dropped by their names when they come again
	}
	done.next = max(done.next, batch.next)
	return done, nil
}

// post pushes one token (RFC 8935 section 2). A token that its receiver says is malformed is
// thrown away: it would be so each time.
func (t *Transmitter) post(ctx context.Context, one Stream, w waiting) error {
	header := map[string]string{"Content-Type": secevent.MediaType, "Accept": "application/json"}
	if one.Authorization != "" {
		header["Authorization"] = one.Authorization
	}
	got, err := t.caller.do(ctx, call{http.MethodPost, one.Endpoint, header, []byte(w.text)})
	switch {
	case err != nil:
		return err
	case got.status/100 == 2:
		return nil
	}
	var says struct {
		Err string `json:"err"`
	}
	if got.status == http.StatusBadRequest && json.Unmarshal(got.body, &says) == nil && says.Err == secevent.InvalidRequest {
		return t.rejected(ctx, one, w, says.Err)
	}
	return got.refused(one.Endpoint)
}

// rejected writes down that a receiver threw a token away.
func (t *Transmitter) rejected(ctx context.Context, one Stream, w waiting, code string) error {
	t.log.Warn("a receiver of signals threw one away", "stream", one.Name, "event", w.says.Event, "error", code)
	return t.record(ctx, audit.Entry{Event: "stream.rejected", Outcome: audit.Failed, Detail: map[string]string{"stream": one.ID, "name": one.Name, "signal": w.id, "event": secevent.Short(w.says.Event), "answer": text.Seen(code)}})
}

// sent writes down how far a stream has come, and that it takes nothing.
func (t *Transmitter) sent(ctx context.Context, one Stream, l *line, mine, done position, failed error, more bool) (bool, error) {
	done.holder, done.until = "", 0
	if failed != nil && ctx.Err() == nil {
		if done.failing == 0 {
			done.failing = store.Unix(t.now())
		}
	} else if failed == nil {
		done.failing = 0
	}
	was := mine.failing
	if _, ok, err := t.positions.move(context.WithoutCancel(ctx), mine, done); !ok || ctx.Err() != nil {
		return false, err
	}
	if failed == nil {
		return more, t.works(ctx, one, l, was)
	}
	return false, t.fails(ctx, one, l, failed, store.Time(done.failing))
}

// works forgets that a stream took nothing.
func (t *Transmitter) works(ctx context.Context, one Stream, l *line, was int64) error {
	t.mu.Lock()
	l.problem, l.pause, l.until, l.alarmed = "", 0, time.Time{}, false
	t.mu.Unlock()
	if was == 0 {
		return nil
	}
	return t.record(ctx, audit.Entry{Event: "stream.works", Outcome: audit.OK, Detail: map[string]string{"stream": one.ID, "name": one.Name}})
}

// fails takes down that a receiver took nothing, leaves it alone for a while, and in the end pauses
// the stream.
func (t *Transmitter) fails(ctx context.Context, one Stream, l *line, cause error, since time.Time) error {
	why := failure.Public(cause)
	if failure.ClassOf(cause) != failure.Unavailable {
		return cause
	}
	t.mu.Lock()
	first := l.problem == ""
	l.problem, l.pause = why, min(max(2*l.pause, firstPause), longestPause)
	l.until = t.now().Add(l.pause)
	alarm := !l.alarmed && t.now().Sub(since) >= AlarmAfter
	l.alarmed = l.alarmed || alarm
	t.mu.Unlock()
	t.log.Warn("a receiver of signals takes nothing", "stream", one.Name, "error", cause)
	detail := map[string]string{"stream": one.ID, "name": one.Name, "answer": why}
	switch {
	case one.Status == Enabled && t.now().Sub(since) >= GiveUpAfter:
		return t.giveUp(ctx, one, detail)
	case alarm:
		return t.record(ctx, audit.Entry{Event: "alarm.stream-behind", Outcome: audit.Failed, Detail: detail})
	case first:
		return t.record(ctx, audit.Entry{Event: "stream.failing", Outcome: audit.Failed, Detail: detail})
	}
	return nil
}

// giveUp pauses a stream that took nothing for too long.
func (t *Transmitter) giveUp(ctx context.Context, one Stream, detail map[string]string) error {
	return t.db.Change(ctx, audit.System("signals"), func(tx *store.Tx) error {
		is, err := t.streams.Find(ctx, tx, one.Name)
		if failure.ClassOf(err) == failure.NotFound || err == nil && (is.ID != one.ID || is.Status != Enabled) {
			tx.Unrecorded()
			return nil
		}
		if err != nil {
			return err
		}
		is.Status, is.Reason = Paused, "The receiver took nothing for a day."
		is.Changes++
		if err := t.streams.Update(ctx, tx, is); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "alarm.stream-paused", Outcome: audit.Failed, Application: audit.Self, Detail: detail})
	})
}

func (t *Transmitter) record(ctx context.Context, e audit.Entry) error {
	e.Application = audit.Self
	return t.db.Change(ctx, audit.System("signals"), func(tx *store.Tx) error { return tx.Record(e) })
}

// Problem is why a stream takes nothing, as this server finds it; empty while it does.
func (t *Transmitter) Problem(one Stream) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l := t.lines[one.ID]; l != nil {
		return l.problem
	}
	return ""
}

// Wake has a stream tried at once, because something about it was changed.
func (t *Transmitter) Wake(one Stream) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l := t.lines[one.ID]; l != nil {
		l.until, l.pause = time.Time{}, 0
	}
}
