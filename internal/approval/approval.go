// Package approval is what happens on another device than the one that signs in: the sign-in
// that waits there, the number that its owner types, the app that approves or refuses it, and
// the pushes that wake the app.
//
// It owns what waits (the table approval), what became of it (prompted), what was pushed
// (wake), quiet hours (quiet) and how far each app has counted (app_count). It does not know
// attempts, policy or prompts, decides nothing and makes no Grant: the engine (signin) opens a
// [Request] for an attempt, and takes what was approved as evidence into that attempt, where
// it decides. Wrong numbers draw on budgets of throttle; push services and the words of the
// engine are handed in.
//
// Its one invariant: a request leaves the state in which it waits once, in one transaction
// with the entry that says who answered it from where, and is approved only by whoever shows
// its number together with an authenticator of the same account.
package approval

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/keyring"
	"countersign/internal/language"
	"countersign/internal/store"
	"countersign/internal/throttle"
)

// SignIn is the action of an ordinary sign-in.
const SignIn = "sign-in"

const day = 24 * time.Hour

// pageRows is how many rows a sweep reads at once.
const pageRows = 500

// Grant is the engine's yes, as far as approvals read it. The engine alone makes one.
type Grant interface {
	Account() assurance.AccountID
	Name() string
	Protocol() string
	Source() netip.Addr
	SourceText() string
	Action() string
	Attempt() string
	Actor() audit.Actor
	Evidence() []assurance.Evidence
	// Covers reports whether it is for exactly this act.
	Covers(application, action, object string) bool
}

// Parts are what the pieces are made of. Nothing keeps them as they are.
type Parts struct {
	DB          *store.DB
	Keys        *keyring.Keyring
	Accounts    *directory.Accounts
	Credentials *directory.Credentials
	Throttle    *throttle.Throttle
	Limits      throttle.Limits // that were checked
	// Kinds are the authenticators, by their kind.
	Kinds map[string]authenticator.Authenticator
	// Quiet are the quiet hours of accounts that have set none of their own.
	Quiet QuietHours
	// ApproveAt is the address where sign-ins elsewhere are approved, as people read it.
	ApproveAt string
	// Tell queues a notice to every address of an account, unless the same one went out
	// within the hour.
	Tell func(ctx context.Context, tx *store.Tx, account directory.Account, subject, body language.Sentence) error
	// SwitchOff disables an authenticator, and reports whether it was active.
	SwitchOff func(ctx context.Context, tx *store.Tx, account directory.Account, id assurance.CredentialID) (c directory.Credential, was bool, err error)
	// Bars says why an account may do nothing now; empty where it may.
	Bars func(account directory.Account, now time.Time) string
	// CountStranger counts a refusal of somebody who has shown nothing; RecordStranger
	// writes one down, unless there were too many.
	CountStranger  func(en audit.Entry)
	RecordStranger func(tx *store.Tx, en audit.Entry) error
	// Disown ends what an account has standing, because its owner says in the app that a
	// sign-in was not theirs. It runs in the change that refuses it. Nil ends nothing.
	Disown func(ctx context.Context, tx *store.Tx, d Disowned) error
	Now    func() time.Time
	Log    *slog.Logger
}

// Pieces are what is done on another device. Each is safe for concurrent use.
type Pieces struct {
	Requests    *Requests
	Approvals   *Approvals
	Apps        *Apps
	Pushes      *Pushes
	Settlements *Settlements
	Upkeep      *Upkeep
}

