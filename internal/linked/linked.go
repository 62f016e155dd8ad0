// Package linked is which account stands for somebody whom another party names, such as a tenant
// of Microsoft Entra, and what that party was told of them.
//
// It owns how such a link is found, and made by a rule at first sight, and the entries of the log
// about second factors that were shown for another party. The rows are directory's, beside what
// provisioning clients call people by. It lets nobody in: the engine does, and asks the linked
// account for its own authenticators. Its neighbours are directory, the protocols that answer such
// parties, and the commands about accounts, by which administrators link. Its one invariant: an
// account is linked by an administrator, or by a rule of the application's settings over immutable
// identifiers, and never because a name or an address is the same.
package linked

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Parts are what Links are made of.
type Parts struct {
	DB        *store.DB
	Accounts  *directory.Accounts
	Externals *directory.Externals
	// Tell tells an account's owner, inside the change that records it.
	Tell func(ctx context.Context, tx *store.Tx, account assurance.AccountID, subject, what language.Sentence) error
	Now  func() time.Time
}

// Links finds who is linked. It is safe for concurrent use.
type Links struct {
	db        *store.DB
	people    *directory.Accounts
	externals *directory.Externals
	tell      func(ctx context.Context, tx *store.Tx, account assurance.AccountID, subject, what language.Sentence) error
	now       func() time.Time

	mu    sync.Mutex
	noted map[string]time.Time
}

// New makes Links.
func New(p Parts) *Links {
	return &Links{db: p.DB, people: p.Accounts, externals: p.Externals, tell: p.Tell, now: p.Now, noted: map[string]time.Time{}}
}

// Party is an application that names people by identifiers of its own.
type Party struct {
	Application string
	// Number is that of the application's row: one of the same name that is made later has no
	// links of this one.
	Number int64
	// Provisioner is the service account whose identifiers (SCIM externalId) link somebody at
	// first sight; empty is none, and then administrators alone link.
	Provisioner string
}

func (p Party) link(account int64) directory.External {
	return directory.External{Client: assurance.AccountID(p.Number), Kind: directory.ExternalLinked, Subject: account}
}

// Somebody is who a party means. Both are immutable and never given to anybody else.
type Somebody struct {
	// ID is all of the identifier, with whose it is: "TENANT:OBJECT", 128 characters at most.
	ID string
	// External is the part of it by which a provisioning client knows them.
	External string
}

// Account is the linked account.
type Account struct {
	ID   assurance.AccountID
	Name string
}

var (
	errNobody = failure.Refuse("not-linked", "No account here is linked to yours there. Ask an administrator to link them.")
	errTwo    = failure.Refuse("linked-twice", "More than one account here claims to be yours there. Ask an administrator to link the right one.")
)

// Of is the account that stands for somebody. Where nobody does it is a Refused failure, as where
// the rule finds two. What the rule finds is linked from then on, recorded, and told to its owner.
func (l *Links) Of(ctx context.Context, p Party, s Somebody) (Account, error) {
	found, err := l.find(ctx, l.db, p, s)
	if err != nil || found.ID != 0 {
		return found, err
	}
	if p.Provisioner == "" || s.External == "" {
		return Account{}, errNobody
	}
	return l.firstSight(ctx, p, s)
}

// find is the account that is linked already; the zero one where none is.
func (l *Links) find(ctx context.Context, r store.Reader, p Party, s Somebody) (Account, error) {
	all, err := l.externals.Find(ctx, r, assurance.AccountID(p.Number), directory.ExternalLinked, s.ID, 2)
	switch {
	case err != nil || len(all) == 0:
		return Account{}, err
	case len(all) > 1:
		return Account{}, errTwo
	}
	a, err := l.people.Get(ctx, r, assurance.AccountID(all[0]))
	return Account{a.ID, a.Name}, err
}

// firstSight links whom the rule finds.
func (l *Links) firstSight(ctx context.Context, p Party, s Somebody) (Account, error) {
	var out Account
	err := l.db.Change(ctx, audit.System("link"), func(tx *store.Tx) error {
		var err error
		if out, err = l.find(ctx, tx, p, s); err != nil || out.ID != 0 {
			tx.Unrecorded() // another request was first
			return err
		}
		a, err := l.provisioned(ctx, tx, p, s)
		if err != nil {
			return err
		}
		if err := l.Set(ctx, tx, p, a, s.ID); err != nil {
			return err
		}
		out = Account{a.ID, a.Name}
		return tx.Record(audit.Entry{Event: "account.linked-by-rule", Outcome: audit.OK, Account: int64(a.ID), AccountName: a.Name, Application: p.Application,
			Detail: map[string]string{"identifier": s.ID, "client": p.Provisioner}})
	})
	return out, err
}

