package web

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"

	"countersign/internal/drill"
)

// How many names an attacker tries one password on. On a deployment they are few: wrong
// answers are counted for the address, which honest people may share. In the test bed they
// are as many as one address may guess in ten minutes (limits.per_source), and the attacker
// has an address that nobody else has.
const (
	namesTried = 6
	namesInBed = 100
)

// stuffed is for how many people somebody has the right password before that is an alarm.
const stuffed = 5

// nearby is an address of a test bed's machine that nobody used yet.
func nearby() netip.Addr { return netip.AddrFrom4([4]byte{127, 1, byte(nearbys.Add(1)), 66}) }

var nearbys atomic.Uint32

// spray tries one password on many names, of which one has it.
func (s portal) spray(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	if p.Bed != nil && !p.Down && !p.Unguarded {
		return s.sprayInBed(ctx, p, c)
	}
	var tries []drill.Try
	for i := range namesTried {
		name := fmt.Sprintf("nobody-%d", i)
		if i == namesTried-1 {
			name = c.Name
		}
		b := attacker(p, s.server)
		in, err := b.enters(ctx, b.typed(ctx, name, c.Password, ""))
		tries = append(tries, b.tried(p, "the portal as "+name, in, err))
	}
	if p.Down {
		return tries, nil
	}
	return append(tries, s.enumerate(ctx, p, c)), nil
}

// sprayInBed sprays until the address has no guess left. There is an alarm about it, but not
// one for each name; the password that is right is not taken from there any more, and from
// elsewhere it is.
func (s portal) sprayInBed(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	from := nearby()
	tries := []drill.Try{s.enumerate(ctx, p, c), s.sprayed(ctx, p, from, c.Password)}
	b := browse(p, s.server, from)
	err := b.typed(ctx, c.Name, c.Password, "")
	taken := b.asks("hotp")
	in, err := b.enters(ctx, err)
	tries = append(tries, b.tried(p, "the right password is taken from the address that sprayed", taken || in, err))
	b = browse(p, s.server, nearby())
	err = b.typed(ctx, c.Name, c.Password, "")
	tries = append(tries, b.tried(p, "the spray keeps everybody else out", err == nil && !b.asks("hotp"), err))
	n, err := raisedAbout(ctx, p, "alarm.spray", from)
	return append(tries, counted(p, "alarm.spray about the address", n, mostAlarms, err)), nil
}

// sprayed tries a password on names that nobody has, several at a time.
func (s portal) sprayed(ctx context.Context, p *drill.Play, from netip.Addr, password string) drill.Try {
	const browsers = 4
	run := strings.ToLower(rand.Text()[:6])
	var said tally
	through, err := drill.AtOnce(browsers, func(of int) (open bool, failed error) {
		for i := of; i < namesInBed; i += browsers {
			b := browse(p, s.server, from)
			in, err := b.enters(ctx, b.typed(ctx, fmt.Sprintf("nobody-%s-%d", run, i), password, ""))
			open, failed = open || in, cmp.Or(failed, err)
			said.note(b.answer)
		}
		return open, failed
	})
	return said.tried(p, fmt.Sprintf("the portal as %d names that nobody has", namesInBed), through > 0, err)
}

// raisedAbout is how many alarms of a kind there are about an address.
func raisedAbout(ctx context.Context, p *drill.Play, event string, from netip.Addr) (n int, err error) {
	found, err := p.Logged(ctx, map[string]any{"event": event})
	for _, e := range found {
		if e.Source == from.String() {
			n++
		}
	}
	return n, err
}

// stuff tries leaked pairs, of which the canary's is right. In the test bed several are, from
// an address of their own, and there is an alarm about it.
func (s portal) stuff(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	var tries []drill.Try
	for i, g := range guesses[:4] {
		b := attacker(p, s.server)
		in, err := b.enters(ctx, b.typed(ctx, fmt.Sprintf("leaked-%d@example.org", i), g, ""))
		tries = append(tries, b.tried(p, fmt.Sprintf("the portal with pair %d", i+1), in, err))
	}
	if p.Down || p.Unguarded {
		b := attacker(p, s.server)
		in, err := b.enters(ctx, b.typed(ctx, c.Name, c.Password, ""))
		return append(tries, b.tried(p, "the portal with a pair that is right", in, err)), nil
	}
	leaked, err := s.leaked(ctx, p)
	if tries = append(tries, leaked...); err != nil || p.Bed == nil {
		return tries, err
	}
	from := nearby()
	for i := range stuffed {
		hit, err := p.Enroll(ctx)
		if err != nil {
			return nil, err
		}
		b := browse(p, s.server, from)
		in, err := s.exhausted(ctx, b, hit)
		tries = append(tries, b.tried(p, fmt.Sprintf("the portal with pair %d that is right", i+1), in, err), alarmed(ctx, p, "alarm.factor-missing", hit))
	}
	n, err := raisedAbout(ctx, p, "alarm.stuffing", from)
	return append(tries, counted(p, "alarm.stuffing about the address", n, mostAlarms, err)), nil
}

// exhausted types the right password and codes that are wrong, until the sign-in is ended.
func (s portal) exhausted(ctx context.Context, b *browser, c *drill.Canary) (bool, error) {
	err := b.typed(ctx, c.Name, c.Password, "")
	for i := 0; err == nil && i < mostTries && b.asks("hotp"); i++ {
		err = b.post(ctx, "/sign-in", "authenticator", "hotp", "text", fmt.Sprintf("%06d", i))
	}
	return b.enters(ctx, err)
}
