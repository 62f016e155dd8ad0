// Package throttle bounds guessing: how many wrong answers there may be for an
// authenticator, an account, a source and the installation, who is checked first when many
// want to be, and what is an alarm.
//
// It owns the budgets (the table guess), with what each server remembers of what it charged,
// and the places and browsers in which an account was let in (the table known_source), which
// decide on which side of an account somebody is. It does not know what an answer is, whether
// it is right, and who is told of what: the engine (signin) asks it before a check, and books
// what the check found. It stands on the store and the keyring; names are compared as the
// directory compares them.
//
// Its one invariant: reading, judging and charging happen in one serialisable transaction, so
// that N guesses at once on M servers cannot exceed a budget; and whoever removes rows, or
// puts older ones back, has on each server no more guesses than the budget has.
package throttle

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

const day = 24 * time.Hour

// Throttle keeps the budgets of guesses, and the places and browsers that are known. It is
// safe for concurrent use; what must last is in the store.
type Throttle struct {
	db      *store.DB
	view    store.View
	budgets *budgets
	places  *places
	closed  closed
	swept   atomic.Int64 // when this server last looked for budgets that are over
}

// New opens the budgets of a database, with limits that were checked ([Limits.Check]), and
// hears from then on what other servers close. The error is that of reading what this server
// remembers from before a restart.
func New(db *store.DB, keys *keyring.Keyring, limits Limits, now func() time.Time) (*Throttle, error) {
	l, err := newLedger(db, keys, now)
	if err != nil {
		return nil, err
	}
	known := &places{view: db.View(), keys: keys, now: now}
	t := &Throttle{db: db, view: db.View(), places: known, budgets: &budgets{limits: limits, now: now, ledger: l, places: known}}
	db.Feed().Subscribe(t.closed.hear)
	return t, nil
}

// KnownSource reports whether an account was let in from the neighbourhood of an address
// within 30 days. Nobody, and no address, was not.
func (t *Throttle) KnownSource(ctx context.Context, r store.Reader, account assurance.AccountID, source netip.Addr) (bool, error) {
	return t.places.knownSource(ctx, r, account, source)
}

// NotePlace remembers from where an account was granted something, at most once a day for
// each place. What was found of the place in the same transaction is not read again.
func (t *Throttle) NotePlace(ctx context.Context, tx *store.Tx, from Origin, account assurance.AccountID, found Place) error {
	return t.places.notePlace(ctx, tx, from, account, found)
}

// Browser is what a browser is to keep in which an account was let in ([Origin.Browser]). It
// shows nothing: it says that whoever comes in this browser is no stranger to this account,
// for [BrowserLife].
func (t *Throttle) Browser(account assurance.AccountID) string { return t.places.browserOf(account) }

// Remembers reports whether a browser is one in which an account was let in, by what it
// keeps. Nobody has none.
func (t *Throttle) Remembers(browser string, account assurance.AccountID) bool {
	return t.places.remembers(browser, account)
}

// Forget deletes where an account was seen, inside the change that removes it. Its budgets
// end by themselves.
func (t *Throttle) Forget(ctx context.Context, tx *store.Tx, account assurance.AccountID) error {
	_, err := tx.Exec(ctx, `delete from known_source where account = $1`, int64(account))
	return err
}
