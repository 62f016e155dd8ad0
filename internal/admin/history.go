package admin

import (
	"context"

	"countersign/internal/audit"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// History returns the newest entries about the grant's own account, for its
// owner. It is the only reading of the log that needs no action of its own.
func (a *Admin) History(ctx context.Context, g signin.Grant, limit int) ([]audit.Entry, error) {
	return a.db.Entries(ctx, store.Filter{Account: int64(g.Account()), Limit: limit, Newest: true})
}
