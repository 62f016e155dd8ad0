package recovery

import (
	"context"

	"countersign/internal/store"
)

// DropAllIn ends every case that is under way, inside a change that records it, and
// returns how many there were: its pass may have been taken since the copy was made.
func DropAllIn(ctx context.Context, tx *store.Tx) (int64, error) {
	if _, err := tx.Exec(ctx, `delete from recovery_request`); err != nil {
		return 0, err
	}
	return tx.Exec(ctx, `delete from recovery where state <> 'stopped'`)
}
