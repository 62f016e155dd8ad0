package drill

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// knownPassword is an attacker who has the right password, by cracking or by
// buying it, and nothing else: every door that takes a password.
func knownPassword(ctx context.Context, s *scene) ([]Door, error) {
	return s.passwordDoors(ctx, s.canary.name, s.canary.password), nil
}

// passwordDoors tries one name and password at every door there is.
func (s *scene) passwordDoors(ctx context.Context, name, password string) []Door {
	b := s.browse(true)
	err := b.typed(ctx, name, password, "")
	doors := []Door{{"the portal", err == nil && b.inside(ctx), errText(err)}}
	if s.Page != "" {
		doors = append(doors, Door{"the page", b.reads(ctx, s.Page), ""})
	}
	if s.Radius != "" {
		r, err := s.radius(ctx, ask{name: name, password: password})
		doors = append(doors, Door{"RADIUS with the password", r.code == accessAccept, errText(err)})
		if r.code == accessChallenge {
			again, err := s.radius(ctx, ask{name: name, password: password, state: r.state})
			doors = append(doors, Door{"RADIUS with the password as the code", again.code == accessAccept, errText(err)})
		}
		twice, err := s.radius(ctx, ask{name: name, password: password + password})
		doors = append(doors, Door{"RADIUS with the password twice", twice.code == accessAccept, errText(err)})
	}
	return append(doors, s.terminalDoor(ctx, name, password))
}

// terminalDoor signs in by the API, as a command line does on a terminal.
func (s *scene) terminalDoor(ctx context.Context, name, password string) Door {
	d := Door{Name: "the API on a terminal"}
	var step terminalStep
	for _, turn := range []map[string]any{{"name": name}, {"authenticator": "password", "text": password}, {"authenticator": "hotp", "text": "000000"}} {
		if step.Ticket != "" {
			turn["ticket"] = step.Ticket
		} else if turn["name"] == nil {
			return d
		}
		step = terminalStep{}
		if status, err := s.call(ctx, "login/terminal", "", turn, &step); err != nil || status != 200 {
			d.Detail = errText(err)
			return d
		}
		if step.Session != nil {
			d.Open = true
			return d
		}
	}
	return d
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

// guessPassword tries a list that ends with the right password, and codes after
// it.
func guessPassword(ctx context.Context, s *scene) ([]Door, error) {
	for _, g := range guesses {
		b := s.browse(true)
		if b.typed(ctx, s.canary.name, g, "") == nil && b.inside(ctx) {
			return []Door{{"the portal", true, "a wrong password"}}, nil
		}
	}
	doors := s.passwordDoors(ctx, s.canary.name, s.canary.password)
	b := s.browse(true)
	if b.typed(ctx, s.canary.name, s.canary.password, "") != nil {
		return doors, nil
	}
	for _, code := range []string{"000000", "123456", "111111", "999999"} {
		if !b.asks("hotp") || b.post(ctx, "/sign-in", "authenticator", "hotp", "text", code) != nil {
			break
		}
	}
	return append(doors, Door{"the portal with guessed codes", b.inside(ctx), ""}), nil
}

// bruteForce guesses many codes at once, and then sends one right code many
// times at once: it is one sign-in at most.
func bruteForce(ctx context.Context, s *scene) ([]Door, error) {
	doors := s.passwordDoors(ctx, s.canary.name, s.canary.password)
	if s.Radius == "" {
		return doors, nil
	}
	victim := s.canary
	var through atomic.Int32
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			r, err := s.radius(ctx, ask{name: victim.name, password: victim.password})
			if err != nil || r.code != accessChallenge {
				return
			}
			r, err = s.radius(ctx, ask{name: victim.name, password: fmt.Sprintf("%06d", i*61_237%1_000_000), state: r.state})
			if err == nil && r.code == accessAccept {
				through.Add(1)
			}
		})
	}
	all.Wait()
	doors = append(doors, Door{"RADIUS with 16 guessed codes at once", through.Load() > 0, ""})
	if s.down {
		return doors, nil
	}
	other, err := s.enroll(ctx)
	if err != nil {
		return doors, err
	}
	code := other.code()
	through.Store(0)
	for range 16 {
		all.Go(func() {
			if in, err := s.vpn(ctx, other.name, other.password, code); err == nil && in {
				through.Add(1)
			}
		})
	}
	all.Wait()
	return append(doors, Door{"RADIUS with one right code 16 times at once", through.Load() > 1, fmt.Sprintf("%d accepted", through.Load())}), nil
}

// spray tries one password on many names, one of which has it.
func spray(ctx context.Context, s *scene) ([]Door, error) {
	var doors []Door
	for i := range 6 {
		name := fmt.Sprintf("nobody-%d", i)
		b := s.browse(true)
		err := b.typed(ctx, name, s.canary.password, "")
		doors = append(doors, Door{"the portal as " + name, err == nil && b.inside(ctx), ""})
	}
	return append(doors, s.passwordDoors(ctx, s.canary.name, s.canary.password)...), nil
}

// stuff tries leaked pairs, one of which is right, and then tries to change the
// password with what it got.
func stuff(ctx context.Context, s *scene) ([]Door, error) {
	var doors []Door
	for i, g := range guesses {
		b := s.browse(true)
		err := b.typed(ctx, fmt.Sprintf("leaked-%d@example.org", i), g, "")
		doors = append(doors, Door{fmt.Sprintf("the portal with pair %d", i+1), err == nil && b.inside(ctx), ""})
	}
	doors = append(doors, s.passwordDoors(ctx, s.canary.name, s.canary.password)...)
	b := s.browse(true)
	if b.typed(ctx, s.canary.name, s.canary.password, "") == nil {
		b.post(ctx, "/account/do", "action", "authenticator.enroll", "object", "password") //nolint:errcheck // what counts is below
		b.post(ctx, "/account/setup", "authenticator", "password", "text", "a password of the attacker's own")
	}
	return append(doors, Door{"changing the password with the password alone", b.says("Added: "), ""}), nil
}

// defaults are names and passwords that products ship with.
func defaults(ctx context.Context, s *scene) ([]Door, error) {
	var doors []Door
	for _, pair := range [][2]string{{"admin", "admin"}, {"root", "root"}, {"administrator", "password"}, {"test", "test1234"}, {"countersign", "countersign"}} {
		for _, d := range s.passwordDoors(ctx, pair[0], pair[1]) {
			d.Name = pair[0] + " at " + d.Name
			doors = append(doors, d)
		}
	}
	if s.Radius != "" {
		for _, secret := range []string{"testing123", "secret", "radius"} {
			r, err := s.sendFor(ctx, ask{name: s.canary.name, password: s.canary.password, secret: secret}.packet(), secret, true, s.Patience)
			doors = append(doors, Door{"RADIUS with the shared secret " + secret, err == nil && r.code != silence, ""})
		}
	}
	if s.unguarded {
		// There is nothing of ours that ships with a password, so the control is an
		// account that somebody made that way.
		doors = append(doors, s.passwordDoors(ctx, s.canary.name, s.canary.password)...)
	}
	return doors, nil
}
