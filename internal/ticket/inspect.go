package ticket

import (
	"context"

	"countersign/internal/failure"
)

// inspectPage is how many rows are looked at at a time.
const inspectPage = 500

// Inspect reads all tickets once and reports those that failed their integrity check:
// altered ones, and those that exist again although they were used. It continues after
// each; its error is that of the database.
func (t *Tickets) Inspect(ctx context.Context) error {
	last := []byte{}
	return t.db.Walk(ctx, func(ctx context.Context) (more bool, err error) {
		page, err := t.page(ctx, last)
		if err != nil || len(page) == 0 {
			return false, err
		}
		for _, r := range page {
			if err := t.inspect(ctx, r); err != nil {
				return false, err
			}
		}
		last = page[len(page)-1].hash
		return len(page) == inspectPage, nil
	})
}

func (t *Tickets) inspect(ctx context.Context, r *row) error {
	_, err := t.open(r)
	if _, back := t.over(r); back && err == nil {
		err = t.again(ctx, r)
	}
	if failure.ClassOf(err) == failure.Refused {
		return nil
	}
	return err
}

// page reads rows behind a hash.
func (t *Tickets) page(ctx context.Context, after []byte) ([]*row, error) {
	rows, err := t.db.Query(ctx, `select `+columns+` from ticket where hash > $1 order by hash limit $2`, after, inspectPage)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*row
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}
