package web

import (
	"context"
	"errors"
	"fmt"

	"countersign/internal/drill"
)

// Server is a Countersign by its public URL.
type Server string

// Self is the name of the application that Countersign itself is.
const Self = "countersign"

// Portal is its pages for people. It enrolls canaries.
func (s Server) Portal() drill.Component {
	on := portal{string(s)}
	return drill.Component{Kind: drill.Portal, Application: Self, Name: "the portal",
		Doors: []drill.Door{{Name: "the portal", Guess: on.guess}},
		Moves: map[drill.Move]drill.Attack{
			drill.Replay: on.replay, drill.GuessPasswords: on.guessPasswords, drill.RaceCodes: on.racePasswords, drill.GuessCodes: on.guessCodes, drill.Spray: on.spray, drill.Stuff: on.stuff,
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
	return []drill.Try{b.tried(p, "the portal", in, err)}
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
	return []drill.Try{b.tried(p, "changing the password with the password alone", b.says("Added: "), err)}, nil
}

// comeBack enrolls a device with all that is right.
func (s portal) comeBack(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	b := attacker(p, s.server)
	in, err := b.enters(ctx, b.typed(ctx, c.Name, c.Password, c.Code()))
	tries := []drill.Try{b.tried(p, "the portal with password and code", in, err)}
	planted, err := b.plants(ctx)
	tries = append(tries, b.tried(p, "a new device with password and code", planted, err))
	old := kept(p, s.server, c)
	planted, err = old.plants(ctx)
	return append(tries, old.tried(p, "a new device with the session from before", planted, err)), nil
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
	return []drill.Try{thief.tried(p, "the sign-in pages, every form again", in, err)}, nil
}
