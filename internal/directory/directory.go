// Package directory says who a name is: accounts, their spellings and
// addresses, groups, and the rows of their authenticators.
//
// It owns the tables account, account_alias, address, team, membership,
// credential, spent, milestone and external_id. It does not decide anything and never checks an answer: signin
// reads it while it decides, enrollment and admin write it inside their own
// audited changes. Its one invariant: a row that makes somebody powerful is
// believed only if its MAC verifies and nothing newer is known of it, so that whoever can
// write to the database still cannot add a key to an administrator, revive a revoked one,
// or move one between accounts. What was removed still counts: see roster.
//
// Whoever works with one thing is given the piece that keeps it: [Accounts], [Groups],
// [Credentials], [Milestones]; for all of them at once there are [Survey],
// [Inspection] and [Binding]. Each is made of [Parts], and none hands on another.
package directory

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// States of an account. Anything else is treated as suspended.
const (
	Active    = "active"
	Suspended = "suspended"
	Tampered  = "tampered" // in lists only: the account's row is not believed
)

// Kinds of accounts.
const (
	Person  = "person"
	Service = "service" // a program; it has no factors, only keys for what was approved
)

// Administrators is the built-in group whose members administer Countersign, and
// Helpdesk the one whose members help people back in. The latter counts only while
// it is privileged, so that a group that had the name before gets no power by it.
const (
	Administrators = "administrators"
	Helpdesk       = "helpdesk"
)

// Parts are what each piece of the room is made of: none keeps anything else, so that whoever
// needs a piece makes or is handed that one, and reaches no other.
type Parts struct {
	DB   *store.DB
	Keys *keyring.Keyring
}

// Accounts reads and writes accounts, their names and their addresses. Reads take the Reader
// to read from, so that a decision and what it rests on are one transaction.
type Accounts struct {
	people
	teams teams
}

// NewAccounts makes Accounts.
func NewAccounts(p Parts) *Accounts {
	k := keptBy(p)
	return &Accounts{people: people{k}, teams: teams{k}}
}

// Account is one person or service, with its groups.
type Account struct {
	ID      assurance.AccountID
	Name    string // canonical
	Display string
	Kind    string // person, service
	State   string
	Handle  []byte // random; what authenticators see instead of a name
	Created time.Time
	// Used is the last granted sign-in to within an hour; zero for never.
	Used time.Time
	// Risk is since when the account is at risk: its owner said that a sign-in was not
	// theirs, and has set no new password since, nor did an administrator end it. Zero
	// is not at risk.
	Risk time.Time
	// Ends is from when on the account gets nothing, whatever it shows. Zero is never.
	Ends time.Time
	// Language is the BCP 47 tag of the language in which it is written to; empty is the
	// installation's own.
	Language string
	// Changed is when a name, an address, a group, the state or the end was changed last; zero is
	// not since it was made, or since a release that notes it.
	Changed time.Time
	// Groups are the names of its groups, sorted. Privileged says that one of
	// them is.
	Groups     []string
	Privileged bool
	// Partner is the name of the partner that it is a person of; empty for our own people.
	Partner string
	// Mail is the first of its confirmed addresses, or empty.
	Mail string
	// MailMoved is when its addresses were last replaced; zero for never.
	MailMoved time.Time

	version int64  // how often it or what hangs from it was changed
	kept    []byte // the roster, as the row has it
	roster  *roster
	// spelling is by which it was found in a transaction, or empty: what hangs from it may
	// have been read ahead by that ([Accounts.Ahead]).
	spelling string
}

// Spelling is the name by which the account was found in this transaction, or empty. Within the
// same transaction [Named] leads to it.
func (a Account) Spelling() string { return a.spelling }

// Named is the number of the account of a spelling, as an expression; $1 stands for the spelling.
const Named = `(select n.account from account_alias n where n.alias = $1)`

// Administers reports whether the account administers Countersign.
func (a Account) Administers() bool { return slices.Contains(a.Groups, Administrators) }

// Helps reports whether the account helps people back in.
func (a Account) Helps() bool { return a.Privileged && slices.Contains(a.Groups, Helpdesk) }

// Guarded reports whether more is asked of the account, and of whoever changes what it signs in with,
// than of others: it is privileged, or a partner's, whose people administer for us.
func (a Account) Guarded() bool { return a.Privileged || a.Partner != "" }

// Idle returns for how long the account has not been used.
func (a Account) Idle(now time.Time) time.Duration {
	last := a.Created
	if a.Used.After(last) {
		last = a.Used
	}
	return now.Sub(last)
}

// Ended reports whether the account's end has come: it has from that moment on.
func (a Account) Ended(now time.Time) bool { return !a.Ends.IsZero() && !now.Before(a.Ends) }

// Out says why nobody may set up anything for the account or speak in its name: it is
// suspended, or it has ended. Nil where it is neither; dormancy is not looked at.
func (a Account) Out(now time.Time) error {
	switch {
	case a.State != Active:
		return failure.Refuse("suspended", "The account is suspended.")
	case a.Ended(now):
		return failure.Refuse("ended", "The account has ended.")
	}
	return nil
}

