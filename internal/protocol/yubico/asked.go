package yubico

import (
	"crypto/sha256"
	"sync"
	"time"
)

// asked remembers which requests came lately, so that one that comes again, as it
// does when an answer was lost, is told from a one-time password that is used
// twice. It decides nothing: what it forgets is refused as replayed.
type asked struct {
	mu   sync.Mutex
	when map[[sha256.Size]byte]time.Time
}

const (
	askedFor  = time.Minute
	askedMost = 10_000
)

func newAsked() *asked { return &asked{when: map[[sha256.Size]byte]time.Time{}} }

// before reports whether this one-time password was judged with this nonce.
func (a *asked) before(q request, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	at, known := a.when[q.name()]
	return known && now.Sub(at) < askedFor
}

// note remembers that it was judged.
func (a *asked) note(q request, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.when) >= askedMost {
		clear(a.when)
	}
	a.when[q.name()] = now
}

func (r request) name() [sha256.Size]byte {
	return sha256.Sum256([]byte(r.id + "\x00" + r.otp + "\x00" + r.nonce))
}
