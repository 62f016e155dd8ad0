package throttle

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"countersign/internal/keyring"
	"countersign/internal/store"
)

// ledger are the rows of budgets, with what this server charged itself and so knows besides.
type ledger struct {
	view store.View
	keys *keyring.Keyring
	now  func() time.Time
	// What was charged to what somebody has, and to where answers come from, which anybody
	// can cause.
	owned, sources *tried
	doubts         *store.Doubts
	found          found
}

func newLedger(db *store.DB, keys *keyring.Keyring, now func() time.Time) (*ledger, error) {
	l := &ledger{view: db.View(), keys: keys, now: now, owned: newTried(now, manyRuns), sources: newTried(now, manyRuns), doubts: store.NewDoubts(db.View())}
	kept, err := db.KeepOutside("guesses", func() []byte { return append(l.owned.bytes(), l.sources.bytes()...) })
	if err != nil {
		return nil, err
	}
	return l, l.restore(kept)
}

// usedUp is more than any budget has.
const usedUp = 1 << 20

// take fills in a subject from its row. One that somebody else wrote counts as used up for
// an hour after this server found it, and then for nothing, as if it were removed: what
// this server charged itself is known besides. Where a count limits nobody it is taken for
// none at once, so that it is raised again step by step. A count that was ended and is there
// again is nothing.
func (l *ledger) take(s *subject, row *guessRow) {
	if row.count <= 0 || s.window > 0 && l.now().Sub(store.Time(row.since)) >= s.window {
		return // it counts nothing, whoever wrote it
	}
	if !l.bound(row) {
		l.altered(row)
		if now := l.now(); s.limit > 0 && now.Sub(l.found.first(s.key, now)) < longestDelay {
			s.count, s.since = usedUp, now
		}
		return
	}
	if (s.window == 0 || s.owner != 0) && l.ended(s.key, run{owner: int64(s.owner), since: row.since}) {
		return
	}
	s.count, s.since, s.retry = int(row.count), store.Time(row.since), store.Time(row.retry)
}

// found is when this server first found that a row was altered.
type found struct {
	mu sync.Mutex
	at map[string]time.Time
}

// manyFound is how many are remembered before all are forgotten.
const manyFound = 10_000

func (f *found) first(subject string, now time.Time) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at, there := f.at[subject]; there {
		return at
	}
	if f.at == nil || len(f.at) >= manyFound {
		f.at = map[string]time.Time{}
	}
	f.at[subject] = now
	return now
}

// mended forgets a row that was written anew.
func (f *found) mended(subject string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.at, subject)
}

// recall compares what was read with what this server charged itself: the larger counts.
func (l *ledger) recall(ctx context.Context, subjects []subject) error {
	for i := range subjects {
		s := &subjects[i]
		memory := l.memoryOf(s.key)
		if memory == nil {
			continue
		}
		m, ok := memory.of(s.key)
		if !ok || s.count >= int(m.count) && store.Unix(s.since) == m.since && store.Unix(s.retry) >= m.retry {
			continue
		}
		if err := l.fewer(ctx, memory, s, m); err != nil {
			return err
		}
	}
	return nil
}

// fewer raises a subject of which less is stored than this server charged, unless the
// count was ended. A transaction may see what was a moment ago; what is committed by now
// decides whether anything is wrong.
func (l *ledger) fewer(ctx context.Context, memory *tried, s *subject, m run) error {
	if l.ended(s.key, m) {
		memory.forget(s.key, m.since)
		return nil
	}
	row, there, err := stored(ctx, l.view, s.key)
	if err != nil {
		return err
	}
	if wrong := l.lacks(&row, there, m); wrong != "" {
		l.doubt(s.key, m, wrong)
	}
	if s.anew = s.since.IsZero(); s.anew {
		s.since = store.Time(m.since)
	}
	s.count, s.retry = max(s.count, int(m.count)), store.Time(max(store.Unix(s.retry), m.retry))
	s.recalled = true
	return nil
}

// errUnheard ends a transaction that would refuse an answer only because of what this server
// remembers.
var errUnheard = errors.New("throttle: announcements of other servers may not have arrived yet")