// Find returns the account that a typed name means, by any of its spellings.
// An unknown or malformed name is a NotFound failure, and so is one whose row somebody
// else wrote: it leads to nobody.
func (d *Accounts) Find(ctx context.Context, r store.Reader, typed string) (Account, error) {
	for _, alias := range Candidates(typed) {
		a, err := d.called(ctx, r, alias)
		if err != unknown {
			return a, err
		}
	}
	return Account{}, unknown
}

var unknown = &failure.Error{Class: failure.NotFound, Public: "There is no account of that name.", Reason: "unknown-name"}

// called returns the account that a spelling leads to.
func (d *Accounts) called(ctx context.Context, r store.Reader, alias string) (Account, error) {
	var row accountRow
	var mac []byte
	err := r.QueryRow(ctx, byAlias, alias).Scan(append(row.columns(), &mac)...)
	if errors.Is(err, store.ErrNotFound) {
		return Account{}, unknown
	}
	if err != nil {
		return Account{}, err
	}
	a, err := d.believe(ctx, &row)
	if err != nil {
		return Account{}, err
	}
	switch {
	case !d.keys.VerifyMAC(keyring.Account, spelling(alias, row.id), mac):
		d.report("account_alias", alias, store.Altered, a.ID)
		return Account{}, unknown
	case !a.roster.called(alias):
		d.report("account_alias", alias, store.Returned, a.ID)
		return Account{}, unknown
	}
	if _, inside := r.(*store.Tx); inside {
		a.spelling = alias
	}
	return a, nil
}

const byAlias = `select ` + accountColumns + `, n.mac from account_alias n join account a on a.id = n.account where n.alias = $1`

// Ahead is what [Accounts.Find] and [Credentials.AllOf] ask for a typed name, to be read before
// they do ([store.DB.ChangeAhead]); nothing for a malformed one. The spelling is that by which
// the account is found where it is the first of [Candidates].
func (d *Accounts) Ahead(typed string) (asks []store.Ask, spelling string) {
	all := Candidates(typed)
	if len(all) == 0 {
		return nil, ""
	}
	return []store.Ask{{Query: byAlias, Args: []any{all[0]}}, {Query: ownByAlias, Args: []any{all[0]}}}, all[0]
}

// AheadOf is Ahead for [Accounts.Get] and [Credentials.AllOf] of a number.
func (d *Accounts) AheadOf(id assurance.AccountID) []store.Ask {
	return []store.Ask{{Query: byNumber, Args: []any{int64(id)}}, {Query: ownByNumber, Args: []any{int64(id)}}}
}

// AheadUnchanged is Ahead for [Accounts.GetUnchanged].
func (d *Accounts) AheadUnchanged(id assurance.AccountID) []store.Ask {
	return []store.Ask{{Query: byNumberWithVersions, Args: []any{int64(id)}}}
}

// Get returns the account of this number.
func (d *Accounts) Get(ctx context.Context, r store.Reader, id assurance.AccountID) (Account, error) {
	return d.get(ctx, r, id)
}

// GetUnchanged is [Accounts.Get] for whoever has read the account's authenticators before,
// outside the transaction: it also reports whether they are still, all and in every
// state, those. Each write of one counts its version up and each new one begins at 1, so
// that the sum of the versions never comes back to what it was; and whatever makes one
// powerful counts up the account's version too. It does not read the contents of the rows
// again: the MACs of those that were read were checked, and somebody who writes to the
// database from outside cannot make them grant more.
func (d *Accounts) GetUnchanged(ctx context.Context, r store.Reader, id assurance.AccountID, before []Credential) (Account, bool, error) {
	a, now, err := d.look(ctx, r, byNumberWithVersions, id)
	var was int64
	unmoved := err == nil
	for _, c := range before {
		was += c.Version
		unmoved = unmoved && c.accountVersion == a.version
	}
	return a, unmoved && now == was, err
}

const byNumberWithVersions = `select ` + accountColumns + `, cast((select coalesce(sum(c.version), 0) from credential c where c.account = a.id) as bigint) from account a where a.id = $1`

// NewAccount is what an account begins with.
type NewAccount struct {
	Name    string // as typed
	Display string
	Kind    string // "" is person
	Mail    string // verified by whoever creates the account; may be empty
	// Ends is when the account ends; zero is never.
	Ends time.Time
	// Aliases are further spellings: a UPN, a down-level name.
	Aliases []string
}

// CheckCreate says what is wrong with an account that is to be made, and changes nothing.
func (d *Accounts) CheckCreate(ctx context.Context, r store.Reader, n NewAccount) error {
	if _, _, err := d.creatable(ctx, r, n); err != nil || n.Mail == "" {
		return err
	}
	_, err := CheckMail(n.Mail)
	return failure.At("mail", err)
}

