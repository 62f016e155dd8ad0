package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"countersign/internal/admin/nouns"
	"countersign/internal/authenticator/otp"
	"countersign/internal/prompt"
	"countersign/internal/server"
	"countersign/internal/signin"
	"countersign/internal/virtualauth"
)

// clock can be set to a moment that has passed.
type clock struct{ behind atomic.Int64 }

func (c *clock) now() time.Time        { return time.Now().Add(-time.Duration(c.behind.Load())) }
func (c *clock) set(t time.Time)       { c.behind.Store(int64(time.Since(t))) }
func (c *clock) later(d time.Duration) { c.behind.Add(-int64(d)) }

// answering is what somebody types or presses when they are asked, with what they are shown.
type answering func(asked json.RawMessage) (prompt.Answer, error)

// actor is an invented person with what they sign in with.
type actor struct {
	player
	from    netip.Addr
	key     *virtualauth.Key // a passkey in software; nil for none
	pass    string           // until the first authenticator is set up
	session string
	used    int64 // the step of the last code
	// has is how they answer what is asked, by the kind that asks.
	has map[string]answering
}

// play is an installation in the past, and its people.
type play struct {
	*clock
	in     *server.Installation
	origin string
	cast   map[string]*actor
}

// code is the next code of somebody's app. One that was used is refused, so the clock
// moves on to the next.
func (p *play) code(a *actor) string {
	seconds := int64(step / time.Second)
	if n := p.now().Unix() / seconds; n <= a.used {
		p.later(time.Duration(a.used+1-n) * step)
	}
	a.used = p.now().Unix() / seconds
	k := otp.Key{Algorithm: otp.SHA1, Digits: 6, Secret: a.Secret}
	return k.Code(uint64(a.used))
}

var errStuck = errors.New("nobody can answer what is asked")

// proves has somebody answer until the engine grants what they want, or refuses it.
func (p *play) proves(ctx context.Context, a *actor, r signin.Request) (signin.Step, error) {
	r.Name, r.Source, r.Medium = a.Name, a.from, prompt.Browser
	if r.Protocol == "" {
		r.Protocol = "browser"
	}
	switch {
	case a.pass != "":
		r.Opening = []prompt.Answer{{Authenticator: "accesspass", Text: a.pass}}
	case a.key == nil:
		r.Opening = []prompt.Answer{{Authenticator: "password", Text: a.Password}}
	}
	step, err := p.in.Engine.Begin(ctx, r)
	for tries := 0; err == nil && step.State == signin.Ask && tries < 4; tries++ {
		i := slices.IndexFunc(step.Prompts, func(q prompt.Prompt) bool { return a.has[q.Authenticator] != nil })
		if i < 0 || step.Again {
			return step, fmt.Errorf("%s for %s %s: %w", a.Name, r.Application, r.Action, errStuck)
		}
		ask := step.Prompts[i]
		answer, wrong := a.has[ask.Authenticator](ask.Data)
		if wrong != nil {
			return step, wrong
		}
		answer.Authenticator = ask.Authenticator
		step, err = p.in.Engine.Answer(ctx, step.Ticket, signin.Reply{Answer: answer, Source: a.from})
	}
	return step, err
}

// grant is the engine's yes to somebody who answers what is asked.
func (p *play) grant(ctx context.Context, a *actor, r signin.Request) (signin.Grant, error) {
	step, err := p.proves(ctx, a, r)
	if err != nil {
		return signin.Grant{}, err
	}
	if step.State != signin.Granted {
		return signin.Grant{}, fmt.Errorf("%s is not let in to %s %s: %s %s", a.Name, r.Application, r.Action, step.State, step.Reason)
	}
	return p.in.Engine.Claim(ctx, step.Ticket, r.Application, r.Action, r.Object)
}

// signsIn has somebody sign in to the pages, in a new session.
func (p *play) signsIn(ctx context.Context, name, agent string) error {
	a := p.cast[name]
	g, err := p.grant(ctx, a, signin.Request{Application: signin.Self, Action: signin.SignIn})
	if err != nil {
		return err
	}
	a.session, err = p.in.Sessions.Start(ctx, g, agent)
	return err
}

// visits has somebody sign in to an application.
func (p *play) visits(ctx context.Context, name, application, protocol, path string) error {
	r := signin.Request{Application: application, Action: signin.SignIn, Protocol: protocol}
	if path != "" {
		r.Method, r.Path = "GET", path
	}
	_, err := p.grant(ctx, p.cast[name], r)
	return err
}

