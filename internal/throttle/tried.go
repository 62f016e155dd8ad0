package throttle

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/store"
)

// A row of guess bears a MAC, but a row that is not there bears none. So each server
// remembers what it charged itself and did not give back: the row can say more, because
// other servers charge too, and never less. Whoever removes rows, or puts older ones back,
// has so many guesses on each server as the budget has, and not one more.

// run is what this server charged to a subject since the count began.
type run struct {
	owner int64 // account, or 0
	since int64 // when the count began, as in the row
	count int64
	// stored is what the row said after the last of them, with what others charged.
	stored int64
	// held are those of them whose check is under way: they may be given back.
	held  int64
	retry int64 // before when there is no more, or 0
	until int64 // after when nothing of it counts
}

// runLife is how long wrong answers in a row are remembered here after the last of them.
// What is in the row counts for as long as it stands.
const runLife = 7 * day

// tried are the runs that this server remembers. It is safe for concurrent use.
type tried struct {
	now  func() time.Time
	most int // of each of the two
	some atomic.Bool
	mu   sync.Mutex
	// What is in neither was not charged here, or so many others were since that it is
	// forgotten.
	young, old map[string]run
}

const manyRuns = 50_000

func newTried(now func() time.Time, most int) *tried {
	return &tried{now: now, most: most, young: map[string]run{}}
}

// get returns what is remembered of a subject and still counts. The lock is held.
func (t *tried) get(subject string) (run, bool) {
	r, ok := t.young[subject]
	if !ok {
		r, ok = t.old[subject]
	}
	if !ok || store.Unix(t.now()) >= r.until {
		return run{}, false
	}
	return r, true
}

// of is get for everybody else.
func (t *tried) of(subject string) (run, bool) {
	if !t.some.Load() {
		return run{}, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.get(subject)
}

// put remembers a run. The lock is held.
func (t *tried) put(subject string, r run) {
	t.some.Store(true)
	if _, there := t.young[subject]; !there && len(t.young) >= t.most {
		t.old, t.young = t.young, map[string]run{}
	}
	t.young[subject] = r
}

// charged adds one guess to what is remembered. An answer that may be for several
// authenticators charges what they share more than once with the same count, which is one.
func (t *tried) charged(subject string, with run) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r, _ := t.get(subject)
	if r.since != with.since || r.stored != with.stored {
		r.count, r.held = r.count+1, r.held+with.held
	}
	with.count, with.held = r.count, r.held
	t.put(subject, with)
}

// decided notes that a guess whose check was under way stays charged.
func (t *tried) decided(subject string, since int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r, ok := t.get(subject); ok && r.since == since && r.held > 0 {
		r.held--
		t.put(subject, r)
	}
}

// released takes one guess off, before it is given back in the store: what is remembered
// is never more than what is stored.
func (t *tried) released(subject string, since int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r, ok := t.get(subject)
	switch {
	case !ok || r.since != since:
	case r.count <= 1:
		t.drop(subject)
	default:
		r.count, r.held, r.stored = r.count-1, max(0, r.held-1), 0
		t.put(subject, r)
	}
}

// drop forgets a subject. The lock is held.
func (t *tried) drop(subject string) {
	delete(t.young, subject)
	delete(t.old, subject)
}

// forget forgets a run that is over.
func (t *tried) forget(subject string, since int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r, ok := t.get(subject); ok && r.since == since {
		t.drop(subject)
	}
}

// forgetOwner forgets all that an account owns.
func (t *tried) forgetOwner(account assurance.AccountID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range []map[string]run{t.young, t.old} {
		for subject, r := range m {
			if r.owner == int64(account) {
				t.drop(subject)
			}
		}
	}
}

// subjects lists what is remembered and still counts.
func (t *tried) subjects() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for _, m := range []map[string]run{t.young, t.old} {
		for subject := range m {
			if _, ok := t.get(subject); ok {
				out = append(out, subject)
			}
		}
	}
	return out
}

// bytes writes all that still counts, for the next start: without what may be given back,
// which a server that is killed would not know.
func (t *tried) bytes() []byte {
	var b bytes.Buffer
	for _, subject := range t.subjects() {
		if r, ok := t.of(subject); ok && r.count > r.held {
			fmt.Fprintln(&b, subject, r.owner, r.since, r.count-r.held, r.retry, r.until)
		}
	}
	return b.Bytes()
}

// readRun reads a line that bytes wrote.
func readRun(line string) (subject string, r run, err error) {
	if _, err := fmt.Sscanln(line, &subject, &r.owner, &r.since, &r.count, &r.retry, &r.until); err != nil {
		return "", run{}, fmt.Errorf("throttle: the stored guess counts cannot be read: %w", err)
	}
	return subject, r, nil
}

// learn takes in what was remembered before a restart.
func (t *tried) learn(subject string, r run) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.put(subject, r)
}
