package pass

import (
	"context"
	"net/url"
	"strings"
	"time"

	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/store"
	"countersign/internal/ticket"
)

// Passes make passes, and the links that welcome those whom they are for.
type Passes struct {
	passes    *enrollment.Passes
	tickets   *ticket.Tickets
	publicURL *url.URL
	now       func() time.Time
}

// NewPasses makes Passes. Links lead to the public address.
func NewPasses(p *enrollment.Passes, t *ticket.Tickets, public *url.URL, now func() time.Time) *Passes {
	return &Passes{p, t, public, now}
}

const welcomeKind = "welcome"

// In issues a pass within a transaction, with the link that welcomes whom it is for. The
// lifetime is [enrollment.PassDefault] when it is 0.
func (a *Passes) In(ctx context.Context, tx *store.Tx, d directory.Account, lifetime time.Duration) (Pass, error) {
	code, expires, err := a.passes.IssueTx(ctx, tx, d, lifetime)
	if err != nil {
		return Pass{}, err
	}
	link, err := a.tickets.IssueTx(ctx, tx, ticket.Spec{Kind: welcomeKind, Owner: int64(d.ID), Payload: []byte(d.Name + "\n" + code), Lifetime: expires.Sub(a.now())})
	if err != nil {
		return Pass{}, err
	}
	return Pass{Account: d.Name, Code: code, Link: a.publicURL.JoinPath("welcome").String() + "?code=" + link, Expires: expires}, nil
}

// Welcome returns whom a welcome link is for and the pass behind it. The link
// stays good until its pass is used.
func (a *Passes) Welcome(ctx context.Context, code string) (name, pass string, err error) {
	t, err := a.tickets.Peek(ctx, welcomeKind, code)
	if err != nil {
		return "", "", err
	}
	name, pass, _ = strings.Cut(string(t.Payload), "\n")
	return name, pass, nil
}
