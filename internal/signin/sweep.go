package signin

import (
	"context"
	"time"

	"countersign/internal/audit"
	"countersign/internal/store"
)

// Sweep ends attempts whose time is over, and raises the alarm for those where
// something was right. It returns how many ended.
func (e *Engine) Sweep(ctx context.Context) (int, error) {
	rows, err := e.DB.Query(ctx, `select handle, payload from attempt where expires < $1 order by expires limit 500`, store.Unix(e.Now()))
	if err != nil {
		return 0, err
	}
	var late []*lateAttempt
	for rows.Next() {
		l := &lateAttempt{}
		if err := rows.Scan(&l.hash, &l.sealed); err != nil {
			rows.Close()
			return 0, err
		}
		late = append(late, l)
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return 0, err
	}
	for _, l := range late {
		if err := e.sweepOne(ctx, l); err != nil {
			return 0, err
		}
	}
	return len(late), e.DB.Housekeep(ctx, "approval.sweep", func(tx *store.Tx) error {
		if _, err := tx.Exec(ctx, `delete from wake where created < $1`, store.Unix(e.Now().Add(-25*time.Hour))); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `delete from approval where expires < $1`, store.Unix(e.Now().Add(-2*time.Hour)))
		return err
	})
}

type lateAttempt struct{ hash, sealed []byte }

func (e *Engine) sweepOne(ctx context.Context, l *lateAttempt) error {
	drop := func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `delete from attempt where handle = $1 and expires < $2`, l.hash, store.Unix(e.Now()))
		return err
	}
	at, err := e.attempts.unseal(l.hash, l.sealed)
	if err != nil || len(at.Evidence) == 0 { // one that cannot be read is nothing
		return e.DB.Housekeep(ctx, "attempt.sweep", drop)
	}
	return e.DB.Change(ctx, audit.Actor{Name: "system", Via: "sweep"}, func(tx *store.Tx) error {
		if err := drop(tx); err != nil {
			return err
		}
		account, err := e.Directory.Get(ctx, tx, at.Account)
		if err != nil {
			return err
		}
		return e.factorMissing(ctx, tx, at, account, "abandoned")
	})
}
