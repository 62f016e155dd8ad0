package oauth

import (
	"context"
	"slices"

	"countersign/internal/assurance"
	"countersign/internal/store"
)

// Connections are what applications have of people: what was given and stands. It is safe for
// concurrent use.
type Connections struct{ gs *Grants }

// NewConnections makes the Connections of grants.
func NewConnections(gs *Grants) *Connections { return &Connections{gs} }

// SignedIn are the applications that somebody was signed in to by a session: that used a code of
// it, and whose access was not ended since.
func (c *Connections) SignedIn(ctx context.Context, account assurance.AccountID, session string) ([]string, error) {
	all, err := c.gs.all(c.gs.db.Query(ctx, `select `+columns+` from oauth_grant where account = $1 and session = $2 and step > 0 and ended = 0 order by created`, int64(account), session))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, g := range all {
		if !slices.Contains(out, g.Client) {
			out = append(out, g.Client)
		}
	}
	return out, nil
}

// SessionEndedTx has the clients told that somebody was signed in to by a session, inside the
// change that ends it.
func (c *Connections) SessionEndedTx(ctx context.Context, tx *store.Tx, account assurance.AccountID, session string) error {
	all, err := c.gs.waiting.read(tx.Query(ctx, `select `+logoutColumns+` from oauth_logout where account = $1 and session = $2`, int64(account), session))
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, l := range all {
		there[l.Client] = there[l.Client] || !c.gs.db.Over(logoutTable, l.told())
		if err := c.gs.waiting.overTx(ctx, tx, l); err != nil {
			return err
		}
	}
	given, err := c.gs.all(tx.Query(ctx, `select `+columns+` from oauth_grant where account = $1 and session = $2 and ended = 0`, int64(account), session))
	if err != nil {
		return err
	}
	for _, g := range given {
		if !g.Listens || there[g.Client] || c.gs.returned(g) {
			continue
		}
		// Its row was removed: it is told all the same.
		there[g.Client] = true
		c.gs.db.Report(store.Finding{Table: logoutTable, Row: g.Number(), Wrong: store.Missing, Account: int64(account)})
		if err := c.gs.waiting.insert(ctx, tx, g, tx.Now(), true); err != nil {
			return err
		}
	}
	return nil
}
