package admin

import (
	"context"

	"countersign/internal/signin"
)

// DoneAt is a Command and the desk that it is done at: where the commands about one thing
// are, with the handles that they use and no others. Do is called with a Grant for exactly
// its action and object.
type DoneAt[D any] interface {
	Command
	Do(ctx context.Context, desk D, g signin.Grant) (any, error)
}

// soundAt is one that can say beforehand what would be refused.
type soundAt[D any] interface {
	Preflight(ctx context.Context, desk D) error
}

// thingAt is one that names something by a number that says nothing to people, and can
// tell what it is.
type thingAt[D any] interface {
	Thing(ctx context.Context, desk D) (string, error)
}

// task is a command at its desk. Preflight is nil where nothing can be said beforehand, and
// thing and tell where nothing needs to be told.
type task struct {
	do    func(ctx context.Context, g signin.Grant) (any, error)
	sound func(ctx context.Context) error
	thing func(ctx context.Context) (string, error)
	tell  func(ctx context.Context, s *Sheet) error
}

// Desk finds the task of a command that is done there; false is a command of another.
type Desk func(c Command) (task, bool)

// At is a desk with its handles. Those commands are done there that say so by [DoneAt].
func At[D any](desk D) Desk {
	return func(c Command) (task, bool) {
		one, ok := c.(DoneAt[D])
		if !ok {
			return task{}, false
		}
		return at(one, desk), true
	}
}

func at[D any](c DoneAt[D], desk D) task {
	t := task{do: func(ctx context.Context, g signin.Grant) (any, error) { return c.Do(ctx, desk, g) }}
	if s, ok := c.(soundAt[D]); ok {
		t.sound = func(ctx context.Context) error { return s.Preflight(ctx, desk) }
	}
	if n, ok := c.(thingAt[D]); ok {
		t.thing = func(ctx context.Context) (string, error) { return n.Thing(ctx, desk) }
	}
	if n, ok := c.(toldAt[D]); ok {
		t.tell = func(ctx context.Context, s *Sheet) error { return n.Tell(ctx, desk, s) }
	}
	return t
}

// task finds the desk of a command; false is a command of another room.
func (a *Admin) task(c Command) (task, bool) {
	for _, desk := range a.desks {
		if t, ok := desk(c); ok {
			return t, true
		}
	}
	return task{}, false
}
