package wire

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"countersign/internal/drill"
	"countersign/internal/drill/web"
)

// Radius is a RADIUS server.
type Radius struct {
	// Address is HOST:PORT, Secret the shared secret of a client at this address.
	Address, Secret string
	// Owners is where owners approve what waits.
	Owners web.Server
}

// Component is the server as a component of a stage.
func (s Radius) Component() drill.Component {
	return drill.Component{Kind: drill.Radius, Name: "RADIUS",
		Doors: []drill.Door{{Name: "RADIUS", Guess: s.guess}},
		Moves: map[drill.Move]drill.Attack{
			drill.Replay: s.replay, drill.RaceCodes: s.race, drill.ShippedSecrets: s.shippedSecrets, drill.MadeUp: s.madeUp, drill.ComeBack: s.comeBack,
			drill.FailOpen: s.failOpen, drill.Bombard: s.bombard,
		},
		Enter: s.enter}
}

// enter signs somebody else in than whoever was attacked: their codes may rightly have
// been switched off.
func (s Radius) enter(ctx context.Context, p *drill.Play, _ *drill.Canary) error {
	other, err := p.Enroll(ctx)
	if err != nil {
		return err
	}
	if in, err := s.vpn(ctx, p, other.Name, other.Password, other.Code()); err != nil || !in {
		return fmt.Errorf("another person does not get in by RADIUS with password and code (%v)", err)
	}
	return nil
}

// guess tries the password alone, as the code, and twice.
func (s Radius) guess(ctx context.Context, p *drill.Play, g *drill.Guess) []drill.Try {
	r, err := s.radius(ctx, p, ask{name: g.Name, password: g.Password})
	tries := []drill.Try{p.Tried("RADIUS with the password", r.code == accessAccept, err)}
	if r.code == accessChallenge {
		again, err := s.radius(ctx, p, ask{name: g.Name, password: g.Password, state: r.state})
		tries = append(tries, p.Tried("RADIUS with the password as the code", again.code == accessAccept, err))
	}
	twice, err := s.radius(ctx, p, ask{name: g.Name, password: g.Password + g.Password})
	tries = append(tries, p.Tried("RADIUS with the password twice", twice.code == accessAccept, err))
	return tries
}

// race guesses many codes at once, and then sends one right code many
// times at once: it is one sign-in at most.
func (s Radius) race(ctx context.Context, p *drill.Play, victim *drill.Canary) ([]drill.Try, error) {
	through, err := atOnce(func(i int) (bool, error) {
		r, err := s.radius(ctx, p, ask{name: victim.Name, password: victim.Password})
		if err != nil || r.code != accessChallenge {
			return false, err
		}
		r, err = s.radius(ctx, p, ask{name: victim.Name, password: fmt.Sprintf("%06d", i*61_237%1_000_000), state: r.state})
		return r.code == accessAccept, err
	})
	tries := []drill.Try{p.Tried("RADIUS with 16 guessed codes at once", through > 0, err)}
	if p.Down {
		return tries, nil
	}
	other, err := p.Enroll(ctx)
	if err != nil {
		return tries, err
	}
	code := other.Code()
	through, err = atOnce(func(int) (bool, error) { return s.vpn(ctx, p, other.Name, other.Password, code) })
	last := p.Tried("RADIUS with one right code 16 times at once", through > 1, err)
	if err == nil {
		last.Detail = fmt.Sprintf("%d accepted", through)
	}
	return append(tries, last), nil
}

// atOnce does something 16 times at once, and counts what got through. An error is the
// first that there was.
func atOnce(do func(i int) (bool, error)) (through int, _ error) {
	var mu sync.Mutex
	var failed error
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			in, err := do(i)
			mu.Lock()
			defer mu.Unlock()
			if in {
				through++
			}
			if failed == nil {
				failed = err
			}
		})
	}
	all.Wait()
	return through, failed
}

// shippedSecrets are what equipment is shipped with.
func (s Radius) shippedSecrets(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	var tries []drill.Try
	for _, secret := range []string{"testing123", "secret", "radius"} {
		r, err := s.sendFor(ctx, p, ask{name: c.Name, password: c.Password, secret: secret}.packet(), secret, true, p.Patience)
		if errors.Is(err, errUnverified) {
			err = nil // somebody answered who does not know this secret
		}
		tries = append(tries, p.Tried("RADIUS with the shared secret "+secret, r.code != silence, err))
	}
	return tries, nil
}

