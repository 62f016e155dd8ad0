package throttle

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/store"
)

// Recent is what this server did within a day of what there may be only so much: codes
// that it sent and pushes that it asked for, by whom they count for. Rows say the same, and
// more where there are other servers; whoever removes rows has no more of it. It is safe
// for concurrent use.
type Recent struct {
	now  func() time.Time
	most int // of each of the two

	mu         sync.Mutex
	young, old map[string][]Done
}

// manyRecent is of how many accounts and addresses something is remembered before what is
// older is forgotten.
const manyRecent = 50_000

// Done is one time: its number, when it was in microseconds, and for whom.
type Done struct{ ID, At, Account int64 }

func newRecent(now func() time.Time, most int) *Recent {
	return &Recent{now: now, most: most, young: map[string][]Done{}}
}

// OpenRecent remembers over restarts, in a file of this name outside the database
// ([store.DB.KeepOutside]).
func OpenRecent(db *store.DB, name string, now func() time.Time) (*Recent, error) {
	r := newRecent(now, manyRecent)
	kept, err := db.KeepOutside(name, r.bytes)
	if err != nil {
		return nil, err
	}
	return r, r.restore(kept)
}

// OfAccount is the key of what is remembered of an account.
func OfAccount(id assurance.AccountID) string { return accountKey(id) }

// Of returns what was within so long, the oldest first.
func (r *Recent) Of(key string, within time.Duration) []Done {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.within(key, within)
}

func (r *Recent) within(key string, d time.Duration) []Done {
	list, there := r.young[key]
	if !there {
		list = r.old[key]
	}
	after := store.Unix(r.now().Add(-d))
	var out []Done
	for _, one := range list {
		if one.At > after {
			out = append(out, one)
		}
	}
	return out
}

// Add remembers one time, once.
func (r *Recent) Add(key string, one Done) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.within(key, day)
	if _, there := r.young[key]; !there && len(r.young) >= r.most {
		r.old, r.young = r.young, map[string][]Done{}
	}
	r.young[key] = append(slices.DeleteFunc(list, func(d Done) bool { return d.ID == one.ID && d.Account == one.Account }), one)
}

// Forget forgets one time.
func (r *Recent) Forget(key string, id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range []map[string][]Done{r.young, r.old} {
		if list := slices.DeleteFunc(m[key], func(d Done) bool { return d.ID == id }); len(list) > 0 {
			m[key] = list
		} else {
			delete(m, key)
		}
	}
}

// Keys are all of whom something is remembered.
func (r *Recent) Keys() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := slices.Collect(maps.Keys(r.young))
	for key := range r.old {
		if _, there := r.young[key]; !there {
			out = append(out, key)
		}
	}
	return out
}

// bytes writes what is remembered, for the next start.
func (r *Recent) bytes() []byte {
	var b bytes.Buffer
	for _, key := range r.Keys() {
		for _, one := range r.Of(key, day) {
			fmt.Fprintln(&b, key, one.ID, one.At, one.Account)
		}
	}
	return b.Bytes()
}

// restore reads what bytes wrote.
func (r *Recent) restore(b []byte) error {
	for line := range strings.Lines(string(b)) {
		var key string
		var one Done
		if _, err := fmt.Sscanln(line, &key, &one.ID, &one.At, &one.Account); err != nil {
			return fmt.Errorf("throttle: the stored list of recent checks cannot be read: %w", err)
		}
		r.Add(key, one)
	}
	return nil
}
