package signin

import (
	"context"

	"countersign/internal/store"
)

// DropAttemptsIn forgets every attempt under way, inside a change that records
// it, and returns how many there were.
func DropAttemptsIn(ctx context.Context, tx *store.Tx) (int64, error) {
	return tx.Exec(ctx, `delete from attempt`)
}
