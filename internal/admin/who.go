package admin

import (
	"context"

	"countersign/internal/assurance"
)

// WhoIs returns what an account is called and its groups, for who is signed in
// as it.
func (a *Admin) WhoIs(ctx context.Context, account assurance.AccountID) (name, display string, groups []string, err error) {
	d, err := a.people.Get(ctx, a.db, account)
	return d.Name, d.Display, d.Groups, err
}
