package oauth

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

const idSize = 16

// number is how an id is written.
func number(id []byte) string { return base64.RawURLEncoding.EncodeToString(id) }

func parseNumber(s string) ([]byte, bool) {
	id, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return id, err == nil && len(id) == idSize
}

// fields are all that a row says: who changes one of them has no grant.
func (g *Given) fields() *keyring.Fields {
	return keyring.LongFields().String(table).Bytes(g.ID).Int(int64(g.Account)).String(g.Client).String(g.Session).Int(g.step).Bytes(g.sealed).
		Int(store.Unix(g.Created)).Int(store.Unix(g.Expires)).Int(store.Unix(g.ended))
}

func (g *Given) place() keyring.AAD {
	return keyring.AAD{Table: table, Column: "payload", Key: number(g.ID), Account: int64(g.Account)}
}

// seal seals what the row holds anew and authenticates it.
func (gs *Grants) seal(g *Given) error {
	plain, err := json.Marshal(g.payload)
	if err != nil {
		return err
	}
	g.sealed = gs.keys.Seal(keyring.OAuth, g.place(), plain)
	g.mac = gs.keys.MAC(keyring.OAuth, g.fields())
	return nil
}

const columns = `id, account, client, session, step, payload, created, expires, ended, mac`

// scan reads a row. One that is not as it was left is reported, and is no grant; its id is
// returned all the same.
func (gs *Grants) scan(from interface{ Scan(...any) error }) (*Given, error) {
	g := &Given{}
	var account, created, expires, ended int64
	if err := from.Scan(&g.ID, &account, &g.Client, &g.Session, &g.step, &g.sealed, &created, &expires, &ended, &g.mac); err != nil {
		if errors.Is(err, store.ErrNotFound) {
			return nil, over
		}
		return nil, err
	}
	g.Account = assurance.AccountID(account)
	g.Created, g.Expires, g.ended = store.Time(created), store.Time(expires), store.Time(ended)
	if gs.known.opened(g) {
		return g, nil
	}
	if !gs.keys.VerifyMAC(keyring.OAuth, g.fields(), g.mac) || !gs.open(g) {
		gs.report(g, store.Altered)
		return g, errAltered
	}
	return g, nil
}

var errAltered = errors.New("oauth: a row that is not as it was left")

func (gs *Grants) open(g *Given) bool {
	plain, err := gs.keys.Open(keyring.OAuth, g.place(), g.sealed)
	if err != nil {
		return false
	}
	var p payload
	if json.Unmarshal(plain, &p) != nil || string(p.ID) != string(g.ID) {
		return false
	}
	g.payload = p
	return true
}

func (gs *Grants) report(g *Given, wrong string) {
	row := number(g.ID)
	gs.db.Report(store.Finding{Table: table, Row: row[:min(len(row), 40)], Wrong: wrong, Account: int64(g.Account)})
}

// read returns the grant of an id if it stands. What is unknown, ended or put back is the same
// Refused failure.
func (gs *Grants) read(ctx context.Context, from store.Reader, id []byte) (*Given, error) {
	g, err := gs.scan(from.QueryRow(ctx, `select `+columns+` from oauth_grant where id = $1`, id))
	switch {
	case errors.Is(err, errAltered):
		return nil, over
	case err != nil:
		return nil, err
	case !g.ended.IsZero():
		return nil, over
	case gs.returned(g):
		return nil, gs.again(ctx, g)
	case !gs.now().Before(g.Expires):
		return nil, over
	}
	return g, nil
}

// standing is [Grants.read] for an access token: the row as it was left within [trust] does as well.
func standing(ctx context.Context, gs *Grants, id []byte) (*Given, error) {
	if g, ok := gs.known.fresh(id); ok && !gs.returned(&g) {
		return &g, nil
	}
	return readNow(ctx, gs, id)
}

// readNow is [Grants.read] of what is committed, which is remembered.
func readNow(ctx context.Context, gs *Grants, id []byte) (*Given, error) {
	place := gs.db.Feed().Place()
	g, err := gs.read(ctx, gs.db, id)
	if err == nil {
		gs.known.keep(place, g)
	}
	return g, err
}

// returned reports whether it is known outside the database that a row is over: ended, or as
// it was before a step.
func (gs *Grants) returned(g *Given) bool {
	return gs.db.Over(table, number(g.ID)) || gs.db.Over(table, keyring.SealName(g.sealed))
}

// again refuses a row that somebody put back. It is read once more, since it may have moved on
// since it was read: then there is nothing to report.
func (gs *Grants) again(ctx context.Context, g *Given) error {
	var one int
	err := gs.db.QueryRow(ctx, `select 1 from oauth_grant where id = $1 and mac = $2 and ended = 0`, g.ID, g.mac).Scan(&one)
	if err == nil {
		gs.report(g, store.Returned)
	}
	if err == nil || errors.Is(err, store.ErrNotFound) {
		return over
	}
	return err
}

// The kinds of tokens. What is sealed as one opens as no other.
const (
	codeKind    = "code"
	refreshKind = "refresh"
	accessKind  = "access"
)

// tokenMost is how long a token of ours can be. Anything longer is looked at no further.
const tokenMost = 512

// claim is what a token says: its row, its step, and of an access token until when it is good,
// for what, and with which key.
type claim struct {
	id     []byte
	step   int64
	until  time.Time
	scopes string
	key    string
}

// keyMark stands between the scopes and the key: no scope has it (RFC 6749 section 3.3).
const keyMark = "\x00"

// AccessMark begins every access token, so that a program tells one of ours from what is another's
// without opening it, and scanners for secrets find it.
const AccessMark = "csat_"

// wrapper makes tokens of claims, and reads them back.
type wrapper struct{ keys *keyring.Keyring }

func tokenPlace(kind string) keyring.AAD { return keyring.AAD{Table: table, Column: kind} }

func (w wrapper) token(kind string, c claim) string {
	plain := append([]byte{}, c.id...)
	plain = binary.AppendVarint(plain, c.step)
	plain = binary.AppendVarint(plain, store.Unix(c.until))
	plain = append(plain, c.scopes...)
	if c.key != "" {
		plain = append(append(plain, keyMark...), c.key...)
	}
	token := base64.RawURLEncoding.EncodeToString(w.keys.Seal(keyring.OAuth, tokenPlace(kind), plain))
	if kind == accessKind {
		token = AccessMark + token
	}
	return token
}

// claimOf opens a token of a kind: whole, or not at all.
func (w wrapper) claimOf(kind, token string) (claim, error) {
	if token == "" || len(token) > tokenMost || strings.ContainsAny(token, "\r\n") { // which base64 would skip
		return claim{}, over
	}
	if kind == accessKind {
		var ours bool
		if token, ours = strings.CutPrefix(token, AccessMark); !ours {
			return claim{}, over
		}
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return claim{}, over
	}
	plain, err := w.keys.Open(keyring.OAuth, tokenPlace(kind), raw)
	if err != nil || len(plain) < idSize {
		return claim{}, over
	}
	c := claim{id: plain[:idSize]}
	rest := plain[idSize:]
	var n int
	if c.step, n = binary.Varint(rest); n <= 0 {
		return claim{}, over
	}
	rest = rest[n:]
	until, n := binary.Varint(rest)
	if n <= 0 {
		return claim{}, over
	}
	c.until = store.Time(until)
	c.scopes, c.key, _ = strings.Cut(string(rest[n:]), keyMark)
	return c, nil
}
