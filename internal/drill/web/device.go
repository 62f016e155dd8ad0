package web

import (
	"context"
	"time"

	"countersign/internal/drill"
)

// registerDevice tries to enroll the attacker's own authenticator.
func (s portal) registerDevice(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	// With the password alone.
	b := attacker(p, s.server)
	open, err := b.plantsAs(ctx, c, "")
	tries := []drill.Try{p.Tried("with the password alone", open, err)}
	if p.Down {
		return tries, nil
	}
	// A welcome link for the second time.
	used := attacker(p, s.server)
	if open, err = used.welcome(ctx, c.Link); open {
		open, err = used.plants(ctx)
	}
	tries = append(tries, p.Tried("with a welcome link that was used", open, err))
	// A session whose proof is long ago.
	if p.Bed != nil {
		p.Bed.Later(30 * time.Minute)
		open, err = kept(p, s.server, c).plants(ctx)
		tries = append(tries, p.Tried("with a stolen session of half an hour ago", open, err))
	}
	if !p.Unguarded {
		more, err := s.suspended(ctx, p)
		return append(tries, more...), err
	}
	// The guard here is the engine's own and no policy takes it out. The control
	// shows that the same steps succeed when the proof is fresh.
	fresh := attacker(p, s.server)
	if err := fresh.typed(ctx, c.Name, c.Password, c.Code()); err != nil {
		return tries, err
	}
	if err := fresh.prove(ctx, c); err != nil {
		return tries, err
	}
	open, err = fresh.plantsAfter(ctx, c)
	return append(tries, p.Tried("with both factors just shown, which is the owner", open, err)), nil
}

// suspended tries it on an account that was suspended, with everything that is right.
func (s portal) suspended(ctx context.Context, p *drill.Play) ([]drill.Try, error) {
	asleep, err := p.Enroll(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.Admin.Do(ctx, "account.suspend", map[string]string{"name": asleep.Name, "reason": "a drill"}, nil); err != nil {
		return nil, err
	}
	open, err := attacker(p, s.server).plantsAs(ctx, asleep, asleep.Code())
	tries := []drill.Try{p.Tried("on a suspended account with password and code", open, err)}
	open, err = kept(p, s.server, asleep).plants(ctx)
	return append(tries, p.Tried("on a suspended account with its session", open, err)), nil
}

// plantsAs is plants after signing in, as far as that goes.
func (b *browser) plantsAs(ctx context.Context, c *drill.Canary, code string) (bool, error) {
	if err := b.typed(ctx, c.Name, c.Password, code); err != nil {
		return false, err
	}
	return b.plants(ctx)
}

// plants tries to enroll a new generator in a browser, and reports whether that
// went as far as the offer.
func (b *browser) plants(ctx context.Context) (bool, error) {
	if err := b.get(ctx, b.server+"/account"); err != nil || !tokenField.MatchString(b.body) {
		return false, err
	}
	err := b.post(ctx, "/account/do", "action", "authenticator.enroll", "object", "totp")
	return err == nil && secretField.MatchString(b.body), err
}

// plantsAfter is plants for the owner, who answers what is asked on the way.
func (b *browser) plantsAfter(ctx context.Context, c *drill.Canary) (bool, error) {
	if open, err := b.plants(ctx); open || err != nil {
		return open, err
	}
	err := b.prove(ctx, c)
	return err == nil && secretField.MatchString(b.body), err
}
