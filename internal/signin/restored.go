package signin

import (
	"context"

	"countersign/internal/approval"
	"countersign/internal/store"
)

// DropAttemptsTx forgets every attempt under way, and what waits to be approved
// for one, inside a change that records it, and returns how many there were. One entry says
// it of all, and of those that somebody puts back.
func DropAttemptsTx(ctx context.Context, tx *store.Tx) (int64, error) {
	tx.Anchor(attemptTable, every, store.Unix(tx.Now()))
	if err := approval.DropTx(ctx, tx); err != nil {
		return 0, err
	}
	return tx.Exec(ctx, `delete from attempt`)
}
