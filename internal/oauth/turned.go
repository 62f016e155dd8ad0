package oauth

import (
	"context"
	"errors"
	"strconv"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/store"
)

// turnedOften is how often the log is told of one grant that one resource server was shown in
// vain, for one reason.
const turnedOften = time.Minute

// Turned writes down that a resource server was shown a token that is not good for it, and why, at
// most once a minute for each grant, server and reason. The server is an application.
func (gs *Grants) Turned(ctx context.Context, g *Given, server, reason string) error {
	minute := gs.now().Truncate(turnedOften)
	first, err := gs.UseOnce(ctx, "turned", server, g.Number()+" "+reason+" "+strconv.FormatInt(minute.Unix(), 10), minute.Add(turnedOften))
	if err != nil || !first {
		return err
	}
	return gs.db.Change(ctx, audit.Actor{Name: server, Via: "oidc"}, func(tx *store.Tx) error {
		en := g.logged("token.refused", audit.Refused, reason)
		en.Application, en.Detail["client"] = server, g.Client
		return tx.Record(en)
	})
}

// Stale is [Grants.Turned] for a token that is good for nothing any more: it expired, or what it
// came of ended. What is no token of ours is nobody's, and is not written down.
func (gs *Grants) Stale(ctx context.Context, token, server string) error {
	c, err := gs.claimOf(accessKind, token)
	if err != nil {
		return nil //nolint:nilerr // whatever was wrong with it, nobody is told
	}
	g, err := gs.scan(gs.db.QueryRow(ctx, `select `+columns+` from oauth_grant where id = $1`, c.id))
	switch {
	case failure.ClassOf(err) == failure.Refused, errors.Is(err, errAltered):
		return nil // the row is gone with its account, or was reported
	case err != nil:
		return err
	case !g.ended.IsZero():
		return gs.Turned(ctx, g, server, "ended")
	}
	return gs.Turned(ctx, g, server, "expired")
}