// provisioned is the one account that the provisioning client knows by the identifier.
func (l *Links) provisioned(ctx context.Context, tx *store.Tx, p Party, s Somebody) (directory.Account, error) {
	client, err := l.people.Find(ctx, tx, p.Provisioner)
	if failure.ClassOf(err) == failure.NotFound || err == nil && client.Kind != directory.Service {
		return directory.Account{}, errNobody
	}
	if err != nil {
		return directory.Account{}, err
	}
	all, err := l.externals.Find(ctx, tx, client.ID, directory.ExternalUser, s.External, 2)
	switch {
	case err != nil:
		return directory.Account{}, err
	case len(all) == 0:
		return directory.Account{}, errNobody
	case len(all) > 1:
		return directory.Account{}, errTwo
	}
	return l.people.Get(ctx, tx, assurance.AccountID(all[0]))
}

// Set links an account, in the place of what it was linked to in the same application, and tells
// its owner. An identifier that another account has, and an account that is no person's, are
// Refused: whoever is linked shows their own factor for whom the identifier means.
func (l *Links) Set(ctx context.Context, tx *store.Tx, p Party, a directory.Account, id string) error {
	if a.Kind != directory.Person {
		return failure.Refuse("no-person", "Only the account of a person is linked: a service has no second factor.")
	}
	other, err := l.find(ctx, tx, p, Somebody{ID: id})
	switch {
	case err != nil:
		return err
	case other.ID != 0 && other.ID != a.ID:
		return failure.Refuse("linked-already", "Another account is linked to that identifier. Take that link away first.")
	}
	if _, err := l.externals.Set(ctx, tx, p.link(int64(a.ID)), id); err != nil {
		return err
	}
	return l.tell(ctx, tx, a.ID, language.Say("Your account was linked"),
		language.Say("From now on your second factor here can be asked for when somebody signs in as you at %s. If you did not expect that, tell an administrator.", language.Word(p.Application)))
}

// Remove takes an account's link away. Without one it is NotFound.
func (l *Links) Remove(ctx context.Context, tx *store.Tx, p Party, a directory.Account) error {
	was, err := l.externals.Set(ctx, tx, p.link(int64(a.ID)), "")
	if err == nil && !was {
		return failure.New(failure.NotFound, "The account has no link in that application.")
	}
	return err
}

// IDOf is what an account is linked to in an application; empty is nothing.
func (l *Links) IDOf(ctx context.Context, r store.Reader, p Party, account assurance.AccountID) (string, error) {
	id, _, err := l.externals.Of(ctx, r, p.link(int64(account)))
	return id, err
}

// Told records what a party is told of somebody's second factor: for a grant, and before it is
// told.
func (l *Links) Told(ctx context.Context, g signin.Grant, detail map[string]string) error {
	return l.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		return tx.Record(audit.Entry{Event: "factor.told", Outcome: audit.OK, Account: int64(g.Account()), AccountName: g.Name(), Application: g.Application(),
			Protocol: g.Protocol(), Source: g.SourceText(), Attempt: g.Attempt(), Detail: detail})
	})
}

// Refusal is a request for a second factor that was not answered with one.
type Refusal struct {
	Application, Protocol, Reason string
	// Account is who was meant; the zero one where that is not known.
	Account Account
	Source  netip.Addr
	Detail  map[string]string
	// Verified says that the party itself had signed the request. What strangers send is
	// recorded once a minute for each application and reason, so that nobody fills the log.
	Verified bool
}

// Refused records a refusal.
func (l *Links) Refused(ctx context.Context, r Refusal) error {
	if !r.Verified && !l.first(r.Application+"\x00"+r.Reason) {
		return nil
	}
	return l.db.Change(ctx, audit.System(r.Protocol), func(tx *store.Tx) error {
		return tx.Record(audit.Entry{Event: "factor.refused", Outcome: audit.Refused, Reason: r.Reason, Account: int64(r.Account.ID), AccountName: r.Account.Name,
			Application: r.Application, Protocol: r.Protocol, Source: audit.AddressText(r.Source), Detail: r.Detail})
	})
}

// notedMost bounds how many refusals of strangers are remembered.
const notedMost = 1000

// first reports whether a refusal is the first of its kind within a minute.
func (l *Links) first(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if at, there := l.noted[key]; there && now.Sub(at) < time.Minute {
		return false
	}
	if len(l.noted) >= notedMost {
		clear(l.noted)
	}
	l.noted[key] = now
	return true
}
