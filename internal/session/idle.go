package session

import (
	"context"
	"errors"

	"countersign/internal/audit"
	"countersign/internal/store"
)

// A session that nobody used for as long as it may be idle opens nothing any more (checkActive), and
// is not over: what applications were given under it lives on, as long as [Sessions.Standing] says.
// Where [Limits.EndIdle] says so, being idle is an end as any other one is.

// idle reports whether nobody used a session for as long as it may be idle.
func (rs *rows) idle(r *row) bool {
	_, most := rs.limits.of(r.Evidence)
	return rs.now().Sub(r.seen) > most
}

// endsIdle reports whether a session is to end because it is idle. Those that hang from another one
// end with it, and one whose time is over has ended by itself.
func (rs *rows) endsIdle(r *row) bool {
	return rs.limits.EndIdle && r.Parent == "" && r.ended.IsZero() && rs.now().Before(r.expires) && rs.idle(r) && !rs.over(r)
}

// endIdle ends those of these sessions that are idle, each with its entry in the log. One that was
// used, raised or ended since it was read is left as it is.
func (e *Endings) endIdle(ctx context.Context, read []*row) error {
	var idle []*row
	for _, r := range read {
		if e.rows.endsIdle(r) {
			idle = append(idle, r)
		}
	}
	if len(idle) == 0 {
		return nil
	}
	err := e.db.Change(ctx, audit.System("sessions"), func(tx *store.Tx) error {
		n := 0
		for _, r := range idle {
			is, err := e.endUnused(ctx, tx, *r)
			if err != nil {
				return err
			}
			if !is {
				continue
			}
			n++
			if err := tx.Record(audit.Entry{Event: "session.ended", Outcome: audit.OK, Account: int64(r.Account), AccountName: r.Name, Reason: "idle", Detail: map[string]string{"session": r.Number}}); err != nil {
				return err
			}
		}
		if n == 0 { // another server was first
			return errNoneIdle
		}
		return nil
	})
	if errors.Is(err, errNoneIdle) {
		return nil
	}
	return err
}

var errNoneIdle = errors.New("session: none is idle")

// endUnused ends one session and those that hang from it, if its row is as it was read.
func (e *Endings) endUnused(ctx context.Context, tx *store.Tx, r row) (bool, error) {
	was := r.mac
	r.ended = e.now()
	e.rows.bind(&r)
	n, err := tx.Exec(ctx, `update session set ended = $2, mac = $3 where id = $1 and mac = $4`, r.id, store.Unix(r.ended), r.mac, was)
	if err != nil || n == 0 {
		return false, err
	}
	return true, e.end(ctx, tx, beginning{number: r.Number, account: r.Account, expires: r.expires})
}
