package ticket

import (
	"context"

	"countersign/internal/store"
)

// DropAllTx invalidates all tickets, inside a change that records it, and returns their
// number. The entry also covers tickets that are put back later.
func DropAllTx(ctx context.Context, tx *store.Tx) (int64, error) {
	tx.Anchor(table, every, store.Unix(tx.Now())+1)
	return tx.Exec(ctx, `delete from ticket`)
}
