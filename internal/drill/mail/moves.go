package mail

import (
	"context"
	"errors"
	"fmt"
	"time"

	"countersign/internal/drill"
	"countersign/internal/drill/openid"
)

// mechanisms are those by which a token is shown.
var mechanisms = []string{"OAUTHBEARER", "XOAUTH2"}

// everywhere shows a token at every door, by every mechanism.
func (s Server) everywhere(ctx context.Context, p *drill.Play, what, name, token string) (tries []drill.Try) {
	for _, d := range s.Doors {
		if p.Down && d.Plain {
			continue // which asks nobody
		}
		for _, m := range some(p, mechanisms) {
			in, said, err := s.opens(ctx, p, d, m, name, token, false)
			tries = append(tries, s.tried(p, d, m+" with "+what, in, said, err))
		}
	}
	return tries
}

// some are all of the ways to try, and the first of them while Countersign is out of reach: each has
// the mail server wait for it, and asks it the same.
func some(p *drill.Play, ways []string) []string {
	if p.Down {
		return ways[:1]
	}
	return ways
}

// noToken is a try to get a token that gives none.
func noToken(p *drill.Play, of openid.Client, what, said string, err error) drill.Try {
	t := p.Tried("a token of "+of.Application+" for "+what, false, err)
	t.Answer = said
	return t
}

// guessed are the doors with a token that an attacker gets with what they have, where they do.
func (s Server) guessed(ctx context.Context, p *drill.Play, of openid.Client, c *drill.Canary, what, code string) []drill.Try {
	got, said, err := of.Guesses(ctx, p, c.Name, c.Password, code)
	if got.Access == "" {
		return []drill.Try{noToken(p, of, what, said, err)}
	}
	return s.everywhere(ctx, p, "a token of "+of.Application+" for "+what, c.Name, got.Access)
}

// readMail reads somebody's mail with the password, and with tokens that are almost good.
func (s Server) readMail(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	tries := s.passwords(ctx, p, c)
	if p.Down {
		return append(tries, s.stale(ctx, p, c)...), nil
	}
	tries = append(tries, s.guessed(ctx, p, s.Program, c, "the password alone", "")...)
	if p.Unguarded {
		return tries, nil
	}
	tries = append(tries, s.guessed(ctx, p, s.Program, c, "the password and a guessed code", "000000")...)
	if s.Weak != nil {
		tries = append(tries, s.guessed(ctx, p, *s.Weak, c, "one factor", "")...)
	}
	made, err := s.almost(ctx, p)
	return append(tries, made...), err
}

// passwords tries the right password at every door, in every way.
func (s Server) passwords(ctx context.Context, p *drill.Play, c *drill.Canary) (tries []drill.Try) {
	for _, d := range s.Doors {
		tries = append(tries, s.guessAt(d)(ctx, p, &drill.Guess{Name: c.Name, Password: c.Password})...)
	}
	return tries
}

// expired is longer than a token is good for.
const expired = 61 * time.Minute

// almost are tokens of an owner whom nobody attacked yet, of which not everything is right.
func (s Server) almost(ctx context.Context, p *drill.Play) ([]drill.Try, error) {
	owner, err := p.Enroll(ctx)
	if err != nil {
		return nil, err
	}
	var tries []drill.Try
	for _, other := range s.Others {
		got, err := other.Signs(ctx, p, owner)
		if err != nil {
			continue // an application that a drill cannot sign in to gives no token away
		}
		tries = append(tries, s.everywhere(ctx, p, "a token of another application, "+other.Application, owner.Name, got.Access)...)
	}
	narrow := s.Program
	narrow.Scope = "openid"
	got, err := narrow.Signs(ctx, p, owner)
	if err != nil {
		return tries, err
	}
	tries = append(tries, s.everywhere(ctx, p, "a token without the scope of mail", owner.Name, got.Access)...)
	made, err := s.over(ctx, p, owner)
	return append(tries, made...), err
}

// over are tokens that were good: one at another's mailbox, one that is too old, and one whose
// owner has signed out.
func (s Server) over(ctx context.Context, p *drill.Play, owner *drill.Canary) ([]drill.Try, error) {
	got, v, err := s.Program.SignsIn(ctx, p, owner)
	if err != nil {
		return nil, err
	}
	if err := s.honest(ctx, p, owner, got.Access); err != nil {
		return nil, err
	}
	tries := s.everywhere(ctx, p, "a token of somebody else", p.Canary.Name, got.Access)
	if p.Bed != nil {
		p.Bed.Later(expired)
		tries = append(tries, s.everywhere(ctx, p, "a token that is too old", owner.Name, got.Access)...)
		p.Bed.Later(-expired)
	}
	if err := v.SignsOut(ctx); err != nil {
		return tries, err
	}
	return append(tries, s.everywhere(ctx, p, "a token whose owner has signed out", owner.Name, got.Access)...), nil
}

// honest is an error if a token does not open the first door.
func (s Server) honest(ctx context.Context, p *drill.Play, c *drill.Canary, token string) error {
	in, said, err := s.opens(ctx, p, s.Doors[0], mechanisms[0], c.Name, token, true)
	if err != nil || !in {
		return errors.Join(fmt.Errorf("the owner's own token does not open %s: %s", s.Doors[0].Name(), said), err)
	}
	s.kept.keep(p, token)
	return nil
}

// stale is what was good before Countersign was stopped.
func (s Server) stale(ctx context.Context, p *drill.Play, c *drill.Canary) []drill.Try {
	token := s.kept.of(p)
	if token == "" {
		return nil
	}
	return s.everywhere(ctx, p, "a token from before", c.Name, token)
}

// again is KeptSession: what was good before, while Countersign cannot be asked.
func (s Server) again(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	return s.stale(ctx, p, c), nil
}

// replay listens to an owner's program, and shows what it heard when the owner has signed out.
func (s Server) replay(ctx context.Context, p *drill.Play, victim *drill.Canary) ([]drill.Try, error) {
	if p.Down {
		return s.stale(ctx, p, victim), nil
	}
	got, v, err := s.Program.SignsIn(ctx, p, victim)
	if err == nil {
		err = s.honest(ctx, p, victim, got.Access)
	}
	if err == nil {
		err = v.SignsOut(ctx)
	}
	if err != nil {
		return nil, err
	}
	tries := s.everywhere(ctx, p, "every byte of a sign-in again after its owner signed out", victim.Name, got.Access)
	for i := range tries {
		tries[i].Detail = "captured in the program, above TLS"
	}
	return tries, nil
}
