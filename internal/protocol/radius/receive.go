package radius

import (
	"errors"
	"hash/maphash"
	"net"
	"net/netip"
	"os"
	"time"

	"countersign/internal/protocol/radius/packet"
)

// listener is one socket.
type listener struct {
	conn  *net.UDPConn
	index uint16
	port  int
	// control is how much room the kernel needs to say which of our addresses a
	// datagram came to; 0 for a socket that is bound to one.
	control int
}

func newListener(conn *net.UDPConn, index int) (*listener, error) {
	local := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	l := &listener{conn: conn, index: uint16(index), port: int(local.Port())}
	if !local.Addr().IsUnspecified() {
		return l, nil
	}
	control, err := wantDestination(conn, local.Addr())
	l.control = control
	return l, err
}

// arrival is a datagram and where it came from and to.
type arrival struct {
	datagram []byte
	from     netip.AddrPort
	// via is the control message that makes the reply leave from the address
	// that the request came to; empty when there is only one.
	via []byte
}

// receive reads datagrams until the socket is closed, or its deadline set into
// the past. Only a broken socket is an error.
func (s *Server) receive(l *listener) error {
	buf := make([]byte, packet.MaxLength)
	control, reply := make([]byte, l.control), make([]byte, 0, packet.MaxLength)
	for {
		a, err := l.read(buf, control)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			continue // one datagram's trouble, such as an ICMP error
		}
		s.take(l, a, reply)
	}
}

func (l *listener) read(buf, control []byte) (arrival, error) {
	if l.control == 0 {
		n, from, err := l.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return arrival{}, err // the counts are -1 then
		}
		return arrival{datagram: buf[:n], from: from}, nil
	}
	n, cn, _, from, err := l.conn.ReadMsgUDPAddrPort(buf, control)
	if err != nil {
		return arrival{}, err
	}
	return arrival{datagram: buf[:n], from: from, via: replyControl(control[:cn])}, nil
}

func (l *listener) send(reply []byte, to netip.AddrPort, via []byte) error {
	if len(via) == 0 {
		_, err := l.conn.WriteToUDPAddrPort(reply, to)
		return err
	}
	_, _, err := l.conn.WriteMsgUDPAddrPort(reply, via, to)
	return err
}

func (s *Server) send(l *listener, reply []byte, to netip.AddrPort, via []byte) {
	if err := l.send(reply, to, via); err != nil {
		s.Stats.SendFailed.Add(1)
	}
}

// take looks at one datagram. What nobody who shares a secret with us sent gets
// no reply (RFC 2865 section 3); a retransmission gets the remembered one; what
// is new goes to a worker. The reply's room is the caller's.
func (s *Server) take(l *listener, a arrival, room []byte) {
	s.Stats.Received.Add(1)
	now := s.now()
	p, err := packet.Parse(a.datagram)
	if err != nil {
		s.drop(&s.Stats.Malformed, Notice{Reason: "malformed", From: a.from, Err: err}, now)
		return
	}
	h := s.cache.clients(now)
	if h == nil {
		s.Stats.Silent.Add(1)
		return
	}
	c := h.find(a.from.Addr(), l.port, p)
	if c == nil {
		s.drop(&s.Stats.UnknownClient, Notice{Reason: "unknown-client", From: a.from}, now)
		return
	}
	if p.Code() != packet.AccessRequest && p.Code() != packet.StatusServer {
		s.drop(&s.Stats.OtherCode, Notice{Reason: "other-code", From: a.from, Client: c.name, Application: c.application}, now)
		return
	}
	if !s.authentic(c, p, a.from, now) {
		return
	}
	if p.Code() == packet.StatusServer {
		s.status(l, a, c, p, room)
		return
	}
	s.told.ears.Hear(c.application, now)
	s.once(l, a, c, p, room, now)
}

// authentic reports whether the client proved that it knows the secret, or need
// not. The exception does not cover Status-Server, which RFC 5997 section 3
// never lets out without, nor more Proxy-State than it says, by which a forger makes
// room for a collision (CVE-2024-3596).
func (s *Server) authentic(c *client, p packet.Packet, from netip.AddrPort, now time.Time) bool {
	n := Notice{From: from, Client: c.name, Application: c.application}
	switch {
	case p.Authenticated():
		if c.secret.VerifyRequest(p) {
			return true
		}
		n.Reason = "wrong-message-authenticator"
		s.drop(&s.Stats.Forged, n, now)
	case p.Code() == packet.StatusServer || !c.exception.excepted(now):
		if n.Reason = "no-message-authenticator"; c.exception != nil && p.Code() == packet.AccessRequest {
			n.Reason = "expired-exception"
		}
		s.drop(&s.Stats.Unauthenticated, n, now)
	case !c.exception.takes(p):
		n.Reason = "proxy-state"
		s.drop(&s.Stats.ProxyState, n, now)
	default:
		return true
	}
	return false
}

// status answers a Status-Server at once: RFC 5997 section 4.1.
func (s *Server) status(l *listener, a arrival, c *client, p packet.Packet, room []byte) {
	d := packet.Start(room, packet.AccessAccept, p.Identifier())
	d.AddAll(p, packet.ProxyState)
	reply, err := d.Reply(c.secret, p.Authenticator())
	if err != nil {
		s.Stats.Silent.Add(1)
		return
	}
	s.Stats.StatusServer.Add(1)
	s.send(l, reply, a.from, a.via)
}

// once sees to it that a request is decided once.
func (s *Server) once(l *listener, a arrival, c *client, p packet.Packet, room []byte, now time.Time) {
	k := key{
		addr: a.from.Addr().As16(), port: a.from.Port(), listener: l.index,
		identifier: p.Identifier(), authenticator: p.Authenticator(),
	}
	n := Notice{From: a.from, Client: c.name, Application: c.application}
	what, reply := s.replies.begin(k, maphash.Bytes(s.seed, p.Bytes()), now, room[:0])
	switch what {
	case isNew:
		s.enqueue(l, a, c, p, k, now)
	case inFlight:
		s.Stats.InFlight.Add(1)
	case answered:
		s.Stats.Repeated.Add(1)
		if len(reply) > 0 {
			s.send(l, reply, a.from, a.via)
		}
	case clash:
		n.Reason = "clash"
		s.drop(&s.Stats.Clashed, n, now)
	case full:
		n.Reason = "overloaded"
		s.drop(&s.Stats.Overloaded, n, now)
	}
}

// enqueue hands a request to the workers, or drops it when they have enough.
func (s *Server) enqueue(l *listener, a arrival, c *client, p packet.Packet, k key, now time.Time) {
	j := s.jobs.Get().(*job)
	j.octets = append(j.octets[:0], p.Bytes()...)
	j.listener, j.client, j.from, j.key, j.received = l, c, a.from, k, now
	j.via = append(j.via[:0], a.via...)
	s.Stats.Queued.Add(1)
	select {
	case s.queue <- j:
	default:
		s.Stats.Queued.Add(-1)
		s.replies.forget(k)
		s.jobs.Put(j)
		s.drop(&s.Stats.Overloaded, Notice{Reason: "overloaded", From: a.from, Client: c.name, Application: c.application}, now)
	}
}
