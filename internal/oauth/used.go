package oauth

import (
	"context"
	"crypto/sha256"
	"time"

	"countersign/internal/store"
)

// UseOnce notes that something that a client signed was used, and reports whether it is the
// first time: a client assertion's or a request object's jti (RFC 7523 section 3, RFC 9101
// section 10.2). It is remembered until it has expired. Of any number of concurrent calls one
// is first.
func (gs *Grants) UseOnce(ctx context.Context, kind, client, name string, until time.Time) (first bool, err error) {
	sum := sha256.Sum256([]byte(kind + "\x00" + client + "\x00" + name))
	err = gs.db.Housekeep(ctx, "oauth.used", func(tx *store.Tx) error {
		n, err := tx.Exec(ctx, `insert into oauth_used (name, expires) values ($1, $2) on conflict do nothing`, sum[:], store.Unix(until.Add(time.Minute)))
		first = n == 1
		return err
	})
	return first && err == nil, err
}
