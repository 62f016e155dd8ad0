package admin

import (
	"context"
	"slices"

	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// AccountRemove removes an account for good.
type AccountRemove struct {
	Name string `json:"name" arg:"" help:"The account."`
	Told `embed:""`
}

func (c *AccountRemove) Action() string   { return "account.remove" }
func (c *AccountRemove) account() *string { return &c.Name }
func (c *AccountRemove) Object() string   { return c.of(c.Name) + ", for good" }

func (c *AccountRemove) do(ctx context.Context, a *Admin, g signin.Grant) (any, error) {
	var d directory.Account
	err := a.change(ctx, g, "account.removed", nil, &d, func(tx *store.Tx) error {
		var err error
		if d, err = a.Directory.Find(ctx, tx, c.Name); err != nil {
			return err
		}
		if d.ID == g.Account() || slices.Contains(d.Groups, directory.Administrators) {
			return failure.New(failure.Refused, "An administrator cannot be removed; take them out of the group first.")
		}
		if err := a.personMust(ctx, tx, g.Account(), d.Privileged); err != nil {
			return err
		}
		if _, err := a.Sessions.EndAllIn(ctx, tx, d.ID, ""); err != nil {
			return err
		}
		return a.Directory.Remove(ctx, tx, d)
	})
	return map[string]string{"removed": d.Name}, err
}
