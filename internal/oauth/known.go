package oauth

import (
	"bytes"
	"sync"
	"time"

	"countersign/internal/store"
)

// trust is how long an access token is answered by the row as it was read last: no longer than the
// engine trusts what it decided over it. Who ends a row is heard before that: at once by this
// server, and within a second by others.
const trust = 30 * time.Second

// mostKnown bounds how many rows are kept in memory, at 2 KiB each at most. Beyond them all are
// forgotten, and read again when they are asked for.
const mostKnown = 10_000

// known are the rows that were read or written last. What was once verified and opened is not
// verified again while the row is the same to the last byte. It is safe for concurrent use.
type known struct {
	feed *store.Feed
	now  func() time.Time

	mu   sync.RWMutex
	rows map[[idSize]byte]*knownRow
}

// knownRow is a row as it was left, and until when it is good without being read again.
type knownRow struct {
	Given
	still store.Still
	until time.Time
}

func (k *known) of(id []byte) *knownRow {
	if len(id) != idSize {
		return nil
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.rows[[idSize]byte(id)]
}

// keep remembers a row that was read after a place in the feed, or written.
func (k *known) keep(place store.Place, g *Given) {
	row := &knownRow{Given: *g, still: k.feed.Still(place, topic(g)), until: k.now().Add(trust)}
	row.again, row.Lasts = false, 0 // as it is when it is read
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.rows == nil || len(k.rows) >= mostKnown {
		k.rows = map[[idSize]byte]*knownRow{}
	}
	k.rows[[idSize]byte(g.ID)] = row
}

// fresh is a row as it was read or written within [trust], if nobody is known to have ended it.
func (k *known) fresh(id []byte) (Given, bool) {
	row := k.of(id)
	if row == nil {
		return Given{}, false
	}
	now := k.now()
	if !k.feed.Fresh() || !now.Before(row.until) || !now.Before(row.Expires) || !row.still.Unchanged() {
		return Given{}, false
	}
	return row.Given, true
}

// opened opens a row that is known to the last byte, and reports whether it is.
func (k *known) opened(g *Given) bool {
	row := k.of(g.ID)
	if row == nil || !row.same(g) {
		return false
	}
	g.payload = row.payload
	return true
}

// same compares all that a row says, and its MAC.
func (r *knownRow) same(g *Given) bool {
	return r.Account == g.Account && r.Client == g.Client && r.Session == g.Session && r.step == g.step && bytes.Equal(r.sealed, g.sealed) &&
		r.Created.Equal(g.Created) && r.Expires.Equal(g.Expires) && r.ended.Equal(g.ended) && bytes.Equal(r.mac, g.mac)
}
