package oauth

import (
	"context"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/keyring"
	"countersign/internal/language"
	"countersign/internal/store"
)

func sealName(g Given) string { return keyring.SealName(g.sealed) }

// topic is what the engine's memory of a grant hears: what is announced of a session.
func topic(g *Given) string { return "session/" + g.Number() }

// EndTx ends a grant and all tokens that came of it, inside a change that records it. One that
// has ended is no error.
func (gs *Grants) EndTx(ctx context.Context, tx *store.Tx, g *Given) error {
	now := *g
	now.ended = tx.Now()
	now.mac = gs.keys.MAC(keyring.OAuth, now.fields())
	// Whatever step it has come to meanwhile: what is sealed of it is over by its number.
	_, err := tx.Exec(ctx, `update oauth_grant set ended = $2, step = $3, payload = $4, mac = $5 where id = $1 and ended = 0`, now.ID, store.Unix(now.ended), now.step, now.sealed, now.mac)
	tx.End(table, now.Number(), now.Expires)
	tx.Announce(topic(&now))
	return err
}

// End ends a grant, as this actor, for this reason.
func (gs *Grants) End(ctx context.Context, by audit.Actor, g *Given, reason string) error {
	return gs.db.Change(ctx, by, func(tx *store.Tx) error {
		if err := gs.EndTx(ctx, tx, g); err != nil {
			return err
		}
		return tx.Record(g.logged("client.ended", audit.OK, reason))
	})
}

// Misused ends a grant whose code or refresh token came a second time, or by a client that it
// was not issued to: one of the two who had it stole it. It is an alarm, and its owner is told.
// The reason is "reused" or "other-client"; by is the client that came.
func (gs *Grants) Misused(ctx context.Context, g *Given, by, reason string) error {
	return gs.db.Change(ctx, audit.Actor{Name: by, Via: "oidc"}, func(tx *store.Tx) error {
		if err := gs.EndTx(ctx, tx, g); err != nil {
			return err
		}
		en := g.logged("alarm.token-misused", audit.Refused, reason)
		if g.Used() {
			en.Detail["what"] = "token"
		} else {
			en.Detail["what"] = "code"
		}
		if err := tx.Record(en); err != nil || gs.tell == nil {
			return err
		}
		return gs.tell(ctx, tx, g.Account, language.Say("An application's access was ended"),
			language.Say("Your access by %s was ended: what lets it act for you was used by somebody else as well, or twice. Sign in to it again.", g.Client))
	})
}

// Forget deletes all that clients were given on behalf of an account that is removed, inside
// that change.
func (gs *Grants) Forget(ctx context.Context, tx *store.Tx, account assurance.AccountID) error {
	rows, err := tx.Query(ctx, `delete from oauth_grant where account = $1 returning `+columns, int64(account))
	if err != nil {
		return err
	}
	defer rows.Close()
	var all []*Given
	for rows.Next() {
		if g, err := gs.scan(rows); err == nil {
			all = append(all, g)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, g := range all {
		tx.End(table, g.Number(), g.Expires)
		tx.Announce(topic(g))
	}
	return nil
}
