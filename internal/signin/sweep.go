package signin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/store"
)

// Sweep ends attempts whose time is over, raises the alarm for those where something
// was right, and sums up what strangers were refused. It returns how many ended. What
// is wrong with one is reported once and keeps nothing else from being swept.
func (e *Engine) Sweep(ctx context.Context) (int, error) {
	ended, err := e.endings.sweepAttempts(ctx)
	return ended, errors.Join(err, e.strangers.sweep(ctx), e.throttle.Sweep(ctx), e.upkeep.Sweep(ctx), e.messages.Sweep(ctx))
}

func (n *endings) sweepAttempts(ctx context.Context) (int, error) {
	if err := n.attempts.sweepSpent(ctx); err != nil {
		return 0, err
	}
	late, err := n.attempts.rows(n.db.Query(ctx, `select `+attemptColumns+` from attempt where expires < $1 and step > 0 order by expires limit 500`, store.Unix(n.now())))
	if err != nil {
		return 0, err
	}
	ended := 0
	var failed []error
	for _, l := range late {
		if err := n.sweepOne(ctx, l); err != nil {
			if failed = append(failed, err); errors.Is(err, store.ErrUnavailable) || ctx.Err() != nil {
				break
			}
			continue
		}
		ended++
	}
	return ended, errors.Join(failed...)
}

// sweepSpent deletes marks of grants that travelled, once their attempt's time is over.
func (a *attempts) sweepSpent(ctx context.Context) error {
	return a.db.Housekeep(ctx, "attempt.sweep", func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `delete from attempt where handle in (select handle from attempt where expires < $1 and step = 0 limit $2)`, store.Unix(a.now()), sweepMost)
		return err
	})
}

// rows reads rows; one that is not as it was left has no attempt.
func (a *attempts) rows(rows *store.Rows, err error) ([]*attemptRow, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*attemptRow
	for rows.Next() {
		r, err := a.scan(rows)
		if errors.Is(err, errStrayTicket) {
			r.attempt = nil
		} else if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, errors.Join(rows.Err(), rows.Close())
}

// attemptSwept is for how long it is remembered that an attempt was swept, so that it is
// neither missed nor swept again.
const attemptSwept = time.Hour

func (n *endings) sweepOne(ctx context.Context, l *attemptRow) error {
	drop := func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `delete from attempt where handle = $1 and expires < $2`, l.hash, store.Unix(n.now()))
		return err
	}
	at := l.attempt
	if at != nil && n.attempts.over(at) {
		if err := n.attempts.returned(ctx, l); !errors.Is(err, errStrayTicket) {
			return err
		}
		at = nil
	}
	if at == nil || len(at.Evidence) == 0 { // one that is not believed is nothing
		n.attempts.proved.drop(l.hash) // and not missed
		return n.db.Housekeep(ctx, "attempt.sweep", drop)
	}
	dropped := drop
	drop = func(tx *store.Tx) error {
		tx.End(attemptTable, at.ID, n.now().Add(attemptSwept))
		return dropped(tx)
	}
	actor := audit.Actor{Name: "system", Via: "sweep"}
	err := n.db.Change(ctx, actor, func(tx *store.Tx) error {
		if err := drop(tx); err != nil {
			return err
		}
		account, err := n.people.Get(ctx, tx, at.Account)
		if err != nil {
			return err
		}
		return n.factorMissing(ctx, tx, at, account, "abandoned")
	})
	if err == nil || errors.Is(err, store.ErrUnavailable) || ctx.Err() != nil {
		return err
	}
	// The account is gone, or a row of it was changed from outside: its owner is not
	// told, the alarm is raised all the same, and it does not come up again.
	return errors.Join(fmt.Errorf("an abandoned sign-in of account %d: %w", at.Account, err), n.db.Change(ctx, actor, func(tx *store.Tx) error {
		if err := drop(tx); err != nil {
			return err
		}
		en := at.entry(directory.Account{ID: at.Account}, "alarm.factor-missing", "refused", "abandoned")
		en.Detail["shown"], en.Detail["account"] = shown(at.Evidence), "it could not be read"
		return tx.Record(en)
	}))
}

// sweepMost is how many rows are deleted at a time.
const sweepMost = 20_000
