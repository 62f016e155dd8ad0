package session

import (
	"context"

	"countersign/internal/store"
)

// EndEverybodysTx ends every session there is, inside a change that records it,
// and returns how many stood. One entry says it of all, and of those that somebody puts
// back.
func EndEverybodysTx(ctx context.Context, tx *store.Tx) (int64, error) {
	tx.Anchor(table, everybody, store.Unix(tx.Now())+1)
	if _, err := tx.Exec(ctx, `delete from session where ended <> 0`); err != nil {
		return 0, err
	}
	return tx.Exec(ctx, `delete from session`)
}
