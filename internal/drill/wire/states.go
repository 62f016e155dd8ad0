package wire

import (
	"bytes"
	"context"
	"crypto/rand"

	"countersign/internal/drill"
)

// states are those of somebody who has an account and all that is right, used where they
// were not given out. A State that is taken by another name lets its owner in as that.
func (s forger) states(ctx context.Context, p *drill.Play, c, other *drill.Canary) (tries []drill.Try, _ error) {
	try := func(name string, a ask) {
		if a.name == "" {
			a.name = other.Name
		}
		a.password = other.Code()
		r, err := s.ask(ctx, p, a, true)
		tries = append(tries, s.tried(p, name, r, err))
	}
	for _, x := range []struct {
		name string
		ask  ask
		turn func(state []byte) []byte
		no   bool
	}{
		{name: "somebody's State with another name", ask: ask{name: c.Name}},
		{name: "a State of other equipment", ask: ask{nas: "another"}, no: s.BindClient},
		{name: "a State cut short", turn: func(b []byte) []byte { return b[:len(b)-1] }},
		{name: "a State of another length", turn: func(b []byte) []byte { return b[:1] }},
		{name: "a State with a letter changed", turn: func(b []byte) []byte { b[len(b)/2] ^= 1; return b }},
		{name: "a made-up State", turn: func(b []byte) []byte { rand.Read(b); return b }},
	} {
		if x.no {
			continue
		}
		state, err := s.state(ctx, p, other)
		if err != nil {
			return tries, err
		}
		if x.turn != nil {
			state = x.turn(bytes.Clone(state))
		}
		x.ask.state = state
		try(x.name, x.ask)
	}
	if err := s.foreign(ctx, p, other, try); err != nil {
		return tries, err
	}
	return tries, s.usedTwice(ctx, p, other, try)
}

// state begins a sign-in, and returns the State of its challenge.
func (s forger) state(ctx context.Context, p *drill.Play, c *drill.Canary) ([]byte, error) {
	r, err := s.ask(ctx, p, ask{name: c.Name, password: c.Password}, true)
	if err == nil && r.code != accessChallenge {
		err = errNotAsked
	}
	return r.state, err
}

// foreign uses the States that other applications hand out.
func (s forger) foreign(ctx context.Context, p *drill.Play, other *drill.Canary, try func(string, ask)) error {
	for _, peer := range s.Peers {
		if peer.mode() != Challenge {
			continue
		}
		state, err := forger{peer}.state(ctx, p, other)
		if err != nil {
			return err
		}
		try("a State of the application "+peer.Application, ask{state: state})
	}
	return nil
}

// usedTwice uses a State again: after a wrong code, which would be more guesses than one for
// each, and after it let its owner in.
func (s forger) usedTwice(ctx context.Context, p *drill.Play, other *drill.Canary, try func(string, ask)) error {
	state, err := s.state(ctx, p, other)
	if err != nil {
		return err
	}
	if _, err := s.ask(ctx, p, ask{name: other.Name, password: s.guessed(4), state: state}, true); err != nil {
		return err
	}
	try("a State again, after a wrong code", ask{state: state})
	if state, err = s.state(ctx, p, other); err != nil {
		return err
	}
	r, err := s.ask(ctx, p, ask{name: other.Name, password: other.Code(), state: state}, true)
	if err != nil {
		return err
	}
	if r.code != accessAccept {
		return errNotIn
	}
	try("a State again, after it let somebody in", ask{state: state})
	return nil
}
