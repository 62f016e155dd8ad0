package wire

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"countersign/internal/drill"
)

// answered is how long an answer is waited for that a server owes: equipment sends
// the same datagram again meanwhile, as RFC 5080 section 2.2.1 has it.
const answered = 90 * time.Second

// send asks and waits; a server that says nothing is silence.
func (s Radius) send(ctx context.Context, p *drill.Play, packet []byte, secret string, attacker bool) (reply, error) {
	return s.sendFor(ctx, p, packet, secret, attacker, answered)
}

// sendFor is send with its own patience, for what a server owes no answer.
func (s Radius) sendFor(ctx context.Context, p *drill.Play, packet []byte, secret string, attacker bool, wait time.Duration) (reply, error) {
	d := net.Dialer{}
	if attacker && p.From.IsValid() {
		d.LocalAddr = &net.UDPAddr{IP: p.From.AsSlice()}
	}
	c, err := d.DialContext(ctx, "udp", s.Address)
	if err != nil {
		return reply{}, err
	}
	defer c.Close()
	if p.Down {
		wait = p.Patience / 4
	}
	b := make([]byte, 4096)
	for end := time.Now().Add(wait); time.Now().Before(end) && ctx.Err() == nil; {
		if _, err := c.Write(packet); err != nil {
			break // nobody listens, which is silence
		}
		c.SetReadDeadline(time.Now().Add(min(wait, 5*time.Second))) //nolint:errcheck // a fresh socket
		if n, err := c.Read(b); err == nil {
			return parse(b[:n], packet, secret)
		} else if !errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
	}
	return reply{}, nil
}

// radius asks as an attacker does.
func (s Radius) radius(ctx context.Context, p *drill.Play, a ask) (reply, error) {
	if a.secret == "" {
		a.secret = s.Secret
	}
	return s.send(ctx, p, a.packet(), a.secret, true)
}

// vpn signs in with password and code, as the honest person does.
func (s Radius) vpn(ctx context.Context, p *drill.Play, name, password, code string) (bool, error) {
	first := ask{name: name, password: password, secret: s.Secret}
	r, err := s.send(ctx, p, first.packet(), s.Secret, false)
	if err != nil || r.code != accessChallenge {
		return r.code == accessAccept, err
	}
	second := ask{name: name, password: code, state: r.state, secret: s.Secret}
	r, err = s.send(ctx, p, second.packet(), s.Secret, false)
	return r.code == accessAccept, err
}