// errs has somebody type what is wrong, as the log then says.
func (p *play) errs(ctx context.Context, name, password, code string, from netip.Addr) error {
	opening := []prompt.Answer{{Authenticator: "password", Text: password}}
	if code != "" {
		opening = append(opening, prompt.Answer{Authenticator: "totp", Text: code})
	}
	step, err := p.in.Engine.Begin(ctx, signin.Request{Application: signin.Self, Action: signin.SignIn, Name: name, Source: from, Protocol: "browser", Medium: prompt.Browser, Opening: opening})
	if err == nil && step.State == signin.Granted {
		return fmt.Errorf("a wrong answer of %s was taken", name)
	}
	return err
}

// does has an administrator do a command.
func (p *play) does(ctx context.Context, name, action string, in map[string]any) (any, error) {
	spec, ok := nouns.Commands().Find(action)
	if !ok {
		return nil, fmt.Errorf("there is no command %s", action)
	}
	cmd := spec.New()
	b, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, cmd); err != nil {
		return nil, err
	}
	if err := p.in.Admin.Prepare(ctx, cmd); err != nil {
		return nil, err
	}
	g, err := p.inSession(ctx, p.cast[name], cmd.Action(), cmd.Object())
	if err != nil {
		return nil, err
	}
	return p.in.Admin.Do(ctx, g, cmd)
}

// inSession is the engine's yes to an action under somebody's session where its proofs are
// fresh enough, and else after they signed in once more.
func (p *play) inSession(ctx context.Context, a *actor, action, object string) (signin.Grant, error) {
	for range 2 {
		if a.session != "" {
			step, err := p.in.Engine.Check(ctx, signin.Request{Application: signin.Self, Action: action, Object: object, Session: a.session, Source: a.from, Protocol: "browser", Medium: prompt.Browser})
			if err != nil || step.State == signin.Granted {
				return step.Grant, err
			}
		}
		if err := p.signsIn(ctx, a.Name, office); err != nil {
			return signin.Grant{}, err
		}
	}
	return signin.Grant{}, fmt.Errorf("%s may not do %s", a.Name, action)
}

// arrives has somebody with a pass set up how they sign in.
func (p *play) arrives(ctx context.Context, a *actor, kinds ...string) error {
	g, err := p.grant(ctx, a, signin.Request{Application: signin.Self, Action: "authenticator.enroll", Object: signin.SettingUp})
	if err != nil {
		return err
	}
	if a.session, err = p.in.Sessions.Start(ctx, g, office); err != nil {
		return err
	}
	a.pass = ""
	return p.setsUp(ctx, a, kinds...)
}

// setsUp has somebody add authenticators, in their session.
func (p *play) setsUp(ctx context.Context, a *actor, kinds ...string) error {
	for _, kind := range kinds {
		g, err := p.inSession(ctx, a, "authenticator.enroll", kind)
		if err != nil {
			return err
		}
		if err := p.enrolls(ctx, a, g, kind); err != nil {
			return fmt.Errorf("%s sets up %s: %w", a.Name, kind, err)
		}
	}
	return nil
}

// enrolls takes an offer up: what is shown is answered as its kind is, from then on, too.
func (p *play) enrolls(ctx context.Context, a *actor, g signin.Grant, kind string) error {
	offer, err := p.in.Enrolled.Enrollments.Begin(ctx, g, kind)
	if err != nil {
		return err
	}
	first, then, err := p.takesUp(a, offer.Prompt.Data)[kind]()
	if err != nil {
		return err
	}
	first.Authenticator = kind
	if a.has == nil {
		a.has = map[string]answering{}
	}
	a.has[kind] = then
	_, err = p.in.Enrolled.Enrollments.Finish(ctx, g, offer.Ticket, first, "")
	return err
}

// taken is an answer to an offer, and how to answer from then on.
type taken func() (first prompt.Answer, then answering, err error)

// takesUp is how somebody takes up what is shown, by kind.
func (p *play) takesUp(a *actor, shown json.RawMessage) map[string]taken {
	types := func(json.RawMessage) (prompt.Answer, error) { return prompt.Answer{Text: a.Password}, nil }
	codes := func(json.RawMessage) (prompt.Answer, error) { return prompt.Answer{Text: p.code(a)}, nil }
	presses := func(asked json.RawMessage) (prompt.Answer, error) {
		data, err := a.key.Get(p.origin, asked)
		return prompt.Answer{Data: data}, err
	}
	return map[string]taken{
		"password": func() (prompt.Answer, answering, error) {
			return prompt.Answer{Text: a.Password}, types, nil
		},
		"totp": func() (_ prompt.Answer, _ answering, err error) {
			a.Secret, err = secretOf(shown)
			return prompt.Answer{Text: p.code(a)}, codes, err
		},
		"passkey": func() (prompt.Answer, answering, error) {
			a.key = &virtualauth.Key{}
			data, err := a.key.Create(p.origin, shown)
			return prompt.Answer{Data: data}, presses, err
		},
	}
}
