package oauth

import (
	"context"
	"slices"

	"countersign/internal/assurance"
	"countersign/internal/store"
)

// mostConsents bounds how many grants are read of one account and client.
const mostConsents = 100

// Consented returns the scopes that an account has granted to a client in sign-ins of which
// something stands: what somebody has once allowed is not asked again while that lasts.
func (gs *Grants) Consented(ctx context.Context, account assurance.AccountID, client string) ([]string, error) {
	rows, err := gs.db.Query(ctx, `select `+columns+` from oauth_grant where account = $1 and client = $2 and ended = 0 and expires > $3 order by created desc limit $4`,
		int64(account), client, store.Unix(gs.now()), mostConsents)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		g, err := gs.scan(rows)
		if err != nil || gs.returned(g) {
			continue // it is reported where it is looked for
		}
		for _, s := range g.Scopes {
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out, rows.Err()
}
