package oauth

import (
	"context"
	"errors"

	"countersign/internal/store"
)

// Sweep deletes grants that expired more than a day ago, and what was used once and has
// expired.
func (gs *Grants) Sweep(ctx context.Context) error {
	return gs.db.Housekeep(ctx, "oauth.sweep", func(tx *store.Tx) error {
		if _, err := tx.Exec(ctx, `delete from oauth_grant where expires < $1`, store.Unix(gs.now().AddDate(0, 0, -1))); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `delete from oauth_used where expires < $1`, store.Unix(gs.now()))
		return err
	})
}

// DropAllTx ends everything that clients were given, inside a change that records it, and
// returns how many rows there were. It is for a database that was put back: the sessions, from
// which everything hangs, are over with it.
func DropAllTx(ctx context.Context, tx *store.Tx) (int64, error) {
	return tx.Exec(ctx, `delete from oauth_grant`)
}

// inspectPage is how many rows are looked at at a time.
const inspectPage = 500

// Inspect reads every row once and reports those that are not as they were left: that were
// altered, or are there again although they are over. It stops at none of them.
func (gs *Grants) Inspect(ctx context.Context) error {
	last := []byte{}
	return gs.db.Walk(ctx, func(ctx context.Context) (more bool, err error) {
		page, ids, err := gs.page(ctx, last)
		if err != nil || len(ids) == 0 {
			return false, err
		}
		last = ids[len(ids)-1]
		for _, g := range page {
			if g.ended.IsZero() && gs.now().Before(g.Expires) && gs.returned(g) {
				if err := gs.again(ctx, g); !errors.Is(err, over) {
					return false, err
				}
			}
		}
		return len(ids) == inspectPage, nil
	})
}

// page reads rows behind an id: those that are as they were left, and the ids of all.
func (gs *Grants) page(ctx context.Context, after []byte) (page []*Given, ids [][]byte, err error) {
	rows, err := gs.db.Query(ctx, `select `+columns+` from oauth_grant where id > $1 order by id limit $2`, after, inspectPage)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		g, err := gs.scan(rows)
		if err != nil && !errors.Is(err, errAltered) {
			return nil, nil, err
		}
		if ids = append(ids, g.ID); err == nil {
			page = append(page, g)
		}
	}
	return page, ids, errors.Join(rows.Err(), rows.Close())
}
