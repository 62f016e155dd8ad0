package web

import (
	"context"
	"errors"
	"fmt"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"countersign/internal/drill"
)

// replays are attackers who have what its owner has used.
type replays struct{ portal }

// replayed uses again what gave an account an authenticator: the pass, the code that binds a
// phone, and the form that finished an enrollment.
func (s replays) replayed(ctx context.Context, p *drill.Play) ([]drill.Try, error) {
	owner, err := p.Enroll(ctx)
	if err != nil {
		return nil, err
	}
	tries := []drill.Try{s.passAgain(ctx, p, owner)}
	for _, more := range []func(context.Context, *drill.Play, *drill.Canary) ([]drill.Try, error){s.bindAgain, s.finishAgain} {
		made, err := more(ctx, p, owner)
		if tries = append(tries, made...); err != nil {
			return tries, err
		}
	}
	return tries, nil
}

// passAgain types the pass that was behind the link which its owner followed.
func (s replays) passAgain(ctx context.Context, p *drill.Play, owner *drill.Canary) drill.Try {
	b := attacker(p, s.server)
	err := b.get(ctx, s.server+"/sign-in")
	if err == nil {
		err = b.post(ctx, "/welcome", "name", owner.Name, "pass", owner.Pass)
	}
	return b.tried(p, "with a pass that its owner used, typed", err == nil && strings.HasPrefix(b.at.Path, "/account"), err)
}

// bindAgain has somebody photograph the code with which an owner adds a phone, and propose a
// phone of their own for it: after the owner's phone did, and after the owner confirmed that.
func (s replays) bindAgain(ctx context.Context, p *drill.Play, owner *drill.Canary) ([]drill.Try, error) {
	b := setup{honest(p, s.server)}
	if err := b.typed(ctx, owner.Name, owner.Password, owner.Code()); err != nil {
		return nil, err
	}
	code, err := b.offered(ctx, owner)
	if err != nil {
		return nil, err
	}
	own, err := newPhone(honest(p, s.server))
	if err != nil {
		return nil, err
	}
	thief, err := newPhone(attacker(p, s.server))
	if err != nil {
		return nil, err
	}
	number, taken, err := own.binds(ctx, code)
	if err != nil || !taken {
		return nil, errors.Join(fmt.Errorf("an owner cannot bind a phone: %s", own.b.answer), err)
	}
	_, open, err := thief.binds(ctx, code)
	tries := []drill.Try{thief.b.tried(p, "a phone by a binding code that another phone used", open, err)}
	if err := b.post(ctx, "/account/setup", "authenticator", "push", "text", number); err != nil {
		return tries, err
	}
	if !open { // else the owner was shown the thief's phone
		if err := b.added("the owner's phone"); err != nil {
			return tries, err
		}
	}
	_, open, err = thief.binds(ctx, code)
	tries = append(tries, thief.b.tried(p, "a phone by a binding code that was used and confirmed", open, err))
	open, err = thief.waits(ctx)
	return append(tries, thief.b.tried(p, "a phone that proposed itself by a used code is taken for the owner's", open, err)), nil
}

// finishAgain copies the cookies of a browser in which somebody sets up a code generator, and
// sends the form that finished it again, with the generator's next code.
func (s replays) finishAgain(ctx context.Context, p *drill.Play, owner *drill.Canary) ([]drill.Try, error) {
	b := setup{honest(p, s.server)}
	if err := b.typed(ctx, owner.Name, owner.Password, owner.Code()); err != nil {
		return nil, err
	}
	if err := b.begins(ctx, owner, "hotp"); err != nil {
		return nil, err
	}
	second := &drill.Canary{Name: owner.Name}
	if err := b.seeds(second); err != nil {
		return nil, err
	}
	thief := attacker(p, s.server)
	if err := thief.copies(b.browser); err != nil {
		return nil, err
	}
	if err := b.post(ctx, "/account/setup", "authenticator", "hotp", "text", second.Code()); err != nil {
		return nil, err
	}
	if err := b.added("a second code generator"); err != nil {
		return nil, err
	}
	err := thief.post(ctx, "/account/setup", "authenticator", "hotp", "text", second.Code())
	return []drill.Try{thief.tried(p, "the form that finished an enrollment, again with the next code", thief.says("Added: "), err)}, nil
}

// copies makes a browser have the cookies and the page of another.
func (b *browser) copies(of *browser) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	u, err := url.Parse(of.server)
	if err != nil {
		return err
	}
	b.client.Jar, b.body, b.at = jar, of.body, of.at
	gives(b, of.server, of.client.Jar.Cookies(u))
	return nil
}
