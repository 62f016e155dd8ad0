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
	if !b.inside(ctx) {
		return errors.New("the owner does not get in with the passkey")
	}
	c.Jar = b.client.Jar
	return nil
}

func (s portal) guess(ctx context.Context, p *drill.Play, g *drill.Guess) []drill.Try {
	b := attacker(p, s.server)
	err := b.typed(ctx, g.Name, g.Password, "")
	g.Jar = b.client.Jar
	return []drill.Try{{Name: "the portal", Open: err == nil && b.inside(ctx), Detail: errText(err)}}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// guesses are what an attacker tries before the right one; few, so that a drill
// on a deployment does not use up what honest people behind the same address
// have.
var guesses = []string{"password", "Winter2026!", "letmein123", "qwertyuiop"}

// guessPasswords tries a list, and says nothing of what stays shut.
func (s portal) guessPasswords(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	for _, g := range guesses {
		b := attacker(p, s.server)
		if b.typed(ctx, c.Name, g, "") == nil && b.inside(ctx) {
			return []drill.Try{{Name: "the portal", Open: true, Detail: "a wrong password"}}, nil
		}
	}
	return nil, nil
}

func (s portal) guessCodes(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	b := attacker(p, s.server)
	if b.typed(ctx, c.Name, c.Password, "") != nil {
		return nil, nil
	}
	for _, code := range []string{"000000", "123456", "111111", "999999"} {
		if !b.asks("hotp") || b.post(ctx, "/sign-in", "authenticator", "hotp", "text", code) != nil {
			break
		}
	}
	return []drill.Try{{Name: "the portal with guessed codes", Open: b.inside(ctx)}}, nil
}

// spray tries one password on many names.
func (s portal) spray(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	var tries []drill.Try
	for i := range 6 {
		name := fmt.Sprintf("nobody-%d", i)
		b := attacker(p, s.server)
		err := b.typed(ctx, name, c.Password, "")
		tries = append(tries, drill.Try{Name: "the portal as " + name, Open: err == nil && b.inside(ctx)})
	}
	return tries, nil
}

// stuff tries leaked pairs.
func (s portal) stuff(ctx context.Context, p *drill.Play, _ *drill.Canary) ([]drill.Try, error) {
	var tries []drill.Try
	for i, g := range guesses {
		b := attacker(p, s.server)
		err := b.typed(ctx, fmt.Sprintf("leaked-%d@example.org", i), g, "")
		tries = append(tries, drill.Try{Name: fmt.Sprintf("the portal with pair %d", i+1), Open: err == nil && b.inside(ctx)})
	}
	return tries, nil
}

func (s portal) changePassword(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	b := attacker(p, s.server)
	if b.typed(ctx, c.Name, c.Password, "") == nil {
		b.post(ctx, "/account/do", "action", "authenticator.enroll", "object", "password") //nolint:errcheck // what counts is below
		b.post(ctx, "/account/setup", "authenticator", "password", "text", "a password of the attacker's own")
	}
	return []drill.Try{{Name: "changing the password with the password alone", Open: b.says("Added: ")}}, nil
}

// comeBack enrolls a device with all that is right.
func (s portal) comeBack(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	b := attacker(p, s.server)
	err := b.typed(ctx, c.Name, c.Password, c.Code())
	return []drill.Try{
		{Name: "the portal with password and code", Open: err == nil && b.inside(ctx)},
		{Name: "a new device with password and code", Open: b.plants(ctx)},
		{Name: "a new device with the session from before", Open: kept(p, s.server, c).plants(ctx)},
	}, nil
}

var errNotIn = errors.New("the honest sign-in that was to be listened to did not succeed")

// replay sends the forms of a sign-in again, without the cookie that came back, which
// never crosses the network in the clear.
func (s portal) replay(ctx context.Context, p *drill.Play, victim *drill.Canary) ([]drill.Try, error) {
	heard := honest(p, s.server)
	if err := heard.typed(ctx, victim.Name, victim.Password, victim.Code()); err == nil && !p.Down && !heard.inside(ctx) {
		return nil, errNotIn
	}
	thief := attacker(p, s.server)
	if thief.get(ctx, s.server+"/sign-in") == nil {
		for _, f := range heard.sent {
			if m := tokenField.FindStringSubmatch(thief.body); m != nil {
				f.values.Set("form-token", m[1])
			}
			if thief.do(ctx, "POST", thief.server+f.path, f.values) != nil {
				break
			}
		}
	}
	return []drill.Try{{Name: "the sign-in pages, every form again", Open: thief.inside(ctx)}}, nil
}
