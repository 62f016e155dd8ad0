package signin

import (
	"context"

	"countersign/internal/directory"
	"countersign/internal/failure"
)

// Opens decides over a request that an application opens to everybody: whether it may go on
// although nobody signs in for it. It makes no Grant and says nothing of who asks, writes nothing,
// and heeds the rules that deny everybody ([policy.Policy.DeniesEverybody]). An error opens nothing.
func (e *Engine) Opens(ctx context.Context, r Request) (bool, error) { return e.checks.opens(ctx, r) }

func (c *checks) opens(ctx context.Context, r Request) (bool, error) {
	if r.Action == "" {
		r.Action = SignIn
	}
	if r.Application == Self || r.Action != SignIn {
		return false, nil // our own pages are opened by nobody's settings, and an action asks for more than signing in
	}
	p, err := c.judge.rules.Current(ctx)
	if err != nil {
		return false, err
	}
	app, err := c.judge.application(ctx, r.Application)
	if failure.ClassOf(err) == failure.Refused {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	m := c.judge.matter(&attempt{Request: r}, app)
	_, denies := p.DeniesEverybody(m.facts(directory.Account{}, false))
	return !denies, nil
}
