package session

import (
	"context"

	"countersign/internal/store"
)

// EndEverybodysIn ends every session there is, inside a change that records it,
// and returns how many stood.
func EndEverybodysIn(ctx context.Context, tx *store.Tx) (int64, error) {
	return tx.Exec(ctx, `update session set ended = $1 where ended = 0`, store.Unix(tx.Now()))
}
