package directory

import (
	"context"

	"countersign/internal/assurance"
	"countersign/internal/store"
)

// Ref names a credential.
type Ref struct {
	ID      assurance.CredentialID
	Account assurance.AccountID
}

// ActiveAfter lists up to limit active credentials of one kind, whoever's, with
// numbers above one: to go through all of them page by page.
func ActiveAfter(ctx context.Context, r store.Reader, kind string, after assurance.CredentialID, limit int) ([]Ref, error) {
	rows, err := r.Query(ctx, `select id, account from credential where kind = $1 and status = $2 and id > $3 order by id limit $4`,
		kind, CredentialActive, int64(after), limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Ref
	for rows.Next() {
		var id, account int64
		if err := rows.Scan(&id, &account); err != nil {
			return nil, err
		}
		out = append(out, Ref{assurance.CredentialID(id), assurance.AccountID(account)})
	}
	return out, rows.Err()
}
