package web

import (
	"context"
	"time"

	"countersign/internal/drill"
)

// registerDevice tries to enroll the attacker's own authenticator.
func (s portal) registerDevice(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	var tries []drill.Try
	// With the password alone.
	b := attacker(p, s.server)
	if err := b.typed(ctx, c.Name, c.Password, ""); err == nil {
		tries = append(tries, drill.Try{Name: "with the password alone", Open: b.plants(ctx)})
	}
	if p.Down {
		return tries, nil
	}
	// A welcome link for the second time.
	used := attacker(p, s.server)
	tries = append(tries, drill.Try{Name: "with a welcome link that was used", Open: used.welcome(ctx, c.Link) == nil && used.plants(ctx)})
	// A session whose proof is long ago.
	if p.Bed != nil {
		p.Bed.Later(30 * time.Minute)
		stolen := kept(p, s.server, c)
		tries = append(tries, drill.Try{Name: "with a stolen session of half an hour ago", Open: stolen.plants(ctx)})
	}
	// An account that was suspended, with everything that is right.
	if !p.Unguarded {
		asleep, err := p.Enroll(ctx)
		if err != nil {
			return tries, err
		}
		if err := p.Admin.Do(ctx, "account.suspend", map[string]string{"name": asleep.Name, "reason": "a drill"}, nil); err != nil {
			return tries, err
		}
		b := attacker(p, s.server)
		err = b.typed(ctx, asleep.Name, asleep.Password, asleep.Code())
		tries = append(tries, drill.Try{Name: "on a suspended account with password and code", Open: err == nil && b.plants(ctx)})
		tries = append(tries, drill.Try{Name: "on a suspended account with its session", Open: kept(p, s.server, asleep).plants(ctx)})
	}
	if p.Unguarded {
		// The guard here is the engine's own and no policy takes it out. The control
		// shows that the same steps succeed when the proof is fresh.
		fresh := attacker(p, s.server)
		if err := fresh.typed(ctx, c.Name, c.Password, c.Code()); err != nil {
			return tries, err
		}
		if err := fresh.prove(ctx, c); err != nil {
			return tries, err
		}
		tries = append(tries, drill.Try{Name: "with both factors just shown, which is the owner", Open: fresh.plantsAfter(ctx, c)})
	}
	return tries, nil
}

// plants tries to enroll a new generator in a browser, and reports whether that
// went as far as the offer.
func (b *browser) plants(ctx context.Context) bool {
	if b.get(ctx, b.server+"/account") != nil || !tokenField.MatchString(b.body) {
		return false
	}
	if b.post(ctx, "/account/do", "action", "authenticator.enroll", "object", "totp") != nil {
		return false
	}
	return secretField.MatchString(b.body)
}

// plantsAfter is plants for the owner, who answers what is asked on the way.
func (b *browser) plantsAfter(ctx context.Context, c *drill.Canary) bool {
	if b.plants(ctx) {
		return true
	}
	return b.prove(ctx, c) == nil && secretField.MatchString(b.body)
}
