package directory

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// States of a hardware token. Only one in stock can be assigned.
const (
	TokenStock    = "stock"
	TokenAssigned = "assigned"
	TokenReturned = "returned" // it came back and has shown nothing yet
	TokenLost     = "lost"
	TokenRevoked  = "revoked" // for good; its seed is erased
)

// Token is one hardware token. Its seed is here only while nobody has it.
type Token struct {
	id           int64
	Serial       string
	Manufacturer string
	Kind         string // hotp, totp, ocra
	// Detail says hash, digits and period, for people.
	Detail string
	// Issued is the day it was made, where its file said so.
	Issued time.Time
	// Seed is the authenticator's own state, unsealed; empty while the token is
	// assigned, and for good when it is revoked.
	Seed  []byte
	State string
	// Secret is what makes its answers, said when it is added; only its keyed digest is
	// kept, so that a second token of one secret is known.
	Secret []byte
	// likeness is that digest; empty for what was imported before there was one.
	likeness []byte
	// Account and Credential are whose it is, or was last; 0 for nobody yet.
	Account    assurance.AccountID
	Credential assurance.CredentialID
	// Batch is the digest of the import that it came with.
	Batch   string
	Created time.Time
	version int64
}

const tokenColumns = `t.id, t.serial, t.manufacturer, t.kind, t.detail, t.issued, t.seed, t.state, t.account, t.credential, t.batch, t.version, t.created, t.likeness, t.mac`

func (t Token) fields(sealed []byte) *keyring.Fields {
	f := keyring.NewFields().Int(t.id).String(t.Serial).String(t.Manufacturer).String(t.Kind).String(t.Detail).
		Int(store.Unix(t.Issued)).String(t.State).Int(int64(t.Account)).Int(int64(t.Credential)).String(t.Batch).
		Int(t.version).Int(store.Unix(t.Created)).Bytes(sealed)
	if len(t.likeness) > 0 { // rows of before have none
		f.Bytes(t.likeness)
	}
	return f
}

// likenessFields are no row's: no row begins with this text.
func likenessFields(secret []byte) *keyring.Fields {
	return keyring.NewFields().String("token likeness").Bytes(secret)
}

// Tokens reads and writes hardware tokens.
type Tokens struct{ kept }

// NewTokens makes Tokens.
func NewTokens(p Parts) *Tokens { return &Tokens{keptBy(p)} }

// Twin returns the serial of another token that has this secret, and empty for none.
func (ts *Tokens) Twin(ctx context.Context, r store.Reader, secret []byte, serial string) (string, error) {
	return ts.twin(ctx, r, ts.keys.MACs(keyring.Token, likenessFields(secret)), serial)
}

func (ts *Tokens) twin(ctx context.Context, r store.Reader, digests [][]byte, serial string) (string, error) {
	for _, digest := range digests {
		t, err := ts.scan(ctx, r.QueryRow(ctx, `select `+tokenColumns+` from token t where t.likeness = $1 and t.serial <> $2`, digest, serial))
		if err == nil {
			return t.Serial, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return "", err
		}
	}
	return "", nil
}

// Liken says what makes a token's answers, where that was not known when it came.
func (ts *Tokens) Liken(t *Token, secret []byte) {
	if len(t.likeness) == 0 && t.State != TokenRevoked {
		t.likeness = ts.keys.MAC(keyring.Token, likenessFields(secret))
	}
}

func (t Token) aad() keyring.AAD {
	return keyring.AAD{Table: "token", Column: "seed", Row: t.id, Account: int64(t.Account)}
}

func (ts *Tokens) scan(ctx context.Context, row scanner) (Token, error) {
	var t Token
	var issued, account, credential, created int64
	var sealed, mac []byte
	err := row.Scan(&t.id, &t.Serial, &t.Manufacturer, &t.Kind, &t.Detail, &issued, &sealed, &t.State, &account, &credential, &t.Batch, &t.version, &created, &t.likeness, &mac)
	if err != nil {
		return Token{}, err
	}
	t.Issued, t.Created = store.Time(issued), store.Time(created)
	t.Account, t.Credential = assurance.AccountID(account), assurance.CredentialID(credential)
	if !ts.keys.VerifyMAC(keyring.Token, t.fields(sealed), mac) {
		return Token{id: t.id, Serial: t.Serial}, ts.tampered("token", t.id, t.Account)
	}
	if t.Seed, err = ts.keys.Open(keyring.Token, t.aad(), sealed); err != nil {
		return Token{id: t.id, Serial: t.Serial}, ts.tampered("token", t.id, t.Account)
	}
	return t, ts.newest(ctx, "token", t.id, t.version, t.Account)
}

// Get returns the token of this serial, as it is printed on the device.
func (ts *Tokens) Get(ctx context.Context, r store.Reader, serial string) (Token, error) {
	t, err := ts.scan(ctx, r.QueryRow(ctx, `select `+tokenColumns+` from token t where t.serial = $1`, serial))
	if errors.Is(err, store.ErrNotFound) {
		ts.missed(serial)
		return Token{}, &failure.Error{Class: failure.NotFound, Public: "There is no token of that serial number.", Reason: "unknown-token"}
	}
	return t, err
}

// usedSerial is the kind of the serial number of a token that was more than imported: the
// log says so too, so that nobody imports it anew who has removed its row.
const usedSerial = "serial"

// missed reports a token that is not there and was used, and whether it was.
func (ts *Tokens) missed(serial string) bool {
	was := ts.db.Newest(usedSerial, store.NumberOf(serial)) > 0
	if was {
		ts.report("token", serial, store.Missing, 0)
	}
	return was
}

