package ticket

import (
	"context"

	"countersign/internal/store"
)

// DropAllIn makes every ticket worthless, inside a change that records it, and
// returns how many there were. One entry says it of all, and of those that somebody puts
// back.
func DropAllIn(ctx context.Context, tx *store.Tx) (int64, error) {
	tx.Anchor(table, every, store.Unix(tx.Now())+1)
	return tx.Exec(ctx, `delete from ticket`)
}
