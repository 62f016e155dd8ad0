package store

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
)

// moves record when each topic was last announced, so that results can be cached. A caller
// takes the place before it reads; the result may be cached as long as none of its topics
// was announced after that place. The topics need not be known before reading.
//
// Topics share slots: an announcement may invalidate other topics too, which costs a read
// and is never wrong.
type moves struct {
	mu    sync.Mutex
	place atomic.Uint64
	seed  maphash.Seed
	last  [1 << 15]atomic.Uint64
	every atomic.Uint64
}

// Place is a position in the feed of changes that this server received. The zero Place
// is before all of them.
type Place uint64

// Place returns the present position in the feed. All subscribers have processed the
// changes before it.
func (f *Feed) Place() Place { return Place(f.moves.place.Load()) }

// Still tells whether data that was read after a place may still be cached.
type Still struct {
	place uint64
	slots []*atomic.Uint64
}

// Still returns a Still for data that was read after this place and depends on these
// topics. It always depends on the topics without a slash, too, which concern everybody.
func (f *Feed) Still(place Place, topics ...string) Still {
	m := &f.moves
	s := Still{uint64(place), make([]*atomic.Uint64, 0, len(topics)+1)}
	s.slots = append(s.slots, &m.every)
	for _, t := range topics {
		s.slots = append(s.slots, m.slot(t))
	}
	return s
}

// Unchanged reports whether none of its topics was announced since. It is false for the
// zero Still.
func (s Still) Unchanged() bool {
	for _, slot := range s.slots {
		if slot.Load() > s.place {
			return false
		}
	}
	return len(s.slots) > 0
}

func (m *moves) slot(topic string) *atomic.Uint64 {
	return &m.last[maphash.String(m.seed, topic)%uint64(len(m.last))]
}

// move notes a topic after all subscribers processed it. It sets the slot first, so that a
// caller who sees the new place also sees the slot.
func (m *moves) move(topic string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := m.place.Load() + 1
	if strings.Contains(topic, "/") {
		m.slot(topic).Store(next)
	} else {
		m.every.Store(next)
	}
	m.place.Store(next)
}