// Confirm runs a transaction that reads a budget. Where it would refuse an answer only because
// of what this server remembers, another server may have ended that a moment ago: then all of
// the log is heard first, outside of the transaction, and it runs once more, knowing that.
func (t *Throttle) Confirm(ctx context.Context, run func(heard bool) error) error {
	err := run(false)
	if !errors.Is(err, errUnheard) {
		return err
	}
	if err := t.view.Hear(ctx); err != nil {
		return err
	}
	return run(true)
}

// doubt notes that less is stored than this server charged.
func (l *ledger) doubt(subject string, m run, wrong string) {
	l.doubts.Add("guess/"+runName(subject, m.since), store.Finding{Table: "guess", Row: subject, Wrong: wrong, Account: m.owner}, func() bool { return l.ended(subject, m) })
}

// lacks says what is wrong with a row that says less than this server charged; empty where
// it says as much, or was altered, which is found as that.
func (l *ledger) lacks(row *guessRow, there bool, m run) string {
	switch {
	case !there:
		return store.Missing
	case !l.bound(row), row.since == m.since && row.count >= m.count, row.follows(m):
		return ""
	}
	return store.Older
}

// follows reports whether a row counts from when a run was over: the clock of the server that
// began it may be ahead.
func (row *guessRow) follows(m run) bool {
	return row.since > m.since && row.since+store.ClockBound.Microseconds() >= m.until
}

// ended reports whether it was said that a count is over: its credential was right, or all
// of its account was opened.
func (l *ledger) ended(subject string, m run) bool {
	return l.view.Over("guess", runName(subject, m.since)) || m.owner != 0 && l.view.Newest("guess", m.owner) >= m.since
}

// runName names what was counted of a subject since a moment.
func runName(subject string, since int64) string {
	return strconv.FormatInt(store.NumberOf(subject), 36) + "-" + strconv.FormatInt(since, 36)
}

// begin is when a new count begins: at no moment at which another did that is over.
func (l *ledger) begin(s *subject, now time.Time) time.Time {
	at := store.Unix(now)
	if s.owner != 0 {
		at = max(at, l.view.Newest("guess", int64(s.owner))+1)
	}
	for l.view.Over("guess", runName(s.key, at)) {
		at++
	}
	return store.Time(at)
}

// memoryOf is where it is remembered what this server charged to a subject; nil where
// that helps nobody: nothing is right for a name that nobody has.
func (l *ledger) memoryOf(subject string) *tried {
	switch kind, _, _ := strings.Cut(subject, "/"); kind {
	case "name", "none":
		return nil
	case "source", "spray", "stuffing":
		return l.sources
	}
	return l.owned
}

// remember takes in what was charged, once it is committed.
func (l *ledger) remember(charged []subject, rows []guessRow, held int64) {
	now := l.now()
	for _, s := range charged {
		memory := l.memoryOf(s.key)
		written := false
		for i := range rows {
			written = written || rows[i].subject == s.key
		}
		if written {
			l.found.mended(s.key)
		}
		if memory == nil || !written {
			continue
		}
		until := s.since.Add(s.window)
		if s.window == 0 {
			until = now.Add(runLife)
		}
		memory.charged(s.key, run{owner: int64(s.owner), since: store.Unix(s.since), stored: int64(s.count), held: held, retry: store.Unix(s.retry), until: store.Unix(until)})
	}
}

// decide notes that what a check was charged stays charged.
func (l *ledger) decide(b Budget) {
	if b.stake == nil {
		return
	}
	b.stake.Do(func() {
		for _, s := range b.subjects {
			if memory := l.memoryOf(s.key); memory != nil {
				memory.decided(s.key, store.Unix(s.since))
			}
		}
	})
}

// release forgets what a check was charged, once, before it is given back.
func (l *ledger) release(b Budget) {
	if b.stake == nil {
		return
	}
	b.stake.Do(func() {
		for _, s := range b.subjects {
			if memory := l.memoryOf(s.key); memory != nil {
				memory.released(s.key, store.Unix(s.since))
			}
		}
	})
}

// restore takes in what was kept over a restart.
func (l *ledger) restore(kept []byte) error {
	for line := range strings.Lines(string(kept)) {
		subject, r, err := readRun(line)
		if err != nil {
			return err
		}
		if memory := l.memoryOf(subject); memory != nil {
			memory.learn(subject, r)
		}
	}
	return nil
}
