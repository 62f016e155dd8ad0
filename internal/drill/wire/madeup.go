package wire

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"

	"countersign/internal/drill"
)

// forger is everything that equipment and those in front of it could send.
type forger struct{ Radius }

// madeUp is everything that equipment could be made to ask, and what an answer must look
// like that equipment believes.
func (s forger) madeUp(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	s.heard = &heard{}
	tries := append(s.typed(ctx, p, c), s.strangers(ctx, p, c)...)
	if p.Down || p.Unguarded {
		return tries, nil
	}
	other, err := p.Enroll(ctx)
	if err != nil {
		return tries, err
	}
	more, err := s.repeated(ctx, p, other)
	if tries = append(tries, more...); err != nil {
		return tries, err
	}
	if s.mode() == Challenge {
		if more, err = s.states(ctx, p, c, other); err != nil {
			return append(tries, more...), err
		}
		tries = append(tries, more...)
	}
	tries = append(tries, s.proxied(ctx, p, c))
	return append(tries, s.signed()...), nil
}

// typed is what a person could type.
func (s forger) typed(ctx context.Context, p *drill.Play, c *drill.Canary) (tries []drill.Try) {
	try := func(name string, a ask) reply {
		a.name = c.Name
		r, err := s.ask(ctx, p, a, true)
		tries = append(tries, s.tried(p, name, r, err))
		return r
	}
	first := try("the password alone", ask{password: c.Password})
	try("no password", ask{password: ""})
	try("a guessed code", ask{password: s.guessed(0), state: first.state})
	state := make([]byte, 27)
	rand.Read(state)
	try("a code with a made-up State", ask{password: s.guessed(1), state: state})
	try("the password with a code behind it", ask{password: c.Password + s.Separator + s.guessed(2)})
	return tries
}

// strangers do not know the shared secret, or do not show that they do: they are owed no
// answer (RFC 2865 section 3, RFC 3579 section 3.2), and all wait at once for none.
func (s forger) strangers(ctx context.Context, p *drill.Play, c *drill.Canary) []drill.Try {
	all := []struct {
		name string
		ask  ask
	}{
		{"a request without Message-Authenticator is answered", ask{secret: s.Secret, bare: true}},
		{"a request with a wrong Message-Authenticator is answered", ask{secret: s.Secret, forged: true}},
		{"a client with another secret is answered", ask{secret: "another secret"}},
	}
	tries := make([]drill.Try, len(all))
	var waiting sync.WaitGroup
	for i, x := range all {
		waiting.Go(func() {
			x.ask.name, x.ask.password = c.Name, c.Password
			r, answered, err := s.answers(ctx, p, x.ask)
			tries[i] = p.Tried("RADIUS, "+x.name, answered, err)
			if tries[i].Answer = r.words(); answered && r.code == silence {
				tries[i].Answer = "an answer that is not under this secret"
			}
		})
	}
	waiting.Wait()
	return tries
}

// repeated sends each datagram of a sign-in several times from one port, as equipment does
// when it hears nothing: each copy gets the same answer, and one of them is decided. Then
// the code is used again, in the same step of the generator, and one before it that its owner
// skipped, which somebody may have read from the device.
func (s forger) repeated(ctx context.Context, p *drill.Play, other *drill.Canary) (tries []drill.Try, _ error) {
	var state []byte
	var last reply
	skipped, code := other.Code(), other.Code()
	for i, typed := range s.lines(other.Password, code) {
		packet := ask{name: other.Name, password: typed, state: state, secret: s.Secret}.packet()
		replies, err := s.copies(ctx, p, packet)
		tries = append(tries, again(p, fmt.Sprintf("RADIUS, a retransmission of datagram %d is decided again", i+1), replies, err))
		if err != nil {
			return tries, nil
		}
		if last, err = parse(replies[0], packet, s.Secret); err != nil {
			return tries, err
		}
		state = last.state
	}
	if s.mode() == Wait {
		return tries, nil
	}
	if last.code != accessAccept {
		return tries, errNotIn
	}
	r, err := s.says(ctx, p, other.Name, s.lines(other.Password, code), true)
	tries = append(tries, s.tried(p, "the code of a moment ago", r, err))
	r, err = s.says(ctx, p, other.Name, s.lines(other.Password, skipped), true)
	tries = append(tries, s.tried(p, "a code before it that was skipped", r, err))
	if r, err = s.says(ctx, p, other.Name, s.lines(other.Password, other.Code()), true); err != nil || r.code != accessAccept {
		return tries, errors.Join(errNotIn, err) // two wrong ones are forgotten by it
	}
	more, err := s.wrongOnce(ctx, p)
	return append(tries, more), err
}

