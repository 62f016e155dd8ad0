package ticket

import (
	"context"

	"countersign/internal/assurance"
	"countersign/internal/store"
)

// Forget deletes the tickets of an account that is being removed, inside the change that
// removes it.
func (t *Tickets) Forget(ctx context.Context, tx *store.Tx, account assurance.AccountID) error {
	_, err := tx.Exec(ctx, `delete from ticket where owner = $1`, int64(account))
	return err
}
