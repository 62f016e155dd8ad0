package signin

import (
	"context"

	"countersign/internal/assurance"
	"countersign/internal/store"
)

// Forget deletes what is kept of an account that is being removed, inside the change that
// removes it: attempts, numbers, counts, messages, quiet hours, and where it was seen.
func (e *Engine) Forget(ctx context.Context, tx *store.Tx, account assurance.AccountID) error {
	if _, err := tx.Exec(ctx, `delete from attempt where account = $1`, int64(account)); err != nil {
		return err
	}
	if err := e.messages.Forget(ctx, tx, account); err != nil {
		return err
	}
	if err := e.upkeep.Forget(ctx, tx, account); err != nil {
		return err
	}
	return e.throttle.Forget(ctx, tx, account)
}
