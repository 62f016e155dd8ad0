package signin

import (
	"context"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/store"
	"countersign/internal/throttle"
	"countersign/internal/ticket"
)

// openingKind and openingLife are of the links that a mail about guesses holds.
const (
	openingKind = "sign-in.open"
	openingLife = 7 * day
)

// browsers are made known by links in mails about guesses.
type browsers struct {
	db       *store.DB
	people   *directory.Accounts
	tickets  *ticket.Tickets
	throttle *throttle.Throttle
}

// Invited reports whose browser a link of a mail about guesses makes it. It changes nothing:
// programs follow links as well.
func (e *Engine) Invited(ctx context.Context, code string) (name string, err error) {
	return e.browsers.invited(ctx, code)
}

func (b *browsers) invited(ctx context.Context, code string) (name string, err error) {
	t, err := b.tickets.Peek(ctx, openingKind, code)
	if err != nil {
		return "", err
	}
	account, err := b.people.Get(ctx, b.db, assurance.AccountID(t.Owner))
	if failure.ClassOf(err) == failure.NotFound {
		return "", failure.Refuse("unknown-ticket", "That link is no longer good.")
	}
	return account.Name, err
}

// Accept uses such a link up, and returns what the browser is to keep ([Request.Browser]).
func (e *Engine) Accept(ctx context.Context, code string, r Request) (browser string, err error) {
	return e.browsers.accept(ctx, code, r)
}

func (b *browsers) accept(ctx context.Context, code string, r Request) (browser string, err error) {
	at := &attempt{ID: newID(), Request: r}
	err = b.db.Change(ctx, audit.Actor{Name: "somebody", Via: r.Protocol}, func(tx *store.Tx) error {
		t, err := b.tickets.TakeTx(ctx, tx, openingKind, code)
		if err != nil {
			return err
		}
		account, err := b.people.Get(ctx, tx, assurance.AccountID(t.Owner))
		if failure.ClassOf(err) == failure.NotFound {
			return failure.Refuse("unknown-ticket", "That link is no longer good.")
		}
		if err != nil {
			return err
		}
		browser = b.throttle.Browser(account.ID)
		return tx.Record(at.entry(account, "browser.known", audit.OK, "by-mail"))
	})
	return browser, err
}

// BrowserLife is how long a browser is remembered after its owner was let in there.
const BrowserLife = throttle.BrowserLife

// Remember returns what a browser keeps in which an account was let in, for
// [Request.Browser]. It shows nothing and lets nobody in: it says that this browser is
// no stranger to this account, as an address does from which it was let in, wherever
// the browser is by now. So a flood of guesses from everywhere does not keep a person
// who travels from typing their password.
func (e *Engine) Remember(g Grant) string { return e.throttle.Browser(g.Account()) }
