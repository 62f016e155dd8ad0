package admin

import (
	"context"
	"slices"

	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// AccountRemove removes an account for good. Its name is not given again by who removed
// it alone, see [Admin.mayGiveAgain].
type AccountRemove struct {
	Name string `json:"name" arg:"" help:"The account."`
	Told `embed:""`
}

func (c *AccountRemove) Action() string { return "account.remove" }
func (c *AccountRemove) About() *string { return &c.Name }
func (c *AccountRemove) Object() string { return c.Of(c.Name) + ", for good" }

func (c *AccountRemove) Do(ctx context.Context, a *Admin, g signin.Grant) (any, error) {
	var d directory.Account
	err := a.Change(ctx, g, "account.removed", nil, &d, func(tx *store.Tx) error {
		var err error
		if d, err = a.people.Find(ctx, tx, c.Name); err != nil {
			return err
		}
		if d.ID == g.Account() || slices.Contains(d.Groups, directory.Administrators) {
			return failure.New(failure.Refused, "An administrator cannot be removed; take them out of the group first.")
		}
		if err := a.PersonMust(ctx, tx, g.Account(), d.Privileged); err != nil {
			return err
		}
		if _, err := a.sessionEndings.EndAllIn(ctx, tx, d.ID, ""); err != nil {
			return err
		}
		for _, forget := range a.forget {
			if err := forget(ctx, tx, d.ID); err != nil {
				return err
			}
		}
		return a.people.Remove(ctx, tx, d, g.Account())
	})
	return map[string]string{"removed": d.Name}, err
}

// mayGiveAgain keeps a removed account's name from being a way into what was theirs.
// Applications know people by their names, and a new account has nothing that is asked
// for beside a pass: whoever removed somebody would make them anew and come in as them.
// It takes a second person, and no program.
func (a *Admin) mayGiveAgain(ctx context.Context, tx *store.Tx, g signin.Grant, name string) error {
	remover, was, err := a.people.TakenAway(ctx, tx, name)
	if err != nil || !was {
		return err
	}
	by, err := a.people.Get(ctx, tx, g.Account())
	switch {
	case err != nil:
		return err
	case by.Kind != directory.Person:
		return failure.At("name", failure.Refuse("a-person-must", "An account of that name was removed. Whether it is given again takes a person, and no automation key."))
	case remover == directory.Somebody:
		return failure.At("name", failure.Refuse("nobody-knows", "An account of that name was removed, and the row that says by whom was changed from outside. Choose another name."))
	case by.ID == remover:
		return failure.At("name", failure.Refuse("second-person", "You removed an account of that name. Applications would take the new one for the old: choose another name, or ask another administrator to create it."))
	}
	return nil
}
