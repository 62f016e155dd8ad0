package approval

import (
	"context"
	"countersign/internal/failure"
	"errors"
)

// inspect looks at what waits to be approved, and at what did.
func (a *Requests) inspect(ctx context.Context) error {
	last := int64(-1 << 63)
	return a.view.Walk(ctx, func(ctx context.Context) (more bool, err error) {
		rows, err := a.view.Query(ctx, `select `+approvalColumns+` from approval where id > $1 order by id limit $2`, last, pageRows)
		if err != nil {
			return false, err
		}
		defer rows.Close()
		n := 0
		for ; rows.Next(); n++ {
			row, err := a.scan(ctx, rows)
			if err != nil && failure.ClassOf(err) != failure.NotFound {
				return false, err
			}
			last = row.id
		}
		return n == pageRows, errors.Join(rows.Err(), rows.Close())
	})
}
