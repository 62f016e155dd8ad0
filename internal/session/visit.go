package session

import (
	"cmp"
	"context"

	"countersign/internal/audit"
	"countersign/internal/store"
)

// Visit is the browser that brings a handover code, or binds its session, for the audit log.
type Visit struct {
	Application string
	Source      string
	Agent       string
	// Via is the protocol; empty is forward-auth.
	Via string
}

// actor is whose session it is; one of before names were kept has none.
func (v Visit) actor(parent row) audit.Actor {
	return audit.Actor{Account: int64(parent.Account), Name: cmp.Or(parent.Name, "owner"), Via: cmp.Or(v.Via, "forward-auth")}
}

func (v Visit) entry(parent, r row) audit.Entry {
	return audit.Entry{Event: "session.handed-over", Outcome: "ok", Account: int64(parent.Account), AccountName: parent.Name, Application: v.Application,
		Protocol: "forward-auth", Source: v.Source, Detail: map[string]string{"session": r.Parent, "host": r.Host, "agent": r.agent}}
}

// Sweep deletes sessions that ended or expired more than a day ago.
func (s *Sessions) Sweep(ctx context.Context) error {
	return s.db.Housekeep(ctx, "session.sweep", func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `delete from session where expires < $1`, store.Unix(s.now().AddDate(0, 0, -1)))
		return err
	})
}
