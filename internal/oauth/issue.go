package oauth

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Tokens are what a client gets for a code or a refresh token. They are secret.
type Tokens struct {
	Access string
	// Lasts is how long the access token is good.
	Lasts time.Duration
	// Refresh is empty where none was asked for.
	Refresh string
}

// Terms say what tokens are issued.
type Terms struct {
	// Lasts is how long an access token is good, Refresh whether there is a refresh token.
	Lasts   time.Duration
	Refresh bool
	// Scopes are those of the access token, among the grant's.
	Scopes []string
	// Key is the thumbprint of the key that the tokens are bound to; empty is none.
	Key string
	// Keep has the refresh token stay the one that it is when it is used (FAPI 2.0 Security Profile,
	// section 5.3.2.1), which takes a Key: there is no next one.
	Keep bool
	// Beside is done while the change is written, with the access token; nil is nothing. What it
	// makes is nobody's unless Issue returns without an error.
	Beside func(access string) error
}

var (
	errNoSession = failure.New(failure.Internal, "a code was to be issued without a session")
	errOther     = failure.New(failure.Internal, "tokens were to be issued for another grant")
)

// Begin writes down what a client is given for a grant of the engine, and returns the code for
// it: good once, for [CodeLife].
func (gs *Grants) Begin(ctx context.Context, by signin.Grant, s Spec) (string, error) {
	if by.Session() == "" {
		return "", errNoSession
	}
	until, err := until(ctx, gs.sessions, by, s)
	if err != nil {
		return "", err
	}
	var code string
	var given *Given
	place := gs.db.Feed().Place()
	err = gs.db.Change(ctx, by.Actor(), func(tx *store.Tx) error {
		g, issued, err := s.beginTx(ctx, tx, gs, by, until)
		if err != nil {
			return err
		}
		code, given = issued, g
		en := g.logged("client.authorized", audit.OK, "")
		en.Detail["scopes"] = strings.Join(s.Scopes, " ")
		return tx.Record(en)
	})
	if err == nil {
		gs.known.keep(place, given)
	}
	return code, err
}

// beginTx writes down what a client is given, inside a change that records it, and until when it is
// to be told that the session is over.
func (s Spec) beginTx(ctx context.Context, tx *store.Tx, gs *Grants, by signin.Grant, until time.Time) (*Given, string, error) {
	id := newID(tx.Now())
	if s.Lasts <= 0 {
		s.Lasts = longest
	}
	life := CodeLife
	if s.Device {
		life = DeviceLife // it is fetched by a device that asks from time to time, and never leaves this server
	}
	now := tx.Now().Truncate(time.Microsecond)
	g := &Given{payload: payload{ID: id, Name: by.Name(), Source: by.SourceText(), Spec: s, Evidence: by.Evidence(), Code: now.Add(life)},
		Account: by.Account(), Client: by.Application(), Session: by.Session(), Created: now, Expires: now.Add(s.Lasts)}
	if err := gs.seal(g); err != nil {
		return nil, "", err
	}
	_, err := tx.Expect(ctx, 1, `insert into oauth_grant (id, account, client, session, step, payload, created, expires, mac) values ($1,$2,$3,$4,$5,$6,$7,$8,$9)`,
		g.ID, int64(g.Account), g.Client, g.Session, g.step, g.sealed, store.Unix(g.Created), store.Unix(g.Expires), g.mac)
	if err == nil {
		err = gs.waiting.joins(ctx, tx, g, until)
	}
	return g, gs.wrap.token(codeKind, claim{id: id, until: g.Code}), err
}

// newID is the id of a row. It begins with the time, so that rows of one time lie beside each other
// in the database, however many there are of other times: a sign-in writes the same few pages as the
// one before it. It is no secret: who has it has no token of it.
func newID(now time.Time) []byte {
	id := binary.BigEndian.AppendUint64(make([]byte, 0, idSize), uint64(now.UnixMilli())<<16)[:idSize]
	rand.Read(id[6:])
	return id
}

// ByCode returns the grant of a code, to the client that it was issued to. The code is not used
// up. One that was used already is an error of [IsReused], with its grant.
func (gs *Grants) ByCode(ctx context.Context, client, code string) (*Given, error) {
	_, g, err := gs.named(ctx, codeKind, code)
	switch {
	case err != nil:
		return nil, err
	case g.Used():
		return g, reused
	case g.Client != client:
		return g, errOtherClient
	case !gs.now().Before(g.Code):
		return nil, over
	}
	return g, nil
}

// ByRefresh returns the grant of a refresh token, to the client that it was issued to. One that
// was replaced already is an error of [IsReused], with its grant.
func (gs *Grants) ByRefresh(ctx context.Context, client, token string) (*Given, error) {
	return gs.ByRefreshWithin(ctx, client, token, 0)
}

// ByRefreshWithin is ByRefresh for a client that may bring a token once more for so long after it
// was replaced, as one does that refreshes twice at once. It is the token before the one that
// stands, and no older one.
func (gs *Grants) ByRefreshWithin(ctx context.Context, client, token string, grace time.Duration) (*Given, error) {
	c, g, err := gs.named(ctx, refreshKind, token)
	switch {
	case err != nil:
		return nil, err
	case g.Client != client:
		return g, errOtherClient
	case c.step != g.step && c.step == g.step-1 && c.step > 0 && gs.now().Sub(g.Turned) < grace:
		g.again = true
	case c.step != g.step:
		return g, reused
	}
	return g, nil
}

