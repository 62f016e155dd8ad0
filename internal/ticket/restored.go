package ticket

import (
	"context"

	"countersign/internal/store"
)

// DropAllIn makes every ticket worthless, inside a change that records it, and
// returns how many there were.
func DropAllIn(ctx context.Context, tx *store.Tx) (int64, error) {
	return tx.Exec(ctx, `delete from ticket`)
}
