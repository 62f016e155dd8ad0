package admin

import (
	"context"

	"countersign/internal/signin"
)

// doneAt is a Command of this package and the desk that it is done at: where the commands
// about one thing are, with the handles that they use and no others.
type doneAt[Desk any] interface {
	Command
	do(ctx context.Context, a Desk, g signin.Grant) (any, error)
}

// soundAt is one that can say beforehand what would be refused.
type soundAt[Desk any] interface {
	sound(ctx context.Context, a Desk) error
}

// thingAt is one that names something by a number that says nothing to people, and can
// tell what it is.
type thingAt[Desk any] interface {
	thing(ctx context.Context, a Desk) (string, error)
}

// task is a command at its desk. Sound is nil where nothing can be said beforehand, and
// thing where nothing needs to be told.
type task struct {
	do    func(ctx context.Context, g signin.Grant) (any, error)
	sound func(ctx context.Context) error
	thing func(ctx context.Context) (string, error)
}

func at[Desk any](c doneAt[Desk], desk Desk) task {
	t := task{do: func(ctx context.Context, g signin.Grant) (any, error) { return c.do(ctx, desk, g) }}
	if s, ok := c.(soundAt[Desk]); ok {
		t.sound = func(ctx context.Context) error { return s.sound(ctx, desk) }
	}
	if n, ok := c.(thingAt[Desk]); ok {
		t.thing = func(ctx context.Context) (string, error) { return n.thing(ctx, desk) }
	}
	return t
}

// desks are those that an Admin has.
type desks struct {
	ofGroups       *groupDesk
	ofApplications *applicationDesk
	ofHosts        *offlineDesk
	ofKeys         *keyDesk
	ofTokens       *tokenDesk
	ofStock        *stockDesk
	ofCertificates *certificateDesk
	ofRecoveries   *recoveryDesk
	ofQuiet        *quietDesk
	ofPrompts      *promptDesk
	ofLog          *auditDesk
}

func newDesks(p Parts) desks {
	b, m := book{p.DB}, guard{p.Directory, p.Engine}
	h := giving{m, p.Dormant, p.Now}
	d := desks{
		ofGroups:       &groupDesk{b, m, p.Groups, p.Applications, p.Protocols},
		ofApplications: &applicationDesk{b, p.Groups, p.Engine, p.Applications, p.Protocols, p.PublicURL},
		ofHosts:        &offlineDesk{b, p.Offline},
		ofKeys:         &keyDesk{b, p.Directory, p.Enrollments, p.Now},
		ofTokens:       &tokenDesk{b, h, p.Enrollments, p.Tokens, p.PINs},
		ofStock:        &stockDesk{b, p.Directory, p.Tickets, p.Tokens},
		ofCertificates: &certificateDesk{b, h, p.Enrollments},
		ofRecoveries:   newRecoveryDesk(p, b, h),
		ofQuiet:        &quietDesk{book: b, directory: p.Directory, enrollments: p.Enrollments},
		ofPrompts:      &promptDesk{db: p.DB, directory: p.Directory, now: p.Now},
		ofLog:          &auditDesk{db: p.DB, directory: p.Directory},
	}
	if p.Engine != nil { // there is none where nothing is decided, as in a test of what is kept
		d.ofQuiet.pushes, d.ofPrompts.approvals, d.ofLog.strangers = p.Engine.Pushes, p.Engine.Approvals, p.Engine.Strangers
	}
	return d
}

// task finds the desk of a command; false is a command of another room. Those
// without a desk of their own are done by the Admin.
func (a *Admin) task(c Command) (task, bool) {
	switch c := c.(type) {
	case doneAt[*groupDesk]:
		return at(c, a.ofGroups), true
	case doneAt[*applicationDesk]:
		return at(c, a.ofApplications), true
	case doneAt[*offlineDesk]:
		return at(c, a.ofHosts), true
	case doneAt[*keyDesk]:
		return at(c, a.ofKeys), true
	case doneAt[*tokenDesk]:
		return at(c, a.ofTokens), true
	case doneAt[*stockDesk]:
		return at(c, a.ofStock), true
	case doneAt[*certificateDesk]:
		return at(c, a.ofCertificates), true
	case doneAt[*recoveryDesk]:
		return at(c, a.ofRecoveries), true
	case doneAt[*quietDesk]:
		return at(c, a.ofQuiet), true
	case doneAt[*promptDesk]:
		return at(c, a.ofPrompts), true
	case doneAt[*auditDesk]:
		return at(c, a.ofLog), true
	case doneAt[*Admin]:
		return at(c, a), true
	}
	return task{}, false
}