// named opens a token of a kind and reads the grant that it names.
func (gs *Grants) named(ctx context.Context, kind, token string) (claim, *Given, error) {
	c, err := gs.wrap.claimOf(kind, token)
	if err != nil {
		return claim{}, nil, err
	}
	g, err := readNow(ctx, gs, c.id)
	return c, g, err
}

// Access is what an access token is good for.
type Access struct {
	Given *Given
	// Scopes are those of this token, Until is when it ends.
	Scopes []string
	Until  time.Time
	// Key is the thumbprint of the key that this token is bound to; empty is none.
	Key string
}

// ByAccess returns the grant of an access token, and what that token is good for.
func (gs *Grants) ByAccess(ctx context.Context, token string) (Access, error) {
	c, err := gs.wrap.claimOf(accessKind, token)
	if err != nil {
		return Access{}, err
	}
	if !gs.now().Before(c.until) {
		return Access{}, over
	}
	g, err := standing(ctx, gs, c.id)
	if err != nil {
		return Access{}, err
	}
	return Access{Given: g, Scopes: strings.Fields(c.scopes), Until: c.until, Key: c.key}, nil
}

var (
	reused         = &failure.Error{Class: failure.Refused, Reason: "reused", Public: over.Public}
	errOtherClient = &failure.Error{Class: failure.Refused, Reason: "other-client", Public: over.Public}
)

// IsReused reports whether a code or a refresh token was used before, and IsStolen whether it
// came by a client that it was not issued to. Either ends the grant ([Grants.Misused]).
func IsReused(err error) bool { return errors.Is(err, reused) }

// IsStolen is described at [IsReused].
func IsStolen(err error) bool { return errors.Is(err, errOtherClient) }

// Issue uses up the code or the refresh token by which g was found, and issues tokens for a
// grant that the engine gave over g. If it was used meanwhile, that is an error of [IsReused].
func (gs *Grants) Issue(ctx context.Context, by signin.Grant, g *Given, t Terms) (Tokens, error) {
	if by.Account() != g.Account || by.Application() != g.Client || !by.Covers(g.Client, signin.SignIn, "") || t.Lasts <= 0 || !subset(t.Scopes, g.Scopes) {
		return Tokens{}, errOther
	}
	if g.again || t.Keep && g.Used() {
		return gs.issueAgain(ctx, by, g, t)
	}
	event, was, now := "client.tokens", *g, *g
	if g.Used() {
		event = "client.refreshed"
	}
	now.step++
	now.Key, now.Turned = t.Key, gs.now()
	if err := gs.seal(&now); err != nil {
		return Tokens{}, err
	}
	tokens := gs.tokens(&now, t)
	done := t.beside(tokens.Access)
	place := gs.db.Feed().Place()
	err := gs.db.Change(ctx, by.Actor(), func(tx *store.Tx) error {
		n, err := tx.Exec(ctx, `update oauth_grant set step = $3, payload = $4, mac = $5 where id = $1 and mac = $2`, now.ID, was.mac, now.step, now.sealed, now.mac)
		if err != nil {
			return err
		}
		if n == 0 {
			return reused
		}
		tx.End(table, sealName(was), was.Expires)
		return tx.Record(now.logged(event, audit.OK, ""))
	})
	if err == nil {
		gs.known.keep(place, &now)
	}
	if failed := done(); err == nil {
		err = failed
	}
	if err != nil {
		return Tokens{}, err
	}
	return tokens, nil
}

// beside begins what is done beside a change, and returns what waits for its end.
func (t Terms) beside(access string) (wait func() error) {
	if t.Beside == nil {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() {
		defer func() {
			if fault := recover(); fault != nil {
				done <- failure.New(failure.Internal, "what was to be done beside tokens failed: %v", fault)
			}
		}()
		done <- t.Beside(access)
	}()
	return func() error { return <-done }
}

// issueAgain issues the tokens of the step that stands once more: to the key that it is bound to, or
// where the refresh token stays as it is to the key that is shown, without another refresh token. If
// it moved on meanwhile nobody gets anything, and nothing ends.
func (gs *Grants) issueAgain(ctx context.Context, by signin.Grant, g *Given, t Terms) (Tokens, error) {
	reason := ""
	switch {
	case g.again && g.Key != t.Key, t.Keep && t.Key == "":
		return Tokens{}, over
	case g.again:
		reason = "again"
	case t.Keep:
		t.Refresh = false
	}
	tokens := gs.tokens(g, t)
	done := t.beside(tokens.Access)
	err := gs.db.Change(ctx, by.Actor(), func(tx *store.Tx) error {
		var one int
		err := tx.QueryRow(ctx, `select 1 from oauth_grant where id = $1 and mac = $2 and ended = 0`, g.ID, g.mac).Scan(&one)
		if errors.Is(err, store.ErrNotFound) {
			return over
		}
		if err != nil {
			return err
		}
		return tx.Record(g.logged("client.refreshed", audit.OK, reason))
	})
	if failed := done(); err == nil {
		err = failed
	}
	if err != nil {
		return Tokens{}, err
	}
	return tokens, nil
}

func (gs *Grants) tokens(g *Given, t Terms) Tokens {
	until := gs.now().Add(t.Lasts)
	if until.After(g.Expires) {
		until = g.Expires
	}
	out := Tokens{Lasts: until.Sub(gs.now()).Truncate(time.Second), Access: gs.wrap.token(accessKind, claim{id: g.ID, step: g.step, until: until, scopes: strings.Join(t.Scopes, " "), key: t.Key})}
	if t.Refresh {
		out.Refresh = gs.wrap.token(refreshKind, claim{id: g.ID, step: g.step, until: g.Expires})
	}
	return out
}

func subset(some, all []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}