// copies sends a datagram four times from one port: three at once, and one when those have
// had their answers. It returns what came back, one reply at least.
func (s forger) copies(ctx context.Context, p *drill.Play, packet []byte) ([][]byte, error) {
	o, err := s.open(ctx, p, true)
	if err != nil {
		return nil, err
	}
	defer o.close()
	for range 2 {
		o.send(packet)
	}
	first, err := o.exchange(ctx, packet, s.Secret)
	if err != nil {
		return nil, err
	}
	replies := [][]byte{first.raw}
	o.send(packet)
	for {
		b, err := o.receive(p.Patience)
		if err != nil {
			return replies, nil
		}
		replies = append(replies, bytes.Clone(b))
	}
}

// again is open if copies of one request had different answers.
func again(p *drill.Play, name string, replies [][]byte, err error) drill.Try {
	different := slices.ContainsFunc(replies, func(b []byte) bool { return !bytes.Equal(b, replies[0]) })
	if err == nil && len(replies) < 2 {
		err = errors.New("a retransmission of an answered request has no answer")
	}
	t := p.Tried(name, different, err)
	t.Detail = fmt.Sprintf("%d answers to 4 copies", len(replies))
	return t
}

// wrongOnce sends a wrong code four times in one datagram: that is one guess.
func (s forger) wrongOnce(ctx context.Context, p *drill.Play) (drill.Try, error) {
	of, err := p.Enroll(ctx)
	if err != nil {
		return drill.Try{}, err
	}
	log, lines := guesses(s), s.lines(of.Password, s.guessed(3))
	r, err := s.says(ctx, p, of.Name, lines[:len(lines)-1], true)
	if err != nil {
		return drill.Try{}, err
	}
	packet := ask{name: of.Name, password: lines[len(lines)-1], state: r.state, secret: s.Secret}.packet()
	if _, err := s.copies(ctx, p, packet); err != nil {
		return drill.Try{}, err
	}
	if _, err = log.checked(ctx, p, of.Name, 1); err != nil {
		return drill.Try{}, err
	}
	all, err := log.refusals(ctx, p, of.Name)
	t := p.Tried("RADIUS, a retransmitted wrong code counts more than once", len(all) > 1, err)
	t.Detail = fmt.Sprintf("%d guesses in the log", len(all))
	return t, nil
}

// proxied asks as through two proxies, which find their way back by what they added
// (RFC 2865 section 5.33).
func (s forger) proxied(ctx context.Context, p *drill.Play, c *drill.Canary) drill.Try {
	sent := [][]byte{[]byte("outer"), {0, 1, 2}}
	r, err := s.ask(ctx, p, ask{name: c.Name, password: c.Password, proxies: sent}, true)
	same := slices.EqualFunc(sent, r.proxies, bytes.Equal)
	t := p.Tried("RADIUS, an answer without the Proxy-State of its request", err == nil && !same, err)
	t.Detail = fmt.Sprintf("%d of %d", len(r.proxies), len(sent))
	return t
}

// signed is what is wrong with the answers that came, a try for each code: without a right
// Message-Authenticator in front somebody on the way makes an Access-Accept of them.
func (s forger) signed() (tries []drill.Try) {
	for _, code := range []byte{accessAccept, accessReject, accessChallenge} {
		all := s.heard.of(code)
		if len(all) == 0 && !s.gives(code) {
			continue
		}
		t := drill.Try{Name: fmt.Sprintf("RADIUS, an %s that can be forged", reply{code: code}.words()), Detail: fmt.Sprintf("%d answers", len(all))}
		if len(all) == 0 {
			t.Error = "there was none"
		}
		if i := slices.IndexFunc(all, func(r reply) bool { return r.fault != "" }); i >= 0 {
			t.Open, t.Detail = true, all[i].fault
		}
		tries = append(tries, t)
	}
	return tries
}

// gives reports whether an answer of this code belongs to the mode.
func (s forger) gives(code byte) bool {
	switch code {
	case accessAccept:
		return s.mode() != Wait
	case accessChallenge:
		return s.mode() == Challenge
	}
	return true
}
