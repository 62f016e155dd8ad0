package guard

import (
	"context"
	"time"

	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Giving is for whoever hands somebody something to sign in with, and what they must be for it.
type Giving struct {
	guard   Guard
	dormant time.Duration
	now     func() time.Time
}

// NewGiving makes a Giving; an account is dormant that was not used for so long.
func NewGiving(g Guard, dormant time.Duration, now func() time.Time) Giving {
	return Giving{g, dormant, now}
}

// Parties are who does a command, and whom it names.
func (a Giving) Parties(ctx context.Context, tx *store.Tx, g signin.Grant, name string) (by, about directory.Account, err error) {
	if by, err = a.guard.people.Get(ctx, tx, g.Account()); err != nil {
		return by, about, err
	}
	about, err = a.guard.people.Find(ctx, tx, name)
	return by, about, err
}

// MayIssue keeps the pass from being the weak door: never for oneself, never
// for who is suspended or dormant or has ended, and for administrators only by one.
func (a Giving) MayIssue(issuer, to directory.Account) error {
	switch {
	case issuer.Kind != directory.Person && to.Guarded():
		return failure.Refuse("a-person-must", "An automation key cannot do that for an administrator, or for somebody else who is privileged; a person must.")
	case issuer.ID == to.ID:
		return failure.Refuse("own-pass", "Nobody can issue a pass for themselves; ask another administrator.")
	case to.Kind != directory.Person:
		return failure.Refuse("service", "A service has no authenticators of its own; issue it a key.")
	case to.State != directory.Active:
		return failure.Refuse("suspended", "The account is suspended; resume it first.")
	case to.Ended(a.now()):
		return failure.Refuse("ended", "The account has ended; give it a later end, or none, first.")
	case to.Idle(a.now()) > a.dormant:
		return failure.Refuse("dormant", "The account is dormant; resume it first.")
	case to.Guarded() && !issuer.Privileged:
		return failure.Refuse("privileged", "Only an administrator can issue a pass for an administrator.")
	}
	return nil
}

// MayAssign keeps what is assigned from being a second factor that one makes oneself.
func (a Giving) MayAssign(issuer, to directory.Account) error {
	if issuer.ID == to.ID {
		return failure.Refuse("own-authenticator", "Nobody can assign something to sign in with to themselves; ask another administrator.")
	}
	if to.Kind != directory.Person {
		return failure.Refuse("service", "A service has no authenticators of its own; issue it a key.")
	}
	return a.MayIssue(issuer, to)
}

// Assignee is whom a grant's account may assign an authenticator to.
func (a Giving) Assignee(ctx context.Context, tx *store.Tx, g signin.Grant, name string) (directory.Account, error) {
	issuer, to, err := a.Parties(ctx, tx, g, name)
	if err != nil {
		return directory.Account{}, err
	}
	return to, a.MayAssign(issuer, to)
}
