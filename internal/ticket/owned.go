package ticket

import (
	"context"

	"countersign/internal/store"
)

// Of returns the tickets of a kind that an account owns and that are not over, the oldest
// first.
func (t *Tickets) Of(ctx context.Context, r store.Reader, kind string, owner int64) ([]Ticket, error) {
	return t.some(ctx, r, `where kind = $1 and owner = $2 order by created`, kind, owner)
}

// Page returns tickets of a kind that accounts own whose numbers are above one, by them: all
// of at most so many rows.
func (t *Tickets) Page(ctx context.Context, r store.Reader, kind string, above int64, limit int) ([]Ticket, error) {
	return t.some(ctx, r, `where kind = $1 and owner > $2 order by owner, created limit $3`, kind, above, limit)
}

func (t *Tickets) some(ctx context.Context, r store.Reader, where string, args ...any) ([]Ticket, error) {
	rows, err := r.Query(ctx, `select `+columns+` from ticket `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Ticket
	for rows.Next() {
		row, err := scan(rows)
		if err != nil {
			return nil, err
		}
		if over, _ := t.over(row); over {
			continue
		}
		one, err := t.open(row)
		if err != nil {
			continue // it has expired, or is reported
		}
		out = append(out, one)
	}
	return out, rows.Err()
}

// EndTx uses up all tickets of a kind that an account owns, inside a change of another
// package, and reports whether there was one.
func (t *Tickets) EndTx(ctx context.Context, tx *store.Tx, kind string, owner int64) (bool, error) {
	all, err := t.Of(ctx, tx, kind, owner)
	if err != nil || len(all) == 0 {
		return false, err
	}
	for _, one := range all {
		one.TakenTx(tx)
	}
	_, err = tx.Exec(ctx, `delete from ticket where kind = $1 and owner = $2`, kind, owner)
	return true, err
}
