package signals

import (
	"crypto/sha256"
	"net/http"
	"sync"
)

// mostAtOnce is how many requests of one key are served at once, and mostInAll of all keys. A poll
// that waits is one of them.
const (
	mostAtOnce = 4
	mostInAll  = 64
)

// budget bounds what the requests of one key take, so that a receiver that runs wild leaves the
// server to those who sign in.
type budget struct {
	mu    sync.Mutex
	all   int
	under map[[sha256.Size]byte]int // by key
}

func newBudget() *budget { return &budget{under: map[[sha256.Size]byte]int{}} }

var busy = &fault{status: http.StatusTooManyRequests, says: "Too many requests at once. Send one after the other, and try again in a moment.", after: 1}

// enter takes a place for a request; done gives it back.
func (b *budget) enter(r *http.Request) (done func(), err error) {
	secret, _ := bearer(r)
	who := sha256.Sum256([]byte(secret))
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all >= mostInAll || b.under[who] >= mostAtOnce {
		return nil, busy
	}
	b.all++
	b.under[who]++
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.all--
		if b.under[who]--; b.under[who] == 0 {
			delete(b.under, who)
		}
	}, nil
}
