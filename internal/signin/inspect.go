package signin

import (
	"context"
	"errors"
)

// Inspect reads the rows of sign-ins once and reports those that are not as they were
// left. It stops at none of them; its error is that of the database. It is for the
// background: it takes as long as the tables are large.
func (e *Engine) Inspect(ctx context.Context) error {
	return errors.Join(
		e.attempts.inspect(ctx),
		e.throttle.Inspect(ctx),
		e.messages.Inspect(ctx),
		e.upkeep.Inspect(ctx),
	)
}

// Bind gives the rows of a release before, which had none, their MAC.
func (e *Engine) Bind(ctx context.Context) error {
	return errors.Join(e.throttle.Bind(ctx), e.upkeep.Bind(ctx), e.messages.Bind(ctx))
}

// inspect looks at the attempts under way, and for those in which something was shown
// that are gone.
func (a *attempts) inspect(ctx context.Context) error {
	missed := a.proved.all()
	if err := a.inspectRows(ctx, missed); err != nil {
		return err
	}
	for hash, k := range a.proved.again(missed) {
		if err := a.missing(ctx, hash, k); err != nil {
			return err
		}
	}
	return nil
}

// inspectRows looks at every row, and takes those from missed that have one.
func (a *attempts) inspectRows(ctx context.Context, missed map[string]proof) error {
	last := []byte{}
	return a.db.Walk(ctx, func(ctx context.Context) (more bool, err error) {
		page, err := a.rows(a.db.Query(ctx, `select `+attemptColumns+` from attempt where handle > $1 order by handle limit $2`, last, inspectPage))
		if err != nil || len(page) == 0 {
			return false, err
		}
		last = page[len(page)-1].hash
		for _, r := range page {
			delete(missed, string(r.hash))
			if r.attempt == nil || !a.over(r.attempt) || !a.now().Before(r.Deadline) {
				continue
			}
			if err := a.returned(ctx, r); !errors.Is(err, errStrayTicket) {
				return false, err
			}
		}
		return len(page) == inspectPage, nil
	})
}
