package oauth

import (
	"context"
	"slices"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/signin"
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

// Connection is what one application has of a person, of all their sign-ins to it that stand.
type Connection struct {
	// Client is the application.
	Client string
	// Scopes are what was granted, and Claims single facts that it asked for.
	Scopes, Claims []string
	// Since is the first of these sign-ins, Last the newest, and Until when the last of them is over.
	Since, Last, Until time.Time
	// Offline says that it acts for the person without their session.
	Offline bool
}

// mostConnections bounds how many sign-ins of one account are read.
const mostConnections = 1000

// Of are the applications that have something of an account, in the order of the first sign-in.
func (c *Connections) Of(ctx context.Context, account assurance.AccountID) ([]Connection, error) {
	all, err := c.gs.all(c.gs.db.Query(ctx, `select `+columns+` from oauth_grant where account = $1 and step > 0 and ended = 0 and expires > $2 order by created limit $3`, int64(account), store.Unix(c.gs.now()), mostConnections))
	if err != nil {
		return nil, err
	}
	var out []Connection
	for _, g := range all {
		if c.gs.returned(g) {
			continue // it is reported where it is looked for
		}
		held, err := c.gs.held(ctx, g)
		if failure.ClassOf(err) == failure.Refused {
			continue
		}
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(out, func(o Connection) bool { return o.Client == g.Client })
		if i < 0 {
			i = len(out)
			out = append(out, Connection{Client: g.Client, Since: g.Created})
		}
		out[i].add(g, held.Expires)
	}
	return out, nil
}

func (o *Connection) add(g *Given, until time.Time) {
	for _, s := range g.Scopes {
		if !slices.Contains(o.Scopes, s) {
			o.Scopes = append(o.Scopes, s)
		}
	}
	for _, s := range slices.Concat(g.IDClaims, g.UserClaims) {
		if !slices.Contains(o.Claims, s) {
			o.Claims = append(o.Claims, s)
		}
	}
	o.Offline = o.Offline || g.Offline
	if o.Last = g.Created; until.After(o.Until) {
		o.Until = until
	}
}

var errNothing = failure.New(failure.NotFound, "That application has nothing any more that could be ended.")

// EndTx ends all that an application has of an account, inside a change that records it, and has
// the application told. What was ended already is NotFound.
func (c *Connections) EndTx(ctx context.Context, tx *store.Tx, account assurance.AccountID, client string) error {
	all, err := c.gs.all(tx.Query(ctx, `select `+columns+` from oauth_grant where account = $1 and client = $2 and ended = 0`, int64(account), client))
	if err != nil {
		return err
	}
	for _, g := range all {
		if err := c.gs.EndTx(ctx, tx, g); err != nil {
			return err
		}
	}
	waiting, err := c.gs.waiting.read(tx.Query(ctx, `select `+logoutColumns+` from oauth_logout where account = $1 and client = $2`, int64(account), client))
	if err != nil {
		return err
	}
	for _, l := range waiting {
		if err := c.gs.waiting.overTx(ctx, tx, l); err != nil {
			return err
		}
	}
	if len(all) == 0 && len(waiting) == 0 {
		return errNothing
	}
	return nil
}

// Disconnected is the event of an application whose access to an account was ended.
const Disconnected = "client.disconnected"

// EndOwn ends all that an application has of whoever the grant is of.
func (c *Connections) EndOwn(ctx context.Context, by signin.Grant, client string) error {
	return c.gs.db.Change(ctx, by.Actor(), func(tx *store.Tx) error {
		if err := c.EndTx(ctx, tx, by.Account(), client); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: Disconnected, Outcome: audit.OK, Account: int64(by.Account()), AccountName: by.Name(), Application: signin.Self, Protocol: by.Protocol(), Source: by.SourceText(),
			Detail: map[string]string{"application": client}})
	})
}
