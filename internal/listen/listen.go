// Package listen bounds the connections of a listener.
//
// It has two limits: the number of concurrent connections, and how many of them one
// source may hold. It reads no data; time-outs are the server's. Invariant: a source
// never holds more connections than are free, so that one source alone cannot
// exhaust the listener.
package listen

import (
	"net"
	"net/netip"
	"sync"
)

// Share is a listener that shares a number of connections among its sources.
//
// The share of a source equals what is free at that moment: one greedy source gets a
// half of all connections, two get a third each, and n leave one part of n+1 to the
// next (Choudhury and Hahne, "Dynamic Queue Length Thresholds"). So no limit has to be
// chosen for offices behind one address, and no address can exhaust the listener.
// Networks have shares too, of several times what is free: an attacker with all
// addresses of a network leaves a ninth of all connections.
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

// network is a prefix that connections are counted by: its length in bits, and its
// share as a multiple of what is free.
type network struct{ v4, v6, times int }

// networks are a subscriber's (an IPv4 address, an IPv6 /56), what one customer of a
// provider has, and a provider's.
var networks = [...]network{{32, 56, 1}, {24, 48, 8}, {16, 32, 32}}

// source is the address of a connection in each of the networks. The zero source has
// no share of its own.
type source [len(networks)]netip.Prefix

func (s source) shares() bool { return s[0].IsValid() }

// New limits l to most connections and shares them among its sources. Sources in
// exempt are listed proxies, which stand for many users: no share limits them, only
// the total does, and an eighth of it is kept for them.
func New(l net.Listener, most int, exempt []netip.Prefix) *Share {
	s := &Share{Listener: l, most: max(1, most), exempt: exempt, held: map[netip.Prefix]int{}}
	if len(exempt) > 0 {
		s.kept = s.most / 8
	}
	s.room = sync.NewCond(&s.mu)
	return s
}

// Accept returns the next connection for which there is room. It closes, before
// anything is read, connections of a source that holds its share, and those for which
// only the proxies' part is free. When nothing is free it waits.
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

// Close closes the listener and ends an Accept that waits for room.
func (s *Share) Close() error {
	s.close.Do(func() {
		s.mu.Lock()
		s.shut = true
		s.mu.Unlock()
		s.room.Broadcast()
	})
	return s.Listener.Close()
}

// admit waits until there is room and counts one more connection of a source. It is
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
