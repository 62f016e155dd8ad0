package admin

import (
	"context"

	"countersign/internal/assurance"
)

// WhoIs returns what an account is called and its groups, for who is signed in
// as it. An account that is suspended or has ended is a Refused failure.
func (a *Admin) WhoIs(ctx context.Context, account assurance.AccountID) (name, display string, groups []string, err error) {
	d, err := a.people.Get(ctx, a.db, account)
	if err == nil {
		err = d.Out(a.now())
	}
	if err != nil {
		return "", "", nil, err
	}
	return d.Name, d.Display, d.Groups, nil
}
