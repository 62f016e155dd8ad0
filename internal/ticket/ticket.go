// Package ticket issues one-time handles: links, enrollment offers, errands,
// handovers.
//
// It owns the table ticket. A ticket is a secret for its bearer, of which only
// a hash is stored, with a sealed payload behind it. It decides nothing. Its one
// invariant: of any number of takers at once, exactly one gets the ticket, and
// none after its time.
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

// Tickets issues and takes.
type Tickets struct {
	db   *store.DB
	keys *keyring.Keyring
	now  func() time.Time
}

// New makes Tickets.
func New(p Parts) *Tickets { return &Tickets{db: p.DB, keys: p.Keys, now: p.Now} }

// Spec is a ticket to be issued.
type Spec struct {
	// Kind is what it is for: a ticket of one kind is nothing to another.
	Kind string
	// Owner is the account whose it is, or 0.
	Owner int64
	// Payload is up to 64 KiB, sealed.
	Payload []byte
	// Lifetime must be positive.
	Lifetime time.Duration
	// Secret is one that [NewSecret] made and that somebody holds already; empty
	// makes one.
	Secret string
}

// NewSecret makes a secret for a ticket that is issued later.
func NewSecret() string {
	raw := make([]byte, secretSize)
	rand.Read(raw)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// Ticket is what was behind a secret.
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

// Name returns what a secret may be called where it must not be told.
func Name(secret string) string {
	h := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(h[:12])
}

// Issue makes a ticket in a transaction of its own and returns its secret.
func (t *Tickets) Issue(ctx context.Context, s Spec) (string, error) {
	var secret string
	err := t.db.Housekeep(ctx, "ticket.issue", func(tx *store.Tx) error {
		var err error
		secret, err = t.IssueIn(ctx, tx, s)
		return err
	})
	return secret, err
}

// IssueIn is Issue inside another room's change.
func (t *Tickets) IssueIn(ctx context.Context, tx *store.Tx, s Spec) (string, error) {
	if len(s.Payload) > 1<<16 {
		return "", failure.New(failure.Invalid, "That is too long; 64 KiB at most.")
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

// Peek returns what is behind a secret and leaves it there. An unknown, used,
// late or other kind's secret is a Refused failure, and cannot be told apart.
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

// Take uses a ticket up.
func (t *Tickets) Take(ctx context.Context, kind, secret string) (Ticket, error) {
	var out Ticket
	err := t.db.Housekeep(ctx, "ticket.take", func(tx *store.Tx) error {
		var err error
		out, err = t.TakeIn(ctx, tx, kind, secret)
		if failure.ClassOf(err) == failure.Refused {
			return store.Keep(err) // a late one is gone all the same
		}
		return err
	})
	return out, err
}

// TakeIn is Take inside another room's change: used up if that commits.
func (t *Tickets) TakeIn(ctx context.Context, tx *store.Tx, kind, secret string) (Ticket, error) {
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
		out.TakenIn(tx)
	}
	return out, err
}

// TakenIn has the entry of a change say that a ticket was taken before it: so every server
// knows, and not only the one that took it.
func (t Ticket) TakenIn(tx *store.Tx) { tx.End(table, t.name, t.Expires) }

// VoidIn takes every ticket of a kind away that nobody owns, inside another room's
// change: whoever holds one holds nothing.
func (t *Tickets) VoidIn(ctx context.Context, tx *store.Tx, kind string) error {
	number := store.NumberOf(kind)
	tx.Anchor(table, number, max(store.Unix(t.now()), t.db.Newest(table, number))+1)
	_, err := tx.Exec(ctx, `delete from ticket where owner = 0 and kind = $1`, kind)
	return err
}

// Sweep deletes what is late.
func (t *Tickets) Sweep(ctx context.Context) error {
	return t.db.Housekeep(ctx, "ticket.sweep", func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `delete from ticket where expires < $1`, store.Unix(t.now()))
		return err
	})
}
