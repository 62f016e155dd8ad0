package drill

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"countersign/internal/virtualauth"
)

// Play is one row's attack on a stage, with a canary whose password the attacker knows.
type Play struct {
	Stage
	Admin Administrator
	// Bed is nil on a deployment.
	Bed Bed
	// Unguarded says that this is the control arm, Down that Countersign is stopped.
	Unguarded, Down bool
	Canary          *Canary
	after           []func(context.Context)
	// canaries and guessed are the names that this play is about: of accounts that it
	// made, and of others.
	canaries, guessed []string
}

func newPlay(ctx context.Context, stage Stage, admin Administrator) (*Play, error) {
	p := &Play{Stage: stage, Admin: admin}
	c, err := p.Enroll(ctx)
	if err != nil {
		p.close(ctx)
		return nil, err
	}
	p.Canary = c
	return p, nil
}

// Afterwards has something done when the play is over: the latest first.
func (p *Play) Afterwards(do func(context.Context)) { p.after = append(p.after, do) }

// lastly is how long what a play made is taken away for at most.
const lastly = 30 * time.Second

// close takes away what the play made, also when the run is cut off.
func (p *Play) close(ctx context.Context) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), lastly)
	defer stop()
	for _, do := range slices.Backward(p.after) {
		do(ctx)
	}
	p.after = nil
}

// Remove takes an account away when the play is over.
func (p *Play) Remove(name string) {
	p.Afterwards(func(ctx context.Context) {
		p.Admin.Do(ctx, "group.member.remove", map[string]string{"group": "administrators", "account": name}, nil) //nolint:errcheck // few ever were
		p.Admin.Do(ctx, "account.remove", map[string]string{"name": name}, nil)                                    //nolint:errcheck // a suspended canary is left over at worst
	})
}

// make makes an account of a kind, which has nothing to sign in with.
func (p *Play) make(ctx context.Context, kind string) (*Canary, error) {
	tag := strings.ToLower(rand.Text()[:8])
	c := &Canary{Name: "canary-" + tag, Password: "canary " + rand.Text(), Key: &virtualauth.Key{}}
	made := map[string]any{"name": c.Name, "display": "Drill " + c.Name, "kind": kind}
	if p.Ends != "" {
		made["ends"] = p.Ends
	}
	if err := p.Admin.Do(ctx, "account.create", made, nil); err != nil {
		return nil, err
	}
	p.canaries = append(p.canaries, c.Name)
	p.Remove(c.Name)
	return c, nil
}

// Person makes a person's account that has nothing to sign in with, and no pass.
func (p *Play) Person(ctx context.Context) (*Canary, error) {
	c, err := p.make(ctx, "person")
	if err != nil {
		return nil, err
	}
	return c, p.join(ctx, c)
}

// join makes an account a member of the groups that policy lets in.
func (p *Play) join(ctx context.Context, c *Canary) error {
	for _, group := range p.Groups {
		if err := p.Admin.Do(ctx, "group.member.add", map[string]string{"group": group, "account": c.Name}, nil); err != nil {
			return fmt.Errorf("the canary cannot join %s: %w", group, err)
		}
	}
	return nil
}

// Service makes a service account, which has no automation key yet.
func (p *Play) Service(ctx context.Context) (*Canary, error) { return p.make(ctx, "service") }

// Account makes a person's account with a pass and nothing else.
func (p *Play) Account(ctx context.Context) (*Canary, error) {
	c, err := p.Person(ctx)
	if err != nil {
		return nil, err
	}
	var pass struct {
		Link string `json:"link"`
		Code string `json:"code"`
	}
	if err := p.Admin.Do(ctx, "pass.issue", map[string]any{"account": c.Name, "note": "a drill"}, &pass); err != nil {
		return nil, err
	}
	c.Link, c.Pass = pass.Link, pass.Code
	return c, nil
}

// Enroll makes a canary with everything that people sign in with.
func (p *Play) Enroll(ctx context.Context) (*Canary, error) {
	i := slices.IndexFunc(p.Components, func(c Component) bool { return c.Enroll != nil })
	if i < 0 {
		return nil, errors.New("no component of the stage gives accounts what they sign in with")
	}
	c, err := p.Account(ctx)
	if err != nil {
		return nil, err
	}
	return c, p.Components[i].Enroll(ctx, p, c)
}

// Guess tries one name and password at every door there is.
func (p *Play) Guess(ctx context.Context, name, password string) []Try {
	if !slices.Contains(p.canaries, name) {
		p.guessed = append(p.guessed, name)
	}
	g := &Guess{Name: name, Password: password}
	var tries []Try
	for _, c := range p.Components {
		for _, d := range c.Doors {
			for _, t := range d.Guess(ctx, p, g) {
				t.Application, t.Component, t.Door = c.Application, c.Name, d.Name
				tries = append(tries, t)
			}
		}
	}
	return tries
}

// Tried is what came of a try that Countersign itself answers. While it is stopped, no
// answer is one.
func (p *Play) Tried(name string, open bool, err error) Try {
	if err != nil && p.Down && !open {
		return Try{Name: name, Detail: err.Error()}
	}
	return Tried(name, open, err)
}

// Move plays a move at every component that it can be done at. What could not be played at
// one is an error there, and says nothing of the others.
func (p *Play) Move(ctx context.Context, m Move, victim *Canary) []Try {
	var tries []Try
	for _, c := range p.Components {
		if c.Moves[m] == nil {
			continue
		}
		made, err := c.Moves[m](ctx, p, victim)
		if err != nil {
			made = append(made, Try{Name: string(m), Error: "the attack could not be played: " + err.Error()})
		}
		for _, t := range made {
			t.Application, t.Component = c.Application, c.Name
			tries = append(tries, t)
		}
	}
	return tries
}
