package radius

import (
	"sync"
	"time"
)

// remember is how long a reply is kept at least: RFC 5080 section 2.2.2 wants
// it for as long as the client may retransmit, and 5 to 30 seconds in practice.
// Two generations keep it between once and twice this long.
const remember = 12 * time.Second

// key is what tells a retransmission from a new request: RFC 5080 section
// 2.2.2. It has no pointers, so that the garbage collector need not scan the cache.
type key struct {
	addr           [16]byte
	port, listener uint16
	identifier     byte
	authenticator  [16]byte
}

// found is what the cache says about a request.
type found int

const (
	isNew    found = iota
	inFlight       // the first copy is still being decided
	answered       // the first copy was decided; an empty reply was silence
	clash          // the same authenticator with other contents
	full           // no room to remember one more
)

// replyCache is the reply cache of RFC 5080 section 2.2.2: it makes sure that a request is
// decided once, however often it arrives, and that each copy gets the same reply.
type replyCache struct {
	shards [16]shard
}

// shard is one part of the cache with a lock of its own. What is being decided
// is kept in running for as long as that takes; what was decided in fresh, and
// then in old.
type shard struct {
	mu         sync.Mutex
	running    map[key]uint64 // to the contents' hash
	fresh, old generation
	turned     time.Time
	limit      int
}

// generation is a span of time's replies, one after the other.
type generation struct {
	replies map[key]span
	octets  []byte
}

type span struct {
	print  uint64 // the request contents' hash
	start  uint32
	length uint32
}

func newReplyCache(limit int) *replyCache {
	m := &replyCache{}
	for i := range m.shards {
		m.shards[i] = shard{
			running: map[key]uint64{},
			fresh:   generation{replies: map[key]span{}},
			old:     generation{replies: map[key]span{}},
			limit:   max(limit/len(m.shards), 1),
		}
	}
	return m
}

func (m *replyCache) shard(k key) *shard { return &m.shards[int(k.authenticator[0])%len(m.shards)] }

// begin looks a request up, and notes a new one as being decided: the caller
// must end it or forget it. The reply of an answered one is appended to dst.
func (m *replyCache) begin(k key, print uint64, now time.Time, dst []byte) (found, []byte) {
	s := m.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(now)
	if p, ok := s.running[k]; ok {
		if p != print {
			return clash, dst
		}
		return inFlight, dst
	}
	for _, g := range [...]*generation{&s.fresh, &s.old} {
		if r, ok := g.replies[k]; ok {
			if r.print != print {
				return clash, dst
			}
			return answered, append(dst, g.octets[r.start:r.start+r.length]...)
		}
	}
	if len(s.running)+len(s.fresh.replies) >= s.limit {
		return full, dst
	}
	s.running[k] = print
	return isNew, dst
}

// end remembers what was replied; nothing for silence.
func (m *replyCache) end(k key, reply []byte, now time.Time) {
	s := m.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(now)
	print := s.running[k]
	delete(s.running, k)
	s.fresh.replies[k] = span{print: print, start: uint32(len(s.fresh.octets)), length: uint32(len(reply))}
	s.fresh.octets = append(s.fresh.octets, reply...)
}

// forget lets go of a request that was never decided, so that its
// retransmission may be.
func (m *replyCache) forget(k key) {
	s := m.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, k)
}

// turn makes the fresh generation the old one when it has lasted long enough.
func (s *shard) turn(now time.Time) {
	age := now.Sub(s.turned)
	if age < remember {
		return
	}
	s.turned = now
	s.old, s.fresh = s.fresh, s.old.emptied()
	if age >= 2*remember {
		s.old = s.old.emptied()
	}
}

// emptied returns an empty generation. It keeps the space, so that a steady
// load allocates nothing, unless most of it was not needed this time.
func (g generation) emptied() generation {
	if len(g.octets) < cap(g.octets)/4 {
		return generation{replies: map[key]span{}}
	}
	clear(g.replies)
	return generation{replies: g.replies, octets: g.octets[:0]}
}
