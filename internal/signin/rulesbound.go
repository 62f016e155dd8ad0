package signin

import (
	"context"
	"errors"
	"math"

	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/store"
)

// inspectPage is how many rows a sweep reads at once.
const inspectPage = 500

// Inspect reads every document and reports those that are not as they were saved, and the
// newest where it is missing. Older ones may be missing: they are in force nowhere.
func (r *Rules) Inspect(ctx context.Context) error {
	before := int64(math.MaxInt64)
	err := r.db.Walk(ctx, func(ctx context.Context) (more bool, err error) {
		n := 0
		before, n, err = r.inspectBefore(ctx, before)
		return n == inspectPage, err
	})
	if err != nil {
		return err
	}
	if _, err := r.Latest(ctx, r.db); err != nil && !errors.Is(err, ErrNoPolicy) && !errors.Is(err, directory.ErrTampered) {
		return err
	}
	return nil
}

// inspectBefore reads a page of documents before a version. Reading a document reports one
// that is not believed.
func (r *Rules) inspectBefore(ctx context.Context, before int64) (last int64, n int, err error) {
	rows, err := r.db.Query(ctx, `select `+documentColumns+` from policy where version < $1 order by version desc limit $2`, before, inspectPage)
	if err != nil {
		return before, 0, err
	}
	defer rows.Close()
	for ; rows.Next(); n++ {
		d, err := r.document(rows)
		if err != nil && !errors.Is(err, directory.ErrTampered) {
			return before, n, err
		}
		before = d.Version
	}
	return before, n, rows.Err()
}

// Bind has the newest document of an installation of before be the newest from now on.
func (r *Rules) Bind(ctx context.Context) error {
	d, _, err := r.latest(ctx, r.db)
	if err != nil || d.Version == 0 {
		return err
	}
	return r.db.Change(ctx, audit.System("start"), func(tx *store.Tx) error {
		tx.Anchor(PolicyTopic, 0, d.Version)
		return tx.RecordBound("policy", 1)
	})
}