// WhichTokens chooses tokens. The zero WhichTokens is all of them.
type WhichTokens struct {
	// Serial is a part of the serial number.
	Serial string
	State  string
	// Owner is whose they are, or were; 0 for anybody's.
	Owner assurance.AccountID
}

// List returns tokens by serial after the given one, at most limit.
func (ts *Tokens) List(ctx context.Context, r store.Reader, w WhichTokens, after string, limit int) ([]Token, error) {
	rows, err := r.Query(ctx, `select `+tokenColumns+` from token t where t.serial > $1 and t.serial like $2 escape '!'
		and (cast($3 as text) = '' or t.state = $3) and (cast($4 as bigint) = 0 or t.account = $4) order by t.serial limit $5`,
		after, "%"+escapeLike(w.Serial)+"%", w.State, int64(w.Owner), limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Token
	for rows.Next() {
		t, err := ts.scan(ctx, rows)
		switch {
		case errors.Is(err, ErrTampered):
			t = Token{Serial: t.Serial, State: Tampered}
		case err == unknown: // removed since
			continue
		case err != nil:
			return nil, err
		}
		out = append(out, t)
	}
	return out, rows.Err()
}

// tokensAtOnce is how many tokens one statement looks for.
const tokensAtOnce = 50

var knownTokens = `select serial from token where serial in (` + placeholders(tokensAtOnce) + `)`

// placeholders writes n arguments.
func placeholders(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("$" + strconv.Itoa(i+1))
	}
	return b.String()
}

// Known returns those of the serials that exist already.
func (ts *Tokens) Known(ctx context.Context, r store.Reader, serials []string) ([]string, error) {
	var out []string
	for len(serials) > 0 {
		n := min(len(serials), tokensAtOnce)
		args := make([]any, tokensAtOnce)
		for i := range args {
			args[i] = serials[min(i, n-1)]
		}
		found, err := serialsOf(ctx, r, args)
		if err != nil {
			return nil, err
		}
		out, serials = append(out, found...), serials[n:]
	}
	return out, nil
}

func serialsOf(ctx context.Context, r store.Reader, args []any) ([]string, error) {
	rows, err := r.Query(ctx, knownTokens, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var serial string
		if err := rows.Scan(&serial); err != nil {
			return nil, err
		}
		out = append(out, serial)
	}
	return out, rows.Err()
}

// Add puts tokens into stock, all or none: a serial that exists is a
// Conflict, which ends the transaction. Each has a statement of its own: SQLite
// keeps a journal in memory for every one that writes several rows, and that
// grows with the square of a large import.
func (ts *Tokens) Add(ctx context.Context, tx *store.Tx, tokens []Token) error {
	first := tokenID()
	for i, t := range tokens {
		t.id, t.State, t.version, t.Account, t.Credential = first+int64(i), TokenStock, 1, 0, 0
		t.Created, t.Issued = tx.Now().Truncate(time.Microsecond), t.Issued.Truncate(time.Microsecond)
		if err := ts.single(ctx, tx, &t); err != nil {
			return err
		}
		if ts.missed(t.Serial) {
			return failure.New(failure.Conflict, "A token of the serial number %q was there, and somebody removed its row; nothing was imported.", t.Serial)
		}
		sealed := ts.keys.Seal(keyring.Token, t.aad(), t.Seed)
		_, err := tx.Exec(ctx, `insert into token (id, serial, manufacturer, kind, detail, issued, seed, state, batch, created, likeness, mac) values ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)`,
			t.id, t.Serial, t.Manufacturer, t.Kind, t.Detail, store.Unix(t.Issued), sealed, t.State, t.Batch, store.Unix(t.Created), t.likeness, ts.keys.MAC(keyring.Token, t.fields(sealed)))
		if errors.Is(err, store.ErrConflict) {
			return failure.New(failure.Conflict, "A token of the serial number %q, or of the same secret, is there already; nothing was imported.", t.Serial)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// single refuses a secret that another token has, also one of the same file. The
// index refuses those under the newest key; only under older ones must be looked.
func (ts *Tokens) single(ctx context.Context, tx *store.Tx, t *Token) error {
	if len(t.Secret) == 0 {
		return nil
	}
	digests := ts.keys.MACs(keyring.Token, likenessFields(t.Secret))
	t.likeness = digests[0]
	twin, err := ts.twin(ctx, tx, digests[1:], t.Serial)
	if err == nil && twin != "" {
		err = failure.New(failure.Conflict, "The token %q has the secret of the token %q, which is there already; nothing was imported.", t.Serial, twin)
	}
	return err
}

// tokenID makes the number of the first row of several: positive, with room above
// it, and never met twice.
func tokenID() int64 {
	var b [8]byte
	rand.Read(b[:])
	return int64(binary.BigEndian.Uint64(b[:])>>2) + 1
}

// Update writes where a token is that was read in the same transaction.
// Somebody else's change in between is a Conflict.
func (ts *Tokens) Update(ctx context.Context, tx *store.Tx, t Token) error {
	old := t.version
	t.version++
	if t.State == TokenRevoked {
		t.likeness = nil
	}
	sealed := ts.keys.Seal(keyring.Token, t.aad(), t.Seed)
	n, err := tx.Exec(ctx, `update token set seed = $3, state = $4, account = $5, credential = $6, version = $7, likeness = $8, mac = $9 where id = $1 and version = $2`,
		t.id, old, sealed, t.State, int64(t.Account), int64(t.Credential), t.version, t.likeness, ts.keys.MAC(keyring.Token, t.fields(sealed)))
	if err == nil && n != 1 {
		return failure.New(failure.Conflict, "The token was changed meanwhile; try again.")
	}
	tx.Anchor("token", t.id, t.version)
	tx.Anchor(usedSerial, store.NumberOf(t.Serial), 1)
	return err
}
