package wire

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"countersign/internal/drill"
	"countersign/internal/drill/web"
	"countersign/internal/failure"
)

// Radius is an application of the protocol RADIUS, as its equipment meets it.
type Radius struct {
	// Application is the name of the application.
	Application string
	// Address is HOST:PORT, Secret the shared secret of a client at this address.
	Address, Secret string
	// From is the address of this machine that the application knows as its client. Zero
	// is any: honest people come from the usual one, attackers from the stage's.
	From netip.Addr
	// Mode, Separator and CodeDigits are the application's settings, and BindClient its
	// setting "bind": "client", by which equipment may change its NAS-Identifier within
	// a sign-in.
	Mode       Mode
	Separator  string
	CodeDigits int
	BindClient bool
	// Owners is where owners approve what waits.
	Owners web.Server
	// Peers are other applications of the same server. What they hand out is no good here.
	Peers []Radius

	heard *heard
	tap   *tap
}

// Components are applications of one server, each with the others as its peers.
func Components(all ...Radius) []drill.Component {
	var out []drill.Component
	for i, s := range all {
		for k, peer := range all {
			if k != i {
				s.Peers = append(s.Peers[:len(s.Peers):len(s.Peers)], peer)
			}
		}
		out = append(out, s.Component())
	}
	return out
}

// Component is the application as a component of a stage. Where the equipment checks the
// password, whoever has that and nothing else has nothing to send: there it has no door.
func (s Radius) Component() drill.Component {
	c := drill.Component{Kind: drill.Radius, Application: s.Application, Name: s.name(), Check: s.check,
		Moves: map[drill.Move]drill.Attack{
			drill.Replay: s.replay, drill.RaceCodes: guesses{s}.race, drill.GuessCodes: guesses{s}.guessCodes, drill.ShippedSecrets: s.shippedSecrets,
			drill.MadeUp: forger{s}.madeUp, drill.ComeBack: s.comeBack, drill.Bombard: flooder{s}.bombard,
		}}
	if s.mode() != CodeOnly {
		c.Doors = []drill.Door{{Name: s.name(), Guess: s.guess}}
	}
	if s.mode() != Wait { // which lets nobody in, because it can show no number first
		c.Enter = s.enter
	}
	return c
}

// name is what a report calls it.
func (s Radius) name() string {
	if s.Application == "" {
		return "RADIUS"
	}
	return "RADIUS for " + s.Application
}

// check asks whether the server knows this client and its secret, by a Status-Server, which
// guesses nothing (RFC 5997).
func (s Radius) check(ctx context.Context) error {
	o, err := s.open(ctx, &drill.Play{Stage: drill.Stage{Patience: checking}}, false)
	if err != nil {
		return fmt.Errorf("%s cannot be asked from here: %w", s.name(), err)
	}
	defer o.close()
	r, err := o.probe(ctx, ask{code: statusServer, secret: s.Secret}.packet(), s.Secret)
	if err != nil {
		return fmt.Errorf("%s: %w; set it right", s.name(), err)
	}
	if r.code == silence {
		return fmt.Errorf("%s does not answer at %s: make this machine's address a client of the application, with the secret that the drill was given", s.name(), s.Address)
	}
	return nil
}

// checking is for how long the answer to a Status-Server is waited for.
const checking = 4 * time.Second

// enter signs somebody else in than whoever was attacked: their codes may rightly have
// been switched off.
func (s Radius) enter(ctx context.Context, p *drill.Play, _ *drill.Canary) error {
	if s.digits() != 6 && s.mode() == Appended && s.Separator == "" {
		return fmt.Errorf("the codes of this application have %d digits, and those of a canary 6", s.digits())
	}
	other, err := p.Enroll(ctx)
	if err != nil {
		return err
	}
	r, err := s.says(ctx, p, other.Name, s.lines(other.Password, other.Code()), false)
	if err == nil && r.code != accessAccept {
		err = errors.New(r.words())
	}
	if err != nil {
		return fmt.Errorf("another person does not get in by RADIUS with all that is right (%w)", err)
	}
	return nil
}

// tried is what came of a try whose last reply is this one.
func (s Radius) tried(p *drill.Play, name string, r reply, err error) drill.Try {
	t := p.Tried("RADIUS, "+name, r.code == accessAccept, err)
	if err == nil {
		t.Answer = r.words()
	}
	return t
}

// guess tries the password alone, as the code, and twice.
func (s Radius) guess(ctx context.Context, p *drill.Play, g *drill.Guess) []drill.Try {
	r, err := s.ask(ctx, p, ask{name: g.Name, password: g.Password}, true)
	tries := []drill.Try{s.tried(p, "the password", r, err)}
	if s.mode() == Wait {
		return tries
	}
	if r.code == accessChallenge {
		again, err := s.ask(ctx, p, ask{name: g.Name, password: g.Password, state: r.state}, true)
		tries = append(tries, s.tried(p, "the password as the code", again, err))
	}
	twice, err := s.ask(ctx, p, ask{name: g.Name, password: g.Password + s.Separator + g.Password}, true)
	return append(tries, s.tried(p, "the password twice", twice, err))
}

// comeBack signs in with all that is right.
func (s Radius) comeBack(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	r, err := s.says(ctx, p, c.Name, s.lines(c.Password, c.Code()), true)
	return []drill.Try{s.tried(p, "all that is right", r, err)}, nil
}

// shippedSecrets are what equipment is shipped with.
func (s Radius) shippedSecrets(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	var tries []drill.Try
	for _, secret := range []string{"testing123", "secret", "radius"} {
		o, err := s.open(ctx, p, true)
		if err != nil {
			return tries, err
		}
		r, err := o.probe(ctx, ask{name: c.Name, password: c.Password, secret: secret}.packet(), secret)
		o.close()
		if errors.Is(err, errUnverified) {
			err = nil // somebody answered who does not know this secret
		}
		t := p.Tried("RADIUS with the shared secret "+secret, r.code != silence, err)
		t.Answer = r.words()
		tries = append(tries, t)
	}
	if s.mode() == CodeOnly { // the log knows nobody of the others
		r, err := s.says(ctx, p, c.Name, []string{"000000"[:min(s.digits(), 6)]}, true)
		tries = append(tries, s.tried(p, "a code that generators are shown with", r, err))
	}
	if p.Bed != nil && !p.Down && !p.Unguarded {
		tries = append(tries, s.saved(ctx, p, "testing123testing123"))
	}
	return tries, nil
}

// saved has an administrator give an application such a secret, which is refused before
// anything is saved.
func (s Radius) saved(ctx context.Context, p *drill.Play, secret string) drill.Try {
	name := strings.ToLower("drill-" + rand.Text()[:8])
	err := p.Admin.Do(ctx, "application.set", map[string]any{"name": name, "kind": "vpn", "tier": "standard", "protocol": "radius",
		"settings": map[string]any{"clients": []any{map[string]any{"name": "drill", "networks": []string{"192.0.2.1/32"}, "secret": secret}}}}, nil)
	open := err == nil
	if open {
		p.Admin.Do(ctx, "application.remove", map[string]string{"name": name}, nil) //nolint:errcheck // it is the bed's
	}
	if failure.ClassOf(err) == failure.Invalid {
		err = nil
	}
	t := p.Tried("RADIUS, an application with the shared secret "+secret, open, err)
	t.Answer = map[bool]string{true: "it was saved", false: "it was refused"}[open]
	return t
}

var (
	errNotIn    = errors.New("the honest sign-in that was to be listened to did not succeed")
	errNotAsked = errors.New("the right password leads to no challenge")
)