// creatable returns the name and the display name as they are kept.
func (d *Accounts) creatable(ctx context.Context, r store.Reader, n NewAccount) (name, display string, err error) {
	if name, err = Canonical(n.Name); err != nil {
		return "", "", failure.At("name", err)
	}
	if err := CheckNew(name); err != nil {
		return "", "", failure.At("name", err)
	}
	if err := d.unlike(ctx, r, name, ""); err != nil {
		return "", "", failure.At("name", err)
	}
	if display, err = d.checkDisplay(ctx, r, n.Display, name); err != nil {
		return "", "", failure.At("display", err)
	}
	return name, display, nil
}

// Create inserts an account. It is active and has no authenticator and no
// group. A name or alias that exists is a Conflict.
func (d *Accounts) Create(ctx context.Context, tx *store.Tx, n NewAccount) (Account, error) {
	name, display, err := d.creatable(ctx, tx, n)
	if err != nil {
		return Account{}, err
	}
	n.Display = display
	a := Account{Name: name, Display: n.Display, Kind: n.Kind, State: Active, Created: tx.Now().Truncate(time.Microsecond), Ends: n.Ends.Truncate(time.Microsecond), Handle: make([]byte, 32)}
	if a.Kind == "" {
		a.Kind = Person
	}
	rand.Read(a.Handle)
	var id int64
	err = tx.QueryRow(ctx, `insert into account (name, display, kind, state, handle, created, mac) values ($1,$2,$3,$4,$5,$6,$7) returning id`,
		a.Name, a.Display, a.Kind, a.State, a.Handle, store.Unix(a.Created), []byte{}).Scan(&id)
	if errors.Is(err, store.ErrConflict) {
		return Account{}, failure.At("name", failure.New(failure.Conflict, "There is an account named %q already.", name))
	}
	if err != nil {
		return Account{}, err
	}
	a.ID, a.roster = assurance.AccountID(id), &roster{}
	for _, alias := range append([]string{name}, n.Aliases...) {
		if err := d.addAlias(ctx, tx, a, alias); err != nil {
			return Account{}, failure.At("name", err)
		}
	}
	if n.Mail != "" {
		if err := d.addMail(ctx, tx, a, n.Mail); err != nil {
			return Account{}, failure.At("mail", err)
		}
		a.Mail = a.roster.mails[0].address
	}
	return a, d.save(ctx, tx, &a)
}

// addAlias has a spelling lead to an account, which is saved afterwards.
func (d *Accounts) addAlias(ctx context.Context, tx *store.Tx, a Account, alias string) error {
	c, err := Canonical(alias)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `insert into account_alias (alias, account, mac) values ($1,$2,$3)
		on conflict (alias) do update set account = excluded.account, mac = excluded.mac where account_alias.account <= 0`, // of nobody any more
		c, int64(a.ID), d.keys.MAC(keyring.Account, spelling(c, int64(a.ID))))
	if err == nil && n == 0 {
		return failure.New(failure.Conflict, "%q already leads to an account.", c)
	}
	a.roster.call(c)
	return err
}

// spelling is a row of account_alias. The account is one that was removed where it is not
// positive: then it says by whom.
func spelling(alias string, account int64) *keyring.Fields {
	return keyring.NewFields().String("alias").String(alias).Int(account)
}

// Update writes display name, state, last use, risk, end and language of an account that was read in
// the same transaction, and tells every server's memory.
func (d *Accounts) Update(ctx context.Context, tx *store.Tx, a Account) error {
	tx.Announce(Topic(a.ID))
	now, err := d.Get(ctx, tx, a.ID)
	if err != nil {
		return err
	}
	if now.Display != a.Display || now.State != a.State || !now.Ends.Equal(a.Ends.Truncate(time.Microsecond)) {
		now.touch(tx)
	}
	now.Display, now.State, now.Used, now.Risk, now.Ends, now.Language = a.Display, a.State, a.Used, a.Risk, a.Ends.Truncate(time.Microsecond), a.Language
	return d.save(ctx, tx, &now)
}

// touch notes that what others see of the account is changed by a transaction.
func (a *Account) touch(tx *store.Tx) { a.Changed = tx.Now().Truncate(time.Microsecond) }

// Used notes a granted sign-in, at most once an hour so that the common case
// writes nothing. It counts nothing up: a row that is put back says that the account was
// not used for longer, which helps nobody.
func (d *Accounts) Used(ctx context.Context, tx *store.Tx, a Account, now time.Time) error {
	if now.Sub(a.Used) < time.Hour {
		return nil
	}
	now = now.Truncate(time.Microsecond)
	done, err := d.used(ctx, tx, a, now)
	if err != nil || done {
		return err
	}
	if a, err = d.Get(ctx, tx, a.ID); err != nil { // it was changed since it was read
		return err
	}
	_, err = d.used(ctx, tx, a, now)
	return err
}

func (d *Accounts) used(ctx context.Context, tx *store.Tx, a Account, now time.Time) (bool, error) {
	a.Used = now
	n, err := tx.Expect(ctx, 1, `update account set used = $1, mac = $2 where id = $3 and version = $4`, store.Unix(now), d.keys.MAC(keyring.Account, a.fields()), int64(a.ID), a.version)
	return n == 1, err
}

// Topic is the feed's word for an account whose rows changed.
func Topic(id assurance.AccountID) string { return fmt.Sprintf("account/%d", id) }
