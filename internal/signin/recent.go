package signin

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/store"
)

// recent is what this server did within a day of what there may be only so much: codes
// that it sent and pushes that it asked for, by whom they count for. Rows say the same, and
// more where there are other servers; whoever removes rows has no more of it. It is safe
// for concurrent use.
type recent struct {
	now  func() time.Time
	most int // of each of the two

	mu         sync.Mutex
	young, old map[string][]did
}

// manyRecent is of how many accounts and addresses something is remembered before what is
// older is forgotten.
const manyRecent = 50_000

// accountKey is by what something is remembered of an account.
func accountKey(id assurance.AccountID) string { return "account/" + strconv.FormatInt(int64(id), 10) }

// did is one time: its number, when it was, and for whom.
type did struct{ id, at, account int64 }

func newRecent(now func() time.Time, most int) *recent {
	return &recent{now: now, most: most, young: map[string][]did{}}
}

// of returns what was within so long, the oldest first.
func (r *recent) of(key string, within time.Duration) []did {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.within(key, within)
}

func (r *recent) within(key string, d time.Duration) []did {
	list, there := r.young[key]
	if !there {
		list = r.old[key]
	}
	after := store.Unix(r.now().Add(-d))
	var out []did
	for _, one := range list {
		if one.at > after {
			out = append(out, one)
		}
	}
	return out
}

// add remembers one time, once.
func (r *recent) add(key string, one did) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.within(key, day)
	if _, there := r.young[key]; !there && len(r.young) >= r.most {
		r.old, r.young = r.young, map[string][]did{}
	}
	r.young[key] = append(slices.DeleteFunc(list, func(d did) bool { return d.id == one.id && d.account == one.account }), one)
}

// forget forgets one time.
func (r *recent) forget(key string, id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range []map[string][]did{r.young, r.old} {
		if list := slices.DeleteFunc(m[key], func(d did) bool { return d.id == id }); len(list) > 0 {
			m[key] = list
		} else {
			delete(m, key)
		}
	}
}

// keys are all of whom something is remembered.
func (r *recent) keys() []string {
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
func (r *recent) bytes() []byte {
	var b bytes.Buffer
	for _, key := range r.keys() {
		for _, one := range r.of(key, day) {
			fmt.Fprintln(&b, key, one.id, one.at, one.account)
		}
	}
	return b.Bytes()
}

// restore reads what bytes wrote.
func (r *recent) restore(b []byte) error {
	for line := range strings.Lines(string(b)) {
		var key string
		var one did
		if _, err := fmt.Sscanln(line, &key, &one.id, &one.at, &one.account); err != nil {
			return fmt.Errorf("signin: what this server remembers to have done: %w", err)
		}
		r.add(key, one)
	}
	return nil
}
