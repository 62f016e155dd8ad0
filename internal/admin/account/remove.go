package account

import (
	"context"
	"slices"

	"countersign/internal/admin"
	"countersign/internal/admin/guard"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// removeDesk is where accounts are removed.
type removeDesk struct {
	admin.Book
	guard.Guard
	people   *directory.Accounts
	sessions *session.Endings
	forget   []func(ctx context.Context, tx *store.Tx, account assurance.AccountID) error
	db       store.Reader
}

// Remove removes an account for good. Its name is not given again by who removed
// it alone, see [again].
type Remove struct {
	Name            string `json:"name" arg:"" help:"The account."`
	admin.AuditText `embed:""`
}

func (c *Remove) Action() string { return "account.remove" }
func (c *Remove) About() *string { return &c.Name }
func (c *Remove) Object() string { return c.Of(c.Name) + ", for good" }

// Preflight says that an administrator stays.
func (c *Remove) Preflight(ctx context.Context, a *removeDesk) error {
	d, err := a.people.Find(ctx, a.db, c.Name)
	if err == nil && slices.Contains(d.Groups, directory.Administrators) {
		err = administratorStays
	}
	return err
}

var administratorStays = failure.New(failure.Refused, "An administrator cannot be removed; take them out of the group first.")

func (c *Remove) Do(ctx context.Context, a *removeDesk, g signin.Grant) (any, error) {
	var d directory.Account
	err := a.Change(ctx, g, "account.removed", nil, &d, func(tx *store.Tx) error {
		var err error
		if d, err = a.people.Find(ctx, tx, c.Name); err != nil {
			return err
		}
		if d.ID == g.Account() || slices.Contains(d.Groups, directory.Administrators) {
			return administratorStays
		}
		if err := a.PersonMust(ctx, tx, g.Account(), d.Guarded()); err != nil {
			return err
		}
		if _, err := a.sessions.EndAllTx(ctx, tx, d.ID, ""); err != nil {
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
