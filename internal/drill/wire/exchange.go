package wire

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"countersign/internal/drill"
)

// answered is how long an answer is waited for that a server owes: equipment sends
// the same datagram again meanwhile, as RFC 5080 section 2.2.1 has it.
const answered = 90 * time.Second

// errSilent is no answer where one is owed.
var errSilent = errors.New("no answer: is this address a client of the application?")

// port is a socket of the equipment's. What it sends again leaves from the same one, which
// is how a server knows a retransmission (RFC 5080 section 2.2.2).
type port struct {
	s    Radius
	conn net.Conn
	down bool
	wait time.Duration // for what is not owed
}

// open opens a port: the equipment's own address if the application knows only that, or
// else the attacker's, or the usual one.
func (s Radius) open(ctx context.Context, p *drill.Play, attacker bool) (*port, error) {
	d, from := net.Dialer{}, s.From
	if !from.IsValid() && attacker {
		from = p.From
	}
	if from.IsValid() {
		d.LocalAddr = &net.UDPAddr{IP: from.AsSlice()}
	}
	c, err := d.DialContext(ctx, "udp", s.Address)
	if err != nil {
		return nil, err
	}
	return &port{s: s, conn: c, down: p.Down, wait: p.Patience}, nil
}

func (o *port) close() { o.conn.Close() }

// exchange sends a datagram, again and again, until an answer comes; silence is an error
// unless Countersign is stopped.
func (o *port) exchange(ctx context.Context, packet []byte, secret string) (reply, error) {
	wait := answered
	if o.down {
		wait = o.wait / 4
	}
	r, err := o.until(ctx, packet, secret, wait)
	if err == nil && r.code == silence && !o.down {
		err = errSilent
	}
	return r, err
}

// probe is exchange for a datagram that the server owes no answer.
func (o *port) probe(ctx context.Context, packet []byte, secret string) (reply, error) {
	wait := o.wait
	if o.down {
		wait /= 4
	}
	return o.until(ctx, packet, secret, wait)
}

// until sends a datagram again every few seconds, for so long at most.
func (o *port) until(ctx context.Context, packet []byte, secret string, wait time.Duration) (reply, error) {
	for end := time.Now().Add(wait); time.Now().Before(end) && ctx.Err() == nil; {
		if !o.send(packet) {
			break // nobody listens, which is silence
		}
		b, err := o.receive(min(wait, 5*time.Second))
		if err == nil {
			r, err := parse(b, packet, secret)
			o.s.heard.note(r, err)
			return r, err
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
	}
	return reply{}, nil
}

func (o *port) send(packet []byte) bool {
	_, err := o.conn.Write(packet)
	if err == nil {
		o.s.tap.note(packet)
	}
	return err == nil
}

func (o *port) receive(wait time.Duration) ([]byte, error) {
	b := make([]byte, 4096)
	o.conn.SetReadDeadline(time.Now().Add(wait)) //nolint:errcheck // a fresh socket
	n, err := o.conn.Read(b)
	return b[:max(n, 0)], err
}

// send exchanges one datagram on a port of its own.
func (s Radius) send(ctx context.Context, p *drill.Play, packet []byte, secret string, attacker bool) (reply, error) {
	o, err := s.open(ctx, p, attacker)
	if err != nil {
		return reply{}, err
	}
	defer o.close()
	return o.exchange(ctx, packet, secret)
}

// ask asks under the shared secret.
func (s Radius) ask(ctx context.Context, p *drill.Play, a ask, attacker bool) (reply, error) {
	a.secret = s.Secret
	return s.send(ctx, p, a.packet(), s.Secret, attacker)
}

// says sends what somebody types, a line at a time, each with the State of the challenge to
// the one before, and returns the last reply. It ends at whatever is no challenge.
func (s Radius) says(ctx context.Context, p *drill.Play, name string, lines []string, attacker bool) (r reply, err error) {
	for _, typed := range lines {
		if r, err = s.ask(ctx, p, ask{name: name, password: typed, state: r.state}, attacker); err != nil || r.code != accessChallenge {
			return r, err
		}
	}
	return r, nil
}

// answers reports whether anything at all comes back, under whatever secret.
func (s Radius) answers(ctx context.Context, p *drill.Play, a ask) (reply, bool, error) {
	o, err := s.open(ctx, p, true)
	if err != nil {
		return reply{}, false, err
	}
	defer o.close()
	r, err := o.probe(ctx, a.packet(), a.secret)
	if errors.Is(err, errUnverified) || errors.Is(err, errMalformed) {
		return r, true, nil
	}
	return r, r.code != silence, err
}

// heard keeps the replies of a move, to be looked at together. A nil one keeps nothing.
type heard struct {
	mu  sync.Mutex
	all []reply
}

func (h *heard) note(r reply, err error) {
	if h == nil || err != nil || r.code == silence {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, r)
}

// of are the replies of a code.
func (h *heard) of(code byte) (all []reply) {
	for _, r := range h.all {
		if r.code == code {
			all = append(all, r)
		}
	}
	return all
}

// tap keeps the datagrams that leave, as somebody on the way would. A nil one keeps nothing.
type tap struct {
	mu  sync.Mutex
	all [][]byte
}

func (t *tap) note(packet []byte) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, bytes.Clone(packet))
}
