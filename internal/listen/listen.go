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
// that shuts the door. The networks that a source lies in have shares, too, of several
// times what is free: whoever has all of a network's addresses leaves a ninth of all.
type Share struct {
	net.Listener
	most   int
	kept   int // of most, for exempt only
	exempt []netip.Prefix

	mu    sync.Mutex
	room  *sync.Cond
	all   int
	held  map[netip.Prefix]int
	shut  bool
	close sync.Once
}

// network is what a source is counted in: this many bits of its address, and how many
// times what is free may be held there.
type network struct{ v4, v6, times int }

// networks are a subscriber's (an IPv4 address, an IPv6 /56), what one customer of a
// provider has, and a provider's.
var networks = [...]network{{32, 56, 1}, {24, 48, 8}, {16, 32, 32}}

// source is where a connection comes from, in each of the networks. The zero one is
// whoever has no share of their own.
type source [len(networks)]netip.Prefix

func (s source) shares() bool { return s[0].IsValid() }

// New shares at most so many connections of l. Sources in exempt, which are listed
// proxies, stand for many people and have no share of their own; they fill no more
// than there is either, and others leave an eighth to them.
func New(l net.Listener, most int, exempt []netip.Prefix) *Share {
	s := &Share{Listener: l, most: max(1, most), exempt: exempt, held: map[netip.Prefix]int{}}
	if len(exempt) > 0 {
		s.kept = s.most / 8
	}
	s.room = sync.NewCond(&s.mu)
	return s
}

// Accept returns the next connection for which there is room. One from a source that
// holds its share is closed, before anything is read of it, and so is one for which only
// the proxies' part is free; where nothing at all is free the next one waits.
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
func (s *Share) admit(from source) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.all >= s.most && !s.shut {
		if s.held[from[0]] > 0 || from.shares() && s.kept > 0 {
			return false
		}
		s.room.Wait()
	}
	if s.shut || from.shares() && !s.within(from) {
		return false
	}
	s.count(from, 1)
	return true
}

// within reports whether a source, and each network that it lies in, holds less than
// its share.
func (s *Share) within(from source) bool {
	free := s.most - s.kept - s.all
	if free <= 0 {
		return false
	}
	for i, n := range networks {
		if held := s.held[from[i]]; held > 0 && held >= n.times*free {
			return false
		}
	}
	return true
}

func (s *Share) count(from source, by int) {
	s.all += by
	if !from.shares() {
		return
	}
	for _, p := range from {
		if s.held[p] += by; s.held[p] == 0 {
			delete(s.held, p)
		}
	}
}

func (s *Share) leave(from source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count(from, -1)
	s.room.Signal()
}

// source is where a connection comes from.
func (s *Share) source(c net.Conn) (out source) {
	at, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return source{} // a socket of this machine
	}
	a := at.Addr().Unmap().WithZone("")
	for _, p := range s.exempt {
		if p.Contains(a) {
			return source{}
		}
	}
	for i, n := range networks {
		bits := n.v4
		if a.Is6() {
			bits = n.v6
		}
		out[i], _ = a.Prefix(bits)
	}
	return out
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
