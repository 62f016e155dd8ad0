package web

import (
	"context"
	"errors"
	"net/netip"
	"strings"

	"countersign/internal/drill"
)

// automation is a service account with automation keys: one that may be used from where the
// attacker is, one that may not, and one that may add members to groups.
type automation struct {
	administration
	account             *drill.Canary
	here, away, members string
}

const (
	// given is what the first two may do: it changes nothing.
	given = "account.show"
	// adding is what the third may.
	adding = "group.member.add"
)

// away is a network where nobody is (RFC 5737, TEST-NET-1).
const away = "192.0.2.0/24"

// automation issues the keys. Only in a test bed: while one is good it opens rows, and only a
// person can issue one, while a drill may be run by a key.
func (s administration) automation(ctx context.Context, p *drill.Play) (automation, error) {
	out := automation{administration: s}
	var err error
	if out.account, err = p.Service(ctx); err != nil {
		return out, err
	}
	here := "127.0.0.0/8"
	if p.From.IsValid() {
		here = netip.PrefixFrom(p.From, p.From.BitLen()).String()
	}
	for _, k := range []struct {
		key             *string
		action, network string
	}{{&out.here, given, here}, {&out.away, given, away}, {&out.members, adding, here}} {
		var issued struct{ Key string }
		in := map[string]any{"account": out.account.Name, "actions": []string{k.action}, "networks": []string{k.network}, "days": 1, "note": "a drill"}
		if err := p.Admin.Do(ctx, "key.issue", in, &issued); err != nil {
			return out, err
		}
		*k.key = issued.Key
	}
	if does, r, err := out.shows(ctx, p, out.here); err != nil || !does {
		return out, errors.Join(errors.New("an automation key does not do what it was given, so its refusals would show nothing: "+r.words), err)
	}
	return out, nil
}

// shows has a key do what it was given.
func (a automation) shows(ctx context.Context, p *drill.Play, key string) (bool, reply, error) {
	var shown struct{ Name string }
	r, err := a.call(ctx, p, "commands/"+given, key, map[string]string{"name": a.account.Name}, &shown)
	return err == nil && shown.Name == a.account.Name, r, err
}

// stolenKey uses automation keys of which not everything is right: the secret, the network, or
// that a program and no person uses it.
func (s administration) stolenKey(ctx context.Context, p *drill.Play, _ *drill.Canary) ([]drill.Try, error) {
	if p.Bed == nil || p.Down || p.Unguarded {
		return nil, nil
	}
	a, err := s.automation(ctx, p)
	if err != nil {
		return nil, err
	}
	var tries []drill.Try
	cut := strings.LastIndex(a.here, "_") + 1
	for _, x := range []struct{ name, key string }{
		{"an automation key with another secret", a.here[:cut] + strings.Repeat("a", len(a.here)-cut)},
		{"an automation key with the secret of another", a.here[:cut] + a.away[strings.LastIndex(a.away, "_")+1:]},
		{"an automation key from a network that it is not for", a.away},
	} {
		open, r, err := a.shows(ctx, p, x.key)
		tries = append(tries, r.tried(p, x.name, open, err))
	}
	b := attacker(p, s.server)
	in, err := b.enters(ctx, b.typed(ctx, a.account.Name, a.here, ""))
	tries = append(tries, b.tried(p, "an automation key as a password at the portal", in, err))
	b = attacker(p, s.server)
	b.headers = map[string][]string{"Authorization": {"Bearer " + a.here}}
	in, err = b.inside(ctx)
	return append(tries, b.tried(p, "an automation key as the session of a browser", in, err)), nil
}

// foothold has a key make an account, which it was not given.
func (a automation) foothold(ctx context.Context, p *drill.Play) drill.Try {
	name := strings.Replace(a.account.Name, "canary", "foothold", 1)
	p.Remove(name)
	r, err := a.call(ctx, p, "commands/account.create", a.here, map[string]string{"name": name}, nil)
	made, broken := exists(ctx, p, name)
	return r.tried(p, "an automation key makes an account, which it was not given", made, errors.Join(err, broken))
}

// accomplice has keys make somebody an administrator: one that may add nobody to a group, and
// one that may, which is not enough for that.
func (a automation) accomplice(ctx context.Context, p *drill.Play, friend *drill.Canary) (tries []drill.Try) {
	for _, k := range []struct{ name, key string }{{"an automation key adds an administrator, which it was not given", a.here}, {"an automation key that may add members adds an administrator", a.members}} {
		r, err := a.call(ctx, p, "commands/"+adding, k.key, map[string]string{"group": "administrators", "account": friend.Name}, nil)
		tries = append(tries, added(ctx, p, k.name, friend, r.words, err))
	}
	return tries
}
