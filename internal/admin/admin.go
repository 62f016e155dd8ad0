// Package admin is what administrators may do and see: one [Command] for each.
//
// It owns the list of commands, what each needs to know, and the entry that
// each leaves. It does not decide who may: a command is done only with a Grant
// that signin made for exactly its action and its object. The console, the API
// and the command line all come through [Admin.Do], which hands each to its desk: what
// the commands about one thing use, and no more. Its one invariant: no
// command changes anything without such a Grant and an entry that names it.
package admin

import (
	"context"
	"errors"
	"net/url"
	"time"

	"countersign/internal/admin/guard"
	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/attack"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/notify"
	"countersign/internal/offline"
	"countersign/internal/policy"
	"countersign/internal/protocol"
	"countersign/internal/recovery"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/ticket"
)

// Parts are what an Admin works on.
type Parts struct {
	DB             *store.DB
	Keys           *keyring.Keyring
	Accounts       *directory.Accounts
	Credentials    *directory.Credentials
	Milestones     *directory.Milestones
	Stock          *directory.Tokens
	Survey         *directory.Survey
	Groups         *directory.Groups
	Applications   *application.Catalogue
	Enrolled       enrollment.Pieces
	Recoveries     recovery.Pieces
	Offline        *offline.Lists
	Sessions       *session.Sessions
	SessionEndings *session.Endings
	Tickets        *ticket.Tickets
	Rules          *signin.Rules
	Outbox         *notify.Outbox
	// Tokens make what hardware tokens keep, and PINs what stands in front of their codes.
	Tokens enrollment.TokenKinds
	PINs   enrollment.PINKinds
	// Forget deletes what other rooms keep of an account, when it is removed.
	Forget []func(ctx context.Context, tx *store.Tx, account assurance.AccountID) error
	// Known are the names that a policy may mention.
	Known func(ctx context.Context, r store.Reader) (policy.Known, error)
	// Protocols are those that applications can ask by.
	Protocols protocol.List
	// Engine is asked what it would decide; it is never asked for a Grant.
	Engine *signin.Engine
	// Loosened are the exceptions that the configuration makes at this moment.
	Loosened  func() []attack.Exception
	PublicURL *url.URL
	Dormant   time.Duration
	Now       func() time.Time

	// List is every command, and Desks where those are done that are not done here.
	List  List
	Desks []Desk
}

// Admin does commands.
type Admin struct {
	Book
	guard.Giving
	db             *store.DB
	people         *directory.Accounts
	credentials    *directory.Credentials
	milestones     *directory.Milestones
	survey         *directory.Survey
	groups         *directory.Groups
	engine         *signin.Engine
	dormant        time.Duration
	now            func() time.Time
	list           List
	elsewhere      []Desk
	keys           *keyring.Keyring
	applications   *application.Catalogue
	listing        *enrollment.Listing
	endings        *enrollment.Endings
	passes         *enrollment.Passes
	notices        *enrollment.Notices
	cases          *recovery.Cases
	stops          *recovery.Stops
	owners         *recovery.Owners
	sessions       *session.Sessions
	sessionEndings *session.Endings
	tickets        *ticket.Tickets
	rules          *signin.Rules
	outbox         *notify.Outbox
	forget         []func(ctx context.Context, tx *store.Tx, account assurance.AccountID) error
	known          func(ctx context.Context, r store.Reader) (policy.Known, error)
	protocols      protocol.List
	loosened       func() []attack.Exception
	publicURL      *url.URL

	desks
}

// New makes an Admin.
func New(p Parts) *Admin {
	return &Admin{
		Book: NewBook(p.DB), Giving: guard.NewGiving(guard.New(p.Accounts, p.Engine), p.Dormant, p.Now), db: p.DB, people: p.Accounts, credentials: p.Credentials, milestones: p.Milestones, survey: p.Survey, groups: p.Groups, engine: p.Engine, dormant: p.Dormant, now: p.Now, list: p.List, elsewhere: p.Desks, keys: p.Keys, applications: p.Applications, listing: p.Enrolled.Listing, endings: p.Enrolled.Endings, passes: p.Enrolled.Passes, notices: p.Enrolled.Notices, cases: p.Recoveries.Cases, stops: p.Recoveries.Stops, owners: p.Recoveries.Owners,
		sessions: p.Sessions, sessionEndings: p.SessionEndings, tickets: p.Tickets, rules: p.Rules, outbox: p.Outbox,
		forget: p.Forget, known: p.Known, protocols: p.Protocols,
		loosened: p.Loosened, publicURL: p.PublicURL, desks: newDesks(p),
	}
}

// Command is one thing that can be asked for. Object is the exact text of what
// it is done to: what an approval names and a person reads before approving.
type Command interface {
	Action() string
	Object() string
}

// Do does a command. The grant must be for exactly its action and object; a
// grant for another is refused and audited.
func (a *Admin) Do(ctx context.Context, g signin.Grant, c Command) (any, error) {
	t, ok := a.task(c)
	if !ok {
		return nil, failure.New(failure.Internal, "a command of another room")
	}
	if !g.Covers(signin.Self, c.Action(), c.Object()) {
		err := a.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
			return tx.Record(Entry(g, "admin.refused", "refused", map[string]string{"wanted": c.Action(), "granted": g.Action()}))
		})
		if err != nil {
			return nil, err
		}
		return nil, failure.Refuse("other-action", "The approval is for something else.")
	}
	answer, err := t.do(ctx, g)
	if failure.ClassOf(err) == failure.Refused {
		return nil, errors.Join(a.noteRefusal(ctx, g.Actor(), Entry(g, refusedEvent, audit.Refused, nil), c, err), err)
	}
	return answer, err
}

// Sound says what is wrong with a command before anybody is asked to approve it,
// where that can be said. It changes nothing, and it is for who may do the
// command: it tells what exists.
func (a *Admin) Sound(ctx context.Context, c Command) error {
	if t, ok := a.task(c); ok && t.sound != nil {
		return t.sound(ctx)
	}
	return nil
}
