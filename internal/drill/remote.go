package drill

import (
	"context"
	"crypto/rand"
)

// remoteService is a VPN's door: everything that equipment could be made to ask.
func remoteService(ctx context.Context, s *scene) ([]Door, error) {
	c := s.canary
	var doors []Door
	try := func(name string, a ask) reply {
		a.name = c.name
		r, err := s.radius(ctx, a)
		doors = append(doors, Door{name, r.code == accessAccept, errText(err)})
		return r
	}
	first := try("the password alone", ask{password: c.password})
	try("no password", ask{password: ""})
	try("a guessed code", ask{password: "123456", state: first.state})
	state := make([]byte, 27)
	rand.Read(state)
	try("a code with a made-up State", ask{password: "123456", state: state})
	try("the password with a code behind it", ask{password: c.password + "123456"})
	bare := ask{name: c.name, password: c.password, secret: s.Secret, bare: true}
	r, err := s.sendFor(ctx, bare.packet(), s.Secret, true, s.Patience)
	doors = append(doors, Door{"a request without Message-Authenticator is answered", err == nil && r.code != silence, errText(err)})
	foreign := ask{name: c.name, password: c.password, secret: "another secret"}
	r, err = s.sendFor(ctx, foreign.packet(), "another secret", true, s.Patience)
	doors = append(doors, Door{"a client with another secret is answered", err == nil && r.code != silence, ""})
	return doors, nil
}

// sniff listens to a whole sign-in, on each protocol, and plays it again.
func sniff(ctx context.Context, s *scene) ([]Door, error) {
	var doors []Door
	victim := s.canary
	if !s.down {
		var err error
		if victim, err = s.enroll(ctx); err != nil {
			return nil, err
		}
	}
	// A browser: the forms that were sent, without the cookie that came back,
	// which never crosses the network in the clear.
	heard := s.browse(false)
	if err := heard.typed(ctx, victim.name, victim.password, victim.code()); err == nil && !s.down && !heard.inside(ctx) {
		return nil, errNotIn
	}
	thief := s.browse(true)
	if thief.get(ctx, s.Server+"/sign-in") == nil {
		for _, f := range heard.sent {
			if m := tokenField.FindStringSubmatch(thief.body); m != nil {
				f.values.Set("form-token", m[1])
			}
			if thief.do(ctx, "POST", thief.server+f.path, f.values) != nil {
				break
			}
		}
	}
	doors = append(doors, Door{"the sign-in pages, every form again", thief.inside(ctx), ""})
	if s.Radius == "" {
		return doors, nil
	}
	// RADIUS: both datagrams, from another port as everybody else's are.
	one := ask{name: victim.name, password: victim.password, secret: s.Secret}.packet()
	r, err := s.send(ctx, one, s.Secret, false)
	if err != nil {
		return doors, err
	}
	two := ask{name: victim.name, password: victim.code(), state: r.state, secret: s.Secret}.packet()
	if r, err = s.send(ctx, two, s.Secret, false); err != nil {
		return doors, err
	}
	if r.code != accessAccept && !s.down && !s.unguarded {
		return doors, errNotIn
	}
	again, err := s.send(ctx, one, s.Secret, true)
	doors = append(doors, Door{"RADIUS, the first datagram again", err == nil && again.code == accessAccept, errText(err)})
	again, err = s.send(ctx, two, s.Secret, true)
	doors = append(doors, Door{"RADIUS, the second datagram again", err == nil && again.code == accessAccept, errText(err)})
	code := ask{name: victim.name, password: victim.password, secret: s.Secret}
	if again, err = s.send(ctx, code.packet(), s.Secret, true); err == nil && again.code == accessChallenge {
		victim.counter--
		again, err = s.send(ctx, ask{name: victim.name, password: victim.code(), state: again.state, secret: s.Secret}.packet(), s.Secret, true)
	}
	return append(doors, Door{"RADIUS, the code that was heard in a sign-in of one's own", err == nil && again.code == accessAccept, errText(err)}), nil
}
