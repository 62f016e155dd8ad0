package session

import (
	"context"
	"encoding/json"
	"time"

	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/ticket"
)

// Handover says to whom a session is handed.
type Handover struct {
	// Host is the origin of the host that is to have a session of its own.
	Host string
	// Browser is what the host will know the browser by: the hash of a random
	// cookie that it has there. A code that was made for one browser begins
	// nothing in another.
	Browser string
}

// handover is a session on its way to another host.
type handover struct {
	Number string
	Handover
}

const handoverKind, handoverLife = "handover", time.Minute

// Handovers hands sessions to other hosts.
type Handovers struct {
	db      *store.DB
	rows    *rows
	tickets *ticket.Tickets
}

// NewHandovers makes the Handovers of sessions.
func NewHandovers(s *Sessions, t *ticket.Tickets) *Handovers {
	return &Handovers{db: s.db, rows: s.rows, tickets: t}
}

// Derive returns a code, good once and for a minute, with which the host can
// begin a session of its own in that browser, which hangs from this one.
func (hs *Handovers) Derive(ctx context.Context, secret string, to Handover) (string, error) {
	r, err := hs.rows.read(ctx, hs.db, secret)
	if err != nil {
		return "", err
	}
	if r.Parent != "" || to.Host == "" || to.Browser == "" {
		return "", gone
	}
	b, err := json.Marshal(handover{Number: r.Number, Handover: to})
	if err != nil {
		return "", err
	}
	return hs.tickets.Issue(ctx, ticket.Spec{Kind: handoverKind, Owner: int64(r.Account), Payload: b, Lifetime: handoverLife})
}

// Accept turns a code into the host's own session, and returns the secret for
// its cookie. A code for another host or browser is refused and used up.
func (hs *Handovers) Accept(ctx context.Context, code string, to Handover, g Visit) (string, error) {
	t, err := hs.tickets.Take(ctx, handoverKind, code)
	if err != nil {
		return "", err
	}
	var h handover
	if err := json.Unmarshal(t.Payload, &h); err != nil {
		return "", err
	}
	if h.Host != to.Host {
		return "", failure.Refuse("other-host", gone.Public)
	}
	if h.Browser != to.Browser || h.Browser == "" {
		return "", failure.Refuse("other-browser", gone.Public)
	}
	parent, err := hs.rows.byNumber(ctx, h.Number)
	if err != nil {
		return "", err
	}
	r := row{payload: payload{Number: newNumber(), Account: parent.Account, Name: parent.Name, Parent: parent.Number, Host: to.Host, Evidence: parent.Evidence},
		source: clip(g.Source, 64), agent: clip(g.Agent, 200), created: parent.created}
	var secret string
	err = hs.db.Change(ctx, g.actor(*parent), func(tx *store.Tx) error {
		var err error
		t.TakenTx(tx)
		if secret, err = hs.rows.insert(ctx, tx, &r); err != nil {
			return err
		}
		return tx.Record(g.entry(*parent, r))
	})
	return secret, err
}

var _ signin.ActiveSessions = (*Sessions)(nil)
