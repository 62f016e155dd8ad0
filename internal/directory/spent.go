package directory

import (
	"context"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/store"
)

// Spend takes a once-key of a credential, for ever: false means that somebody
// was there before. It counts with the change it is part of, and an empty key is
// none, so that there is nothing to take.
func Spend(ctx context.Context, tx *store.Tx, credential assurance.CredentialID, once string, now time.Time) (bool, error) {
	if once == "" {
		return true, nil
	}
	n, err := tx.Exec(ctx, `insert into spent (credential, once, at) values ($1,$2,$3) on conflict do nothing`, int64(credential), once, store.Unix(now))
	return n == 1, err
}