// New makes the pieces. The error is that of reading what this server remembers from before a
// restart.
func New(p Parts) (Pieces, error) {
	wakes, err := newPushQueue(p)
	if err != nil {
		return Pieces{}, err
	}
	tell := owners{send: p.Tell, switchOff: p.SwitchOff}
	rows := &Requests{view: p.DB.View(), keys: p.Keys, throttle: p.Throttle, limits: p.Limits, now: p.Now, wakes: wakes}
	approvals := &Approvals{db: p.DB, people: p.Accounts, owners: tell, now: p.Now, kinds: p.Kinds, rows: rows, throttle: p.Throttle}
	apps := &Apps{db: p.DB, keys: p.Keys, people: p.Accounts, credentials: p.Credentials, owners: tell, now: p.Now, approveAt: p.ApproveAt, disowned: p.Disown,
		kinds: p.Kinds, bars: p.Bars, approvals: approvals, countStranger: p.CountStranger, recordStranger: p.RecordStranger}
	pushes := &Pushes{db: p.DB, keys: p.Keys, people: p.Accounts, credentials: p.Credentials, owners: tell, limits: p.Limits, quiet: p.Quiet, now: p.Now, log: p.Log,
		kinds: p.Kinds, rows: rows, wakes: wakes}
	return Pieces{Requests: rows, Approvals: approvals, Apps: apps, Pushes: pushes, Settlements: newSettlements(p.DB.Feed()),
		Upkeep: &Upkeep{db: p.DB, now: p.Now, rows: rows, apps: apps, pushes: pushes}}, nil
}

// Upkeep looks after the rows of all pieces.
type Upkeep struct {
	db     *store.DB
	now    func() time.Time
	rows   *Requests
	apps   *Apps
	pushes *Pushes
}

// Inspect reads the rows once and reports those that are not as they were left. It stops at
// none of them; its error is that of the database. It is for the background.
func (u *Upkeep) Inspect(ctx context.Context) error {
	return errors.Join(u.rows.inspect(ctx), u.pushes.wakes.inspect(ctx), u.pushes.inspectQuiet(ctx), u.apps.inspect(ctx), u.pushes.wakes.doubts.Settle(ctx))
}

// Bind gives the rows of a release before, which had none, their MAC, and forgets pushes of
// before: they are over within minutes.
func (u *Upkeep) Bind(ctx context.Context) error {
	return errors.Join(u.apps.bind(ctx), u.pushes.bindQuiet(ctx), u.db.Housekeep(ctx, "forgetting what is not bound", func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `delete from wake where mac is null`)
		return err
	}))
}

// Sweep deletes what is over.
func (u *Upkeep) Sweep(ctx context.Context) error {
	return u.db.Housekeep(ctx, "approval.sweep", func(tx *store.Tx) error {
		if _, err := tx.Exec(ctx, `delete from wake where created < $1`, store.Unix(u.now().Add(-25*time.Hour))); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `delete from prompted where day < $1`, dayOf(u.now().Add(-PromptsKept))); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `delete from approval where expires < $1`, store.Unix(u.now().Add(-2*time.Hour)))
		return err
	})
}

// Forget deletes what is kept of an account, inside the change that removes it. What waits
// for it is over within minutes.
func (u *Upkeep) Forget(ctx context.Context, tx *store.Tx, account assurance.AccountID) error {
	for _, statement := range []string{
		`delete from wake where account = $1`,
		`delete from quiet where account = $1`,
		`delete from prompted where account = $1`,
		`delete from app_count where account = $1`,
	} {
		if _, err := tx.Exec(ctx, statement, int64(account)); err != nil {
			return err
		}
	}
	return nil
}

// DropTx forgets all that waits, inside a change that records it.
func DropTx(ctx context.Context, tx *store.Tx) error {
	_, err := tx.Exec(ctx, `delete from approval`)
	return err
}

// owners tells people what becomes of their account, and takes what somebody else uses out of
// use: see [Parts].
type owners struct {
	send      func(ctx context.Context, tx *store.Tx, account directory.Account, subject, body language.Sentence) error
	switchOff func(ctx context.Context, tx *store.Tx, account directory.Account, id assurance.CredentialID) (c directory.Credential, was bool, err error)
}

func (o owners) tell(ctx context.Context, tx *store.Tx, account directory.Account, n notice) error {
	return o.send(ctx, tx, account, n.subject, n.body)
}

// Given is a credential as its authenticator is given it, without its failures.
func Given(c directory.Credential) authenticator.Credential {
	return authenticator.Credential{ID: c.ID, Account: c.Account, Kind: c.Kind, Label: c.Label, State: c.State, Handle: c.Handle, Created: c.Created}
}
