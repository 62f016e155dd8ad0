// Package guard keeps commands from what nobody may do by them.
//
// It owns the refusals that several nouns share: leaving nobody who could administer,
// having a program deal with somebody who is privileged, and giving oneself, or whoever
// must not have it, something to sign in with. It does not decide who may do a command,
// which is the engine's, and changes nothing. Neighbours are the nouns of
// countersign/internal/admin. Its one invariant: what it cannot read, it refuses.
package guard

import (
	"context"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Guard refuses a loss after which nobody could administer, and programs what takes a
// person.
type Guard struct {
	people *directory.Accounts
	engine *signin.Engine
}

// New makes a Guard.
func New(people *directory.Accounts, engine *signin.Engine) Guard { return Guard{people, engine} }

// Spare refuses, before anybody approves it, a loss after which nobody could
// administer. The same is asked again inside the change.
func (a Guard) Spare(ctx context.Context, r store.Reader, name string, loss func(assurance.AccountID) signin.Loss) error {
	d, err := a.people.Find(ctx, r, name)
	if err != nil {
		return err
	}
	return a.SpareLoss(ctx, r, loss(d.ID))
}

// SpareLoss is Spare for whoever knows whose loss it is.
func (a Guard) SpareLoss(ctx context.Context, r store.Reader, l signin.Loss) error {
	return a.engine.SpareAdministration(ctx, r, l)
}

// PersonMust refuses an automation key what makes, wakes or changes somebody who is
// privileged: that takes a person, whatever the key was issued for.
func (a Guard) PersonMust(ctx context.Context, r store.Reader, by assurance.AccountID, privileged bool) error {
	if !privileged {
		return nil
	}
	d, err := a.people.Get(ctx, r, by)
	if err == nil && d.Kind != "person" {
		err = failure.Refuse("a-person-must", "An automation key cannot do that to an administrator, or to somebody else who is privileged; a person must.")
	}
	return err
}
