// Package ticket issues one-time handles: links, enrollment offers, continuations,
// handovers.
//
// It owns the table ticket. A ticket is a bearer secret, of which only a hash is
// stored, beside a sealed payload. Invariant: of any number of concurrent requests
// exactly one takes the ticket, and none after it expired.
package ticket

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"time"

	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// Parts are what Tickets are made of.
type Parts struct {
	DB   *store.DB
	Keys *keyring.Keyring
	Now  func() time.Time
}

// Tickets issues and takes tickets.
type Tickets struct {
	db   *store.DB
	keys *keyring.Keyring
	now  func() time.Time
}

// New makes Tickets.
func New(p Parts) *Tickets { return &Tickets{db: p.DB, keys: p.Keys, now: p.Now} }

// Spec is a ticket to be issued.
type Spec struct {
	// Kind is what it is for. A ticket of one kind is refused as another.
	Kind string
	// Owner is the account that it belongs to, or 0.
	Owner int64
	// Payload is up to 64 KiB, sealed.
	Payload []byte
	// Lifetime must be positive.
	Lifetime time.Duration
	// Secret is a result of [NewSecret] that somebody holds already; if it is empty
	// a new one is made.
	Secret string
}

// NewSecret returns a secret for a ticket that is issued later.
func NewSecret() string {
	raw := make([]byte, secretSize)
	rand.Read(raw)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// Ticket is the ticket of a secret.
type Ticket struct {
	Owner   int64
	Payload []byte
	Expires time.Time

	name string
}

const secretSize = 24 // 192 bits

var stray = &failure.Error{Class: failure.Refused, Reason: "unknown-ticket", Public: "That link or form is no longer good. Begin again."}

func hash(kind, secret string) ([]byte, bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(secret)
	if err != nil || len(raw) != secretSize {
		return nil, false
	}
	h := sha256.Sum256(append([]byte(kind+"\x00"), raw...))
	return h[:], true
}

// Name returns a name for a secret that does not reveal it.
func Name(secret string) string {
	h := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(h[:12])
}

// Issue stores a ticket in its own transaction and returns its secret.
func (t *Tickets) Issue(ctx context.Context, s Spec) (string, error) {
	var secret string
	err := t.db.Housekeep(ctx, "ticket.issue", func(tx *store.Tx) error {
		var err error
		secret, err = t.IssueTx(ctx, tx, s)
		return err
	})
	return secret, err
}

// IssueTx is Issue inside a change of another package.
func (t *Tickets) IssueTx(ctx context.Context, tx *store.Tx, s Spec) (string, error) {
	if len(s.Payload) > 1<<16 {
		return "", failure.New(failure.Invalid, "The input is too long; at most 64 KiB.")
	}
	if s.Lifetime <= 0 || s.Kind == "" {
		return "", failure.New(failure.Internal, "a ticket without kind or lifetime")
	}
	secret := s.Secret
	if secret == "" {
		secret = NewSecret()
	}
	h, ok := hash(s.Kind, secret)
	if !ok {
		return "", failure.New(failure.Internal, "a ticket's secret of another form")
	}
	now := t.now()
	r := row{hash: h, kind: s.Kind, owner: s.Owner, created: store.Unix(now), expires: store.Unix(now.Add(s.Lifetime))}
	r.created = max(r.created, t.epoch(&r))
	r.sealed = t.keys.Seal(keyring.Ticket, r.aad(), s.Payload)
	_, err := tx.Exec(ctx, `insert into ticket (hash, kind, owner, payload, created, expires) values ($1,$2,$3,$4,$5,$6)`,
		r.hash, r.kind, r.owner, r.sealed, r.created, r.expires)
	return secret, err
}

// Peek returns the ticket of a secret without using it up. For an unknown, used or
// expired secret, or one of another kind, it returns the same Refused failure.
func (t *Tickets) Peek(ctx context.Context, kind, secret string) (Ticket, error) {
	h, ok := hash(kind, secret)
	if !ok {
		return Ticket{}, stray
	}
	r, err := scan(t.db.QueryRow(ctx, `select `+columns+` from ticket where hash = $1 and kind = $2`, h, kind))
	if err != nil {
		return Ticket{}, err
	}
	switch over, back := t.over(r); {
	case back:
		return Ticket{}, t.again(ctx, r)
	case over:
		return Ticket{}, stray
	}
	return t.open(r)
}

// Take returns the ticket of a secret and uses it up.
func (t *Tickets) Take(ctx context.Context, kind, secret string) (Ticket, error) {
	var out Ticket
	err := t.db.Housekeep(ctx, "ticket.take", func(tx *store.Tx) error {
		var err error
		out, err = t.TakeTx(ctx, tx, kind, secret)
		if failure.ClassOf(err) == failure.Refused {
			return store.Keep(err) // a late one is gone all the same
		}
		return err
	})
	return out, err
}

// TakeTx is Take inside a change of another package; the ticket is used up if that commits.
func (t *Tickets) TakeTx(ctx context.Context, tx *store.Tx, kind, secret string) (Ticket, error) {
	h, ok := hash(kind, secret)
	if !ok {
		return Ticket{}, stray
	}
	r, err := scan(tx.QueryRow(ctx, `delete from ticket where hash = $1 and kind = $2 returning `+columns, h, kind))
	if err != nil {
		return Ticket{}, err
	}
	switch over, back := t.over(r); {
	case back:
		return Ticket{}, t.refuse(r, store.Returned) // it was there: this change took it
	case over:
		return Ticket{}, stray
	}
	out, err := t.open(r)
	if err == nil {
		out.TakenTx(tx)
	}
	return out, err
}

// TakenTx records in the entry of a change that a ticket was taken before it, so that all
// servers know, not only the one that took it.
func (t Ticket) TakenTx(tx *store.Tx) { tx.End(table, t.name, t.Expires) }

// VoidTx invalidates all tickets of a kind without an owner, inside a change of another
// package.
func (t *Tickets) VoidTx(ctx context.Context, tx *store.Tx, kind string) error {
	number := store.NumberOf(kind)
	tx.Anchor(table, number, max(store.Unix(t.now()), t.db.Newest(table, number))+1)
	_, err := tx.Exec(ctx, `delete from ticket where owner = 0 and kind = $1`, kind)
	return err
}

// Sweep deletes expired tickets.
func (t *Tickets) Sweep(ctx context.Context) error {
	return t.db.Housekeep(ctx, "ticket.sweep", func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `delete from ticket where expires < $1`, store.Unix(t.now()))
		return err
	})
}
