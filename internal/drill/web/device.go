package web

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"countersign/internal/drill"
	"countersign/internal/virtualauth"
)

// registerDevice tries to enroll the attacker's own authenticator.
func (s portal) registerDevice(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	// With the password alone.
	b := attacker(p, s.server)
	open, err := b.plantsAs(ctx, c, "")
	tries := []drill.Try{b.tried(p, "with the password alone", open, err)}
	if p.Down {
		return tries, nil
	}
	// A welcome link for the second time.
	used := attacker(p, s.server)
	if open, err = used.welcome(ctx, c.Link); open {
		open, err = used.plants(ctx)
	}
	tries = append(tries, used.tried(p, "with a welcome link that was used", open, err))
	// A session whose proof is long ago.
	if p.Bed != nil {
		p.Bed.Later(30 * time.Minute)
		stolen := kept(p, s.server, c)
		open, err = stolen.plants(ctx)
		tries = append(tries, stolen.tried(p, "with a stolen session of half an hour ago", open, err))
	}
	if !p.Unguarded {
		for _, more := range []func(context.Context, *drill.Play) ([]drill.Try, error){s.passwordOnly, s.suspended, s.asleep, s.late, replays{s}.replayed, s.registerElsewhere, s.ownerIsTold} {
			made, err := more(ctx, p)
			if tries = append(tries, made...); err != nil {
				return tries, err
			}
		}
		return tries, nil
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
	return append(tries, fresh.tried(p, "with both factors just shown, which is the owner", open, err)), nil
}

// passwordOnly tries it on an account that has nothing but its password yet: the pass was
// used, and whoever it was for did not finish.
func (s portal) passwordOnly(ctx context.Context, p *drill.Play) ([]drill.Try, error) {
	half, err := p.Account(ctx)
	if err != nil {
		return nil, err
	}
	owner := honest(p, s.server)
	if led, err := owner.welcome(ctx, half.Link); err != nil || !led {
		return nil, errors.Join(errors.New("a new account's link leads nowhere"), err)
	}
	if err := (setup{owner}).setPassword(ctx, half); err != nil {
		return nil, err
	}
	b := attacker(p, s.server)
	open, err := b.plantsAs(ctx, half, "")
	return []drill.Try{b.tried(p, "with the password of an account that has nothing else yet", open, err)}, nil
}

// suspended tries it on accounts that were suspended, with everything that is right, and with
// a link that was not used yet.
func (s portal) suspended(ctx context.Context, p *drill.Play) ([]drill.Try, error) {
	asleep, err := p.Enroll(ctx)
	if err != nil {
		return nil, err
	}
	invited, err := p.Account(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range []*drill.Canary{asleep, invited} {
		if err := p.Admin.Do(ctx, "account.suspend", map[string]string{"name": c.Name, "reason": "a drill"}, nil); err != nil {
			return nil, err
		}
	}
	tries := s.withAll(ctx, p, "a suspended account", asleep)
	b := attacker(p, s.server)
	if err = b.get(ctx, s.server+"/sign-in"); err == nil {
		err = b.passkey(ctx, asleep.Key)
	}
	open, err := b.enters(ctx, err)
	tries = append(tries, b.tried(p, "the portal on a suspended account with its passkey", open, err))
	stolen, welcomed := kept(p, s.server, asleep), attacker(p, s.server)
	open, err = stolen.plants(ctx)
	tries = append(tries, stolen.tried(p, "on a suspended account with its session", open, err))
	open, err = welcomed.welcome(ctx, invited.Link)
	return append(tries, welcomed.tried(p, "on a suspended account with a link that nobody used", open, err)), nil
}

// unusedFor is longer than an account may go unused by default.
const unusedFor = 31 * 24 * time.Hour

// asleep tries it on an account that nobody used for a month, with everything that is right.
func (s portal) asleep(ctx context.Context, p *drill.Play) ([]drill.Try, error) {
	if p.Bed == nil {
		return nil, nil
	}
	forgotten, err := p.Enroll(ctx)
	if err != nil {
		return nil, err
	}
	p.Bed.Later(unusedFor)
	defer p.Bed.Later(-unusedFor)
	return s.withAll(ctx, p, "an account that nobody used for a month", forgotten), nil
}

// late follows a link for the second time, when nothing came of the first, and one after its
// hour.
func (s portal) late(ctx context.Context, p *drill.Play) ([]drill.Try, error) {
	invited, err := p.Account(ctx)
	if err != nil {
		return nil, err
	}
	if led, err := honest(p, s.server).welcome(ctx, invited.Link); err != nil || !led {
		return nil, errors.Join(errors.New("a new account's link leads nowhere"), err)
	}
	b := attacker(p, s.server)
	open, err := b.welcome(ctx, invited.Link)
	tries := []drill.Try{b.tried(p, "with a link that its owner used, from another address", open, err)}
	if p.Bed == nil {
		return tries, nil
	}
	if invited, err = p.Account(ctx); err != nil {
		return nil, err
	}
	var pass struct {
		Code string `json:"code"`
		Link string `json:"link"`
	}
	if err := p.Admin.Do(ctx, "pass.issue", map[string]any{"account": invited.Name, "note": "a drill"}, &pass); err != nil {
		return nil, err
	}
	p.Bed.Later(61 * time.Minute)
	b = attacker(p, s.server)
	open, err = b.welcome(ctx, pass.Link)
	tries = append(tries, b.tried(p, "with a link that was not used in its hour", open, err))
	b = attacker(p, s.server)
	if err = b.get(ctx, s.server+"/sign-in"); err == nil {
		err = b.post(ctx, "/welcome", "name", invited.Name, "pass", pass.Code)
	}
	return append(tries, b.tried(p, "with a pass that was not used in its hour", err == nil && strings.HasPrefix(b.at.Path, "/account"), err)), nil
}

// registerElsewhere passes a registration on to a page of another name, on which a browser
// that asks nobody makes the passkey.
func (s portal) registerElsewhere(ctx context.Context, p *drill.Play) ([]drill.Try, error) {
	owner, err := p.Enroll(ctx)
	if err != nil {
		return nil, err
	}
	b := honest(p, s.server)
	if err := b.typed(ctx, owner.Name, owner.Password, owner.Code()); err != nil {
		return nil, err
	}
	if err := b.get(ctx, s.server+"/account"); err != nil {
		return nil, err
	}
	if err := b.post(ctx, "/account/do", "action", "authenticator.enroll", "object", "passkey"); err != nil {
		return nil, err
	}
	options, err := b.options()
	if err != nil {
		return nil, err
	}
	careless := &virtualauth.Key{}
	careless.Lie.Disobey = true
	answer, err := careless.Create("https://countersign.example", options)
	if err != nil {
		return nil, err
	}
	err = b.post(ctx, "/account/setup", "authenticator", "passkey", "data", string(answer))
	return []drill.Try{b.tried(p, "a passkey that was made on a page of another name", b.says("Added: "), err)}, nil
}

// ownerIsTold enrolls something, and reads the owner's mail.
func (s portal) ownerIsTold(ctx context.Context, p *drill.Play) ([]drill.Try, error) {
	if p.Bed == nil {
		return nil, nil
	}
	owner, err := p.Enroll(ctx)
	if err != nil {
		return nil, err
	}
	read, err := p.Bed.Mailbox(ctx, owner.Name)
	if err != nil {
		return nil, err
	}
	b := honest(p, s.server)
	if err := b.typed(ctx, owner.Name, owner.Password, owner.Code()); err != nil {
		return nil, err
	}
	if err := (setup{b}).setPasskey(ctx, &drill.Canary{Name: owner.Name, Key: &virtualauth.Key{}}); err != nil {
		return nil, err
	}
	mails, err := read(ctx)
	told := slices.ContainsFunc(mails, func(subject string) bool { return strings.HasPrefix(subject, "A new way to sign in") })
	return []drill.Try{mailed(p, "the owner is not told of a new authenticator", mails, err == nil && !told, err)}, nil
}

// mailed is open where the owner's mailbox lacks what should be in it.
func mailed(p *drill.Play, name string, mails []string, open bool, err error) drill.Try {
	t := p.Tried(name, open, err)
	t.Answer = fmt.Sprintf("%d mails: %s", len(mails), strings.Join(mails, "; "))
	return t
}

// plantsAs is plants after signing in, as far as that goes.
func (b *browser) plantsAs(ctx context.Context, c *drill.Canary, code string) (bool, error) {
	if err := b.typed(ctx, c.Name, c.Password, code); err != nil {
		return false, err
	}
	return b.plants(ctx)
}

// withAll signs in with password and code, and enrolls a device with as many codes as are
// asked for.
func (s portal) withAll(ctx context.Context, p *drill.Play, what string, c *drill.Canary) []drill.Try {
	b := attacker(p, s.server)
	in, err := b.enters(ctx, b.typed(ctx, c.Name, c.Password, c.Code()))
	tries := []drill.Try{b.tried(p, "the portal on "+what+" with password and code", in, err)}
	open, err := b.plantsAfter(ctx, c)
	return append(tries, b.tried(p, "on "+what+" with password and code", open, err))
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
