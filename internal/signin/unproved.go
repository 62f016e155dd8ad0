package signin

import (
	"context"

	"countersign/internal/store"
)

// noteUnproved writes down that an active session asked for an administrative
// act and did not get it at once: from its owner that is the first half of an
// approval, from a thief it is all that there will be (ATT&CK T1098). Other
// checks write nothing, because a page that is not yet signed in to is nothing
// to tell of.
func (c *checks) noteUnproved(ctx context.Context, at *attempt, d decision, reason string) error {
	if at.Application != Self || !administers(at.Action) {
		return nil
	}
	return c.db.Change(ctx, at.actor(), func(tx *store.Tx) error {
		return tx.Record(at.entry(d.account, "action.refused", "refused", reason))
	})
}
