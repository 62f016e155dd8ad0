package web

import (
	"context"
	"errors"
	"fmt"

	"countersign/internal/drill"
)

// Server is a Countersign by its public URL.
type Server string

// Portal is its pages for people. It enrolls canaries.
func (s Server) Portal() drill.Component {
	on := portal{string(s)}
	return drill.Component{Kind: drill.Portal, Name: "the portal",
		Doors: []drill.Door{{Name: "the portal", Guess: on.guess}},
		Moves: map[drill.Move]drill.Attack{
			drill.Replay: on.replay, drill.GuessPasswords: on.guessPasswords, drill.GuessCodes: on.guessCodes, drill.Spray: on.spray, drill.Stuff: on.stuff,
			drill.ChangePassword: on.changePassword, drill.RegisterDevice: on.registerDevice, drill.LookAlike: on.lookAlike, drill.ComeBack: on.comeBack,
		},
		Enter: on.enter, Enroll: on.enroll}
}

type portal struct{ server string }

// enter signs in with the passkey, and keeps the session.
func (s portal) enter(ctx context.Context, p *drill.Play, c *drill.Canary) error {
	b := honest(p, s.server)
	if err := b.get(ctx, s.server+"/sign-in"); err != nil {
		return err
	}
	if err := b.passkey(ctx, c.Key); err != nil {
		return fmt.Errorf("with the passkey: %w", err)
	}
	if in, err := b.inside(ctx); err != nil || !in {
		return errors.Join(errors.New("the owner does not get in with the passkey"), err)
	}
	c.Jar = b.client.Jar
	return nil
}

func (s portal) guess(ctx context.Context, p *drill.Play, g *drill.Guess) []drill.Try {
	b := attacker(p, s.server)
	in, err := b.enters(ctx, b.typed(ctx, g.Name, g.Password, ""))
	g.Jar = b.client.Jar
	return []drill.Try{p.Tried("the portal", in, err)}
}

// guesses are what an attacker tries before the right one; few, so that a drill
// on a deployment does not use up what honest people behind the same address
// have.
var guesses = []string{"password", "Winter2026!", "letmein123", "qwertyuiop"}

// guessPasswords tries a list, up to the first that says something.
func (s portal) guessPasswords(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	for _, g := range guesses {
		b := attacker(p, s.server)
		if in, err := b.enters(ctx, b.typed(ctx, c.Name, g, "")); in || err != nil {
			return []drill.Try{p.Tried("the portal with a wrong password", in, err)}, nil
		}
	}
	return []drill.Try{{Name: "the portal with a wrong password"}}, nil
}

func (s portal) guessCodes(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	b := attacker(p, s.server)
	err := b.typed(ctx, c.Name, c.Password, "")
	for _, code := range []string{"000000", "123456", "111111", "999999"} {
		if err != nil || !b.asks("hotp") {
			break
		}
		err = b.post(ctx, "/sign-in", "authenticator", "hotp", "text", code)
	}
	in, err := b.enters(ctx, err)
	return []drill.Try{p.Tried("the portal with guessed codes", in, err)}, nil
}

// spray tries one password on many names.
func (s portal) spray(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	var tries []drill.Try
	for i := range 6 {
		name := fmt.Sprintf("nobody-%d", i)
		b := attacker(p, s.server)
		in, err := b.enters(ctx, b.typed(ctx, name, c.Password, ""))
		tries = append(tries, p.Tried("the portal as "+name, in, err))
	}
	return tries, nil
}

// stuff tries leaked pairs.
func (s portal) stuff(ctx context.Context, p *drill.Play, _ *drill.Canary) ([]drill.Try, error) {
	var tries []drill.Try
	for i, g := range guesses {
		b := attacker(p, s.server)
		in, err := b.enters(ctx, b.typed(ctx, fmt.Sprintf("leaked-%d@example.org", i), g, ""))
		tries = append(tries, p.Tried(fmt.Sprintf("the portal with pair %d", i+1), in, err))
	}
	return tries, nil
}

func (s portal) changePassword(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	b := attacker(p, s.server)
	err := b.typed(ctx, c.Name, c.Password, "")
	for _, form := range [][]string{{"/account/do", "action", "authenticator.enroll", "object", "password"},
		{"/account/setup", "authenticator", "password", "text", "a password of the attacker's own"}} {
		if err == nil {
			err = b.post(ctx, form[0], form[1:]...)
		}
	}
	if errors.Is(err, errNoForm) && !p.Down {
		err = nil // there is nothing to change it on
	}
	return []drill.Try{p.Tried("changing the password with the password alone", b.says("Added: "), err)}, nil
}

// comeBack enrolls a device with all that is right.
func (s portal) comeBack(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	b := attacker(p, s.server)
	in, err := b.enters(ctx, b.typed(ctx, c.Name, c.Password, c.Code()))
	tries := []drill.Try{p.Tried("the portal with password and code", in, err)}
	planted, err := b.plants(ctx)
	tries = append(tries, p.Tried("a new device with password and code", planted, err))
	planted, err = kept(p, s.server, c).plants(ctx)
	return append(tries, p.Tried("a new device with the session from before", planted, err)), nil
}

var errNotIn = errors.New("the honest sign-in that was to be listened to did not succeed")

// replay sends the forms of a sign-in again, without the cookie that came back, which
// never crosses the network in the clear.
func (s portal) replay(ctx context.Context, p *drill.Play, victim *drill.Canary) ([]drill.Try, error) {
	heard := honest(p, s.server)
	if in, err := heard.enters(ctx, heard.typed(ctx, victim.Name, victim.Password, victim.Code())); !in && !p.Down {
		return nil, errors.Join(errNotIn, err)
	}
	thief := attacker(p, s.server)
	err := thief.get(ctx, s.server+"/sign-in")
	for _, f := range heard.sent {
		if m := tokenField.FindStringSubmatch(thief.body); m != nil {
			f.values.Set("form-token", m[1])
		}
		if err == nil {
			err = thief.do(ctx, "POST", thief.server+f.path, f.values)
		}
	}
	in, err := thief.enters(ctx, err)
	return []drill.Try{p.Tried("the sign-in pages, every form again", in, err)}, nil
}
