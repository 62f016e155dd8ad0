// Package admin is what administrators may do and see: one [Command] for each.
//
// It owns what all commands have in common: how one is described, approved by its exact
// text, done, refused and written down. It does not decide who may: a command is done only
// with a Grant that signin made for exactly its action and its object. What each command
// does stands in the folder of its noun, which knows this room and is not known here; the
// room nouns puts the list together. The console, the API and the command line all come
// through [Admin.Do], which hands each to its desk: what the commands about one thing use,
// and no more. Its one invariant: no command changes anything without such a Grant and an
// entry that names it.
package admin

import (
	"context"
	"errors"
	"time"

	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Parts are what an Admin works on.
type Parts struct {
	DB       *store.DB
	Accounts *directory.Accounts
	Sessions *session.Sessions
	// Desks are where commands are done.
	Desks []Desk
	// Titles says in a sentence what an action does.
	Titles func(action string) string
	Now    func() time.Time
}

// Admin does commands.
type Admin struct {
	db       *store.DB
	people   *directory.Accounts
	sessions *session.Sessions
	desks    []Desk
	titles   func(action string) string
	now      func() time.Time
}

// New makes an Admin.
func New(p Parts) *Admin { return &Admin{p.DB, p.Accounts, p.Sessions, p.Desks, p.Titles, p.Now} }

// Command is one thing that can be asked for. Object is the exact text of what
// it is done to: what an approval names and a person reads before approving.
type Command interface {
	Action() string
	Object() string
}

// Do does a command. The grant must be for exactly its action and object; a
// grant for another is refused and audited.
func (a *Admin) Do(ctx context.Context, g signin.Grant, c Command) (any, error) {
	t, ok := a.task(c)
	if !ok {
		return nil, failure.New(failure.Internal, "a command of another room")
	}
	if !g.Covers(signin.Self, c.Action(), c.Object()) {
		err := a.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
			return tx.Record(Entry(g, "admin.refused", "refused", map[string]string{"wanted": c.Action(), "granted": g.Action()}))
		})
		if err != nil {
			return nil, err
		}
		return nil, failure.Refuse("other-action", "The approval is for something else.")
	}
	if err := a.within(ctx, g, c); err != nil {
		if failure.ClassOf(err) == failure.Refused {
			err = errors.Join(a.noteRefusal(ctx, g.Actor(), Entry(g, refusedEvent, audit.Refused, nil), c, err), err)
		}
		return nil, err
	}
	answer, err := t.do(ctx, g)
	if failure.ClassOf(err) == failure.Refused {
		return nil, errors.Join(a.noteRefusal(ctx, g.Actor(), Entry(g, refusedEvent, audit.Refused, nil), c, err), err)
	}
	return answer, err
}

// Preflight says what is wrong with a command before anybody is asked to approve it,
// where that can be said. It changes nothing, and it is for who may do the
// command: it tells what exists.
func (a *Admin) Preflight(ctx context.Context, c Command) error {
	if t, ok := a.task(c); ok && t.sound != nil {
		return t.sound(ctx)
	}
	return nil
}