// madeUp is everything that equipment could be made to ask.
func (s Radius) madeUp(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	var tries []drill.Try
	try := func(name string, a ask) reply {
		a.name = c.Name
		r, err := s.radius(ctx, p, a)
		tries = append(tries, p.Tried(name, r.code == accessAccept, err))
		return r
	}
	first := try("the password alone", ask{password: c.Password})
	try("no password", ask{password: ""})
	try("a guessed code", ask{password: "123456", state: first.state})
	state := make([]byte, 27)
	rand.Read(state)
	try("a code with a made-up State", ask{password: "123456", state: state})
	try("the password with a code behind it", ask{password: c.Password + "123456"})
	bare := ask{name: c.Name, password: c.Password, secret: s.Secret, bare: true}
	answered, err := s.answers(ctx, p, bare)
	tries = append(tries, p.Tried("a request without Message-Authenticator is answered", answered, err))
	foreign := ask{name: c.Name, password: c.Password, secret: "another secret"}
	answered, err = s.answers(ctx, p, foreign)
	return append(tries, p.Tried("a client with another secret is answered", answered, err)), nil
}

// answers reports whether anything at all comes back, under whatever secret.
func (s Radius) answers(ctx context.Context, p *drill.Play, a ask) (bool, error) {
	r, err := s.sendFor(ctx, p, a.packet(), a.secret, true, p.Patience)
	if errors.Is(err, errUnverified) || errors.Is(err, errMalformed) {
		return true, nil
	}
	return r.code != silence, err
}

// replay sends both datagrams of a sign-in again, from another port as everybody else's
// are, and uses the code that was heard.
func (s Radius) replay(ctx context.Context, p *drill.Play, victim *drill.Canary) ([]drill.Try, error) {
	var tries []drill.Try
	one := ask{name: victim.Name, password: victim.Password, secret: s.Secret}.packet()
	r, err := s.send(ctx, p, one, s.Secret, false)
	if err != nil {
		return tries, err
	}
	two := ask{name: victim.Name, password: victim.Code(), state: r.state, secret: s.Secret}.packet()
	if r, err = s.send(ctx, p, two, s.Secret, false); err != nil {
		return tries, err
	}
	if r.code != accessAccept && !p.Down && !p.Unguarded {
		return tries, errNotIn
	}
	again, err := s.send(ctx, p, one, s.Secret, true)
	tries = append(tries, p.Tried("RADIUS, the first datagram again", again.code == accessAccept, err))
	again, err = s.send(ctx, p, two, s.Secret, true)
	tries = append(tries, p.Tried("RADIUS, the second datagram again", again.code == accessAccept, err))
	code := ask{name: victim.Name, password: victim.Password, secret: s.Secret}
	if again, err = s.send(ctx, p, code.packet(), s.Secret, true); err == nil && again.code == accessChallenge {
		again, err = s.send(ctx, p, ask{name: victim.Name, password: victim.Heard(), state: again.state, secret: s.Secret}.packet(), s.Secret, true)
	}
	return append(tries, p.Tried("RADIUS, the code that was heard in a sign-in of one's own", again.code == accessAccept, err)), nil
}

// comeBack signs in with all that is right.
func (s Radius) comeBack(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	r, err := s.radius(ctx, p, ask{name: c.Name, password: c.Password + c.Code()})
	return []drill.Try{p.Tried("RADIUS with password and code", r.code == accessAccept, err)}, nil
}

// failOpen is a reference agent, which lets people in when its verifier does not
// answer: there the tricks work.
func (s Radius) failOpen(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	s.Address = "127.0.0.1:9" // where nothing listens
	r, err := s.radius(ctx, p, ask{name: c.Name, password: c.Password})
	return []drill.Try{{Name: "a reference agent that opens when its verifier is away", Open: err != nil || r.code == 0, Detail: errText(err)}}, nil
}

var errNotIn = errors.New("the honest sign-in that was to be listened to did not succeed")

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
