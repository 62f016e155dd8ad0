package token

import (
	"context"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"time"
)

const columns = `t.id, t.serial, t.manufacturer, t.kind, t.detail, t.issued, t.seed, t.state, t.account, t.credential, t.batch, t.version, t.created, t.likeness, t.mac`

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

// Stock reads and writes tokens. Reads take the Reader to read from, so that what is
// changed and what it rests on are one transaction.
type Stock struct {
	db   *store.DB
	keys *keyring.Keyring
}

// NewStock makes a Stock.
func NewStock(db *store.DB, keys *keyring.Keyring) *Stock { return &Stock{db, keys} }

// Twin returns the serial of another token that has this secret, and empty for none.
func (s *Stock) Twin(ctx context.Context, r store.Reader, secret []byte, serial string) (string, error) {
	return s.twin(ctx, r, s.keys.MACs(keyring.Token, likenessFields(secret)), serial)
}

func (s *Stock) twin(ctx context.Context, r store.Reader, digests [][]byte, serial string) (string, error) {
	for _, digest := range digests {
		t, err := s.scan(ctx, r.QueryRow(ctx, `select `+columns+` from token t where t.likeness = $1 and t.serial <> $2`, digest, serial))
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
func (s *Stock) Liken(t *Token, secret []byte) {
	if len(t.likeness) == 0 && t.State != Revoked {
		t.likeness = s.keys.MAC(keyring.Token, likenessFields(secret))
	}
}

func (t Token) aad() keyring.AAD {
	return keyring.AAD{Table: "token", Column: "seed", Row: t.id, Account: int64(t.Account)}
}

func (s *Stock) scan(ctx context.Context, row interface{ Scan(dest ...any) error }) (Token, error) {
	var t Token
	var issued, account, credential, created int64
	var sealed, mac []byte
	err := row.Scan(&t.id, &t.Serial, &t.Manufacturer, &t.Kind, &t.Detail, &issued, &sealed, &t.State, &account, &credential, &t.Batch, &t.version, &created, &t.likeness, &mac)
	if err != nil {
		return Token{}, err
	}
	t.Issued, t.Created = store.Time(issued), store.Time(created)
	t.Account, t.Credential = assurance.AccountID(account), assurance.CredentialID(credential)
	if !s.keys.VerifyMAC(keyring.Token, t.fields(sealed), mac) {
		return Token{id: t.id, Serial: t.Serial}, s.tampered(t.id, t.Account)
	}
	if t.Seed, err = s.keys.Open(keyring.Token, t.aad(), sealed); err != nil {
		return Token{id: t.id, Serial: t.Serial}, s.tampered(t.id, t.Account)
	}
	return t, s.newest(ctx, t)
}

// Get returns the token of this serial, as it is printed on the device.
func (s *Stock) Get(ctx context.Context, r store.Reader, serial string) (Token, error) {
	t, err := s.scan(ctx, r.QueryRow(ctx, `select `+columns+` from token t where t.serial = $1`, serial))
	if errors.Is(err, store.ErrNotFound) {
		s.missed(serial)
		return Token{}, unknown
	}
	return t, err
}

// Which chooses tokens. The zero Which is all of them.
type Which struct {
	// Serial is a part of the serial number.
	Serial string
	State  string
	// Owner is whose they are, or were; 0 for anybody's.
	Owner assurance.AccountID
}

// List returns tokens by serial after the given one, at most limit.
func (s *Stock) List(ctx context.Context, r store.Reader, w Which, after string, limit int) ([]Token, error) {
	rows, err := r.Query(ctx, `select `+columns+` from token t where t.serial > $1 and t.serial like $2 escape '!'
		and (cast($3 as text) = '' or t.state = $3) and (cast($4 as bigint) = 0 or t.account = $4) order by t.serial limit $5`,
		after, "%"+escapeLike(w.Serial)+"%", w.State, int64(w.Owner), limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Token
	for rows.Next() {
		t, err := s.scan(ctx, rows)
		switch {
		case errors.Is(err, directory.ErrTampered):
			t = Token{Serial: t.Serial, State: directory.Tampered}
		case err == unknown: // removed since
			continue
		case err != nil:
			return nil, err
		}
		out = append(out, t)
	}
	return out, rows.Err()
}

// atOnce is how many tokens one statement looks for.
const atOnce = 50

var knownSerials = `select serial from token where serial in (` + placeholders(atOnce) + `)`

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
func (s *Stock) Known(ctx context.Context, r store.Reader, serials []string) ([]string, error) {
	var out []string
	for len(serials) > 0 {
		n := min(len(serials), atOnce)
		args := make([]any, atOnce)
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
	rows, err := r.Query(ctx, knownSerials, args...)
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
func (s *Stock) Add(ctx context.Context, tx *store.Tx, tokens []Token) error {
	first := newID()
	for i, t := range tokens {
		t.id, t.State, t.version, t.Account, t.Credential = first+int64(i), InStock, 1, 0, 0
		t.Created, t.Issued = tx.Now().Truncate(time.Microsecond), t.Issued.Truncate(time.Microsecond)
		if err := s.single(ctx, tx, &t); err != nil {
			return err
		}
		if s.missed(t.Serial) {
			return failure.New(failure.Conflict, "A token of the serial number %q was there, and somebody removed its row; nothing was imported.", t.Serial)
		}
		sealed := s.keys.Seal(keyring.Token, t.aad(), t.Seed)
		_, err := tx.Exec(ctx, `insert into token (id, serial, manufacturer, kind, detail, issued, seed, state, batch, created, likeness, mac) values ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)`,
			t.id, t.Serial, t.Manufacturer, t.Kind, t.Detail, store.Unix(t.Issued), sealed, t.State, t.Batch, store.Unix(t.Created), t.likeness, s.keys.MAC(keyring.Token, t.fields(sealed)))
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
func (s *Stock) single(ctx context.Context, tx *store.Tx, t *Token) error {
	if len(t.Secret) == 0 {
		return nil
	}
	digests := s.keys.MACs(keyring.Token, likenessFields(t.Secret))
	t.likeness = digests[0]
	twin, err := s.twin(ctx, tx, digests[1:], t.Serial)
	if err == nil && twin != "" {
		err = failure.New(failure.Conflict, "The token %q has the secret of the token %q, which is there already; nothing was imported.", t.Serial, twin)
	}
	return err
}

// newID makes the number of the first row of several: positive, with room above
// it, and never met twice.
func newID() int64 {
	var b [8]byte
	rand.Read(b[:])
	return int64(binary.BigEndian.Uint64(b[:])>>2) + 1
}

// Update writes where a token is that was read in the same transaction.
// Somebody else's change in between is a Conflict.
func (s *Stock) Update(ctx context.Context, tx *store.Tx, t Token) error {
	old := t.version
	t.version++
	if t.State == Revoked {
		t.likeness = nil
	}
	sealed := s.keys.Seal(keyring.Token, t.aad(), t.Seed)
	n, err := tx.Exec(ctx, `update token set seed = $3, state = $4, account = $5, credential = $6, version = $7, likeness = $8, mac = $9 where id = $1 and version = $2`,
		t.id, old, sealed, t.State, int64(t.Account), int64(t.Credential), t.version, t.likeness, s.keys.MAC(keyring.Token, t.fields(sealed)))
	if err == nil && n != 1 {
		return failure.New(failure.Conflict, "The token was changed meanwhile; try again.")
	}
	tx.Anchor("token", t.id, t.version)
	tx.Anchor(usedSerial, store.NumberOf(t.Serial), 1)
	return err
}

func escapeLike(s string) string {
	return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(s)
}
