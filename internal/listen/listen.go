// Package listen bounds the connections of a listener.
//
// It owns two limits: how many connections there are at once, and how many of them
// one source holds. It reads nothing of what is sent and decides about nobody; the
// time-outs are the server's. Its one invariant: a source never holds more than is
// left for everybody else, so that whoever fills all they can get leaves room.
package listen

import (
	"net"
	"net/netip"
	"sync"
)

// Share is a listener that shares a number of connections among its sources.
//
// The share of a source is what is free at that moment: one source alone gets half of
// all, two that take what they can get a third each, and n of them leave one part of
// n+1 to whoever comes next (Choudhury and Hahne, "Dynamic Queue Length Thresholds").
// So there is no number to choose for offices that are one address, and no address
// that shuts the door.
type Share struct {
	net.Listener
	most   int
	exempt []netip.Prefix

	mu    sync.Mutex
	room  *sync.Cond
	all   int
	held  map[netip.Prefix]int
	shut  bool
	close sync.Once
}

// New shares at most so many connections of l. Sources in exempt, which are listed
// proxies, stand for many people and have no share of their own; they fill no more
// than there is either.
func New(l net.Listener, most int, exempt []netip.Prefix) *Share {
	s := &Share{Listener: l, most: max(1, most), exempt: exempt, held: map[netip.Prefix]int{}}
	s.room = sync.NewCond(&s.mu)
	return s
}

// Accept returns the next connection for which there is room. One from a source that
// holds its share is closed, before anything is read of it; where nothing at all is
// free the next one waits.
func (s *Share) Accept() (net.Conn, error) {
	for {
		c, err := s.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := s.source(c)
		if s.admit(from) {
			return &conn{Conn: c, gone: func() { s.leave(from) }}, nil
		}
		c.Close()
	}
}

// Close ends whoever waits for room as well.
func (s *Share) Close() error {
	s.close.Do(func() {
		s.mu.Lock()
		s.shut = true
		s.mu.Unlock()
		s.room.Broadcast()
	})
	return s.Listener.Close()
}

// admit counts one more connection of a source, when there is room for any. It is
// false for a source that holds its share.
func (s *Share) admit(from netip.Prefix) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.all >= s.most && !s.shut {
		if from.IsValid() && s.held[from] > 0 {
			return false
		}
		s.room.Wait()
	}
	if s.shut || from.IsValid() && s.held[from] > 0 && s.held[from] >= s.most-s.all {
		return false
	}
	s.all++
	if from.IsValid() {
		s.held[from]++
	}
	return true
}

func (s *Share) leave(from netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if from.IsValid() {
		if s.held[from]--; s.held[from] == 0 {
			delete(s.held, from)
		}
	}
	s.room.Signal()
}

// source is what one subscriber has: an IPv4 address, or an IPv6 /56. The zero prefix
// is whoever has no share of their own.
func (s *Share) source(c net.Conn) netip.Prefix {
	at, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Prefix{} // a socket of this machine
	}
	a := at.Addr().Unmap().WithZone("")
	for _, p := range s.exempt {
		if p.Contains(a) {
			return netip.Prefix{}
		}
	}
	bits := 32
	if a.Is6() {
		bits = 56
	}
	p, _ := a.Prefix(bits)
	return p
}

// conn gives its place back once, when it is closed.
type conn struct {
	net.Conn
	once sync.Once
	gone func()
}

func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.gone)
	return err
}
