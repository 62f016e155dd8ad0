// Package directory says who a name is: accounts, their spellings and
// addresses, groups, and the rows of their authenticators.
//
// It owns the tables account, account_alias, address, team, membership,
// credential and token. It does not decide anything and never checks an answer: signin
// reads it while it decides, enrollment and admin write it inside their own
// audited changes. Its one invariant: a row that makes somebody powerful is
// believed only if its MAC verifies, so that whoever can write to the database
// still cannot add a key to an administrator, revive a revoked one, or move one
// between accounts.
package directory

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
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

// Directory reads and writes people. Reads take the Reader to read from, so
// that a decision and what it rests on are one transaction.
type Directory struct {
	DB   *store.DB
	Keys *keyring.Keyring
	Log  *slog.Logger
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
	// Groups are the names of its groups, sorted. Privileged says that one of
	// them is.
	Groups     []string
	Privileged bool
	// Mail is the first of its confirmed addresses, or empty. Only Find and Get
	// read it.
	Mail string
}

// Administers reports whether the account administers Countersign.
func (a Account) Administers() bool { return slices.Contains(a.Groups, Administrators) }

// Helps reports whether the account helps people back in.
func (a Account) Helps() bool { return a.Privileged && slices.Contains(a.Groups, Helpdesk) }

// Idle returns for how long the account has not been used.
func (a Account) Idle(now time.Time) time.Duration {
	last := a.Created
	if a.Used.After(last) {
		last = a.Used
	}
	return now.Sub(last)
}

// ErrTampered is a row whose MAC does not verify. It is a breakdown, never a
// refusal that somebody could get around, and it is logged loudly.
var ErrTampered = errors.New("directory: a row was changed behind our back")

const accountColumns = `a.id, a.name, a.display, a.kind, a.state, a.handle, a.created, a.used, a.risk, a.mac`

// Find returns the account that a typed name means, by any of its spellings.
// An unknown or malformed name is a NotFound failure.
func (d *Directory) Find(ctx context.Context, r store.Reader, typed string) (Account, error) {
	for _, alias := range Candidates(typed) {
		a, err := d.one(ctx, r, `account_alias n join account a on a.id = n.account `+theirGroups+` where n.alias = $1`, alias)
		if err != unknown {
			return a, err
		}
	}
	return Account{}, unknown
}

var unknown = &failure.Error{Class: failure.NotFound, Public: "There is no account of that name.", Reason: "unknown-name"}

// Get returns the account of this number.
func (d *Directory) Get(ctx context.Context, r store.Reader, id assurance.AccountID) (Account, error) {
	return d.one(ctx, r, `account a `+theirGroups+` where a.id = $1`, int64(id))
}

// GetBeside is [Directory.Get] for whoever has read the account's authenticators before,
// outside the transaction: it also reports whether they are still, all and in every
// state, those. Each write of one counts its version up and each new one begins at 1, so
// that the sum of the versions never comes back to what it was. What it does not look at is
// what the rows hold: those that were read had their MACs checked, and whoever writes
// behind our back cannot make them say more than they said.
func (d *Directory) GetBeside(ctx context.Context, r store.Reader, id assurance.AccountID, before []Credential) (Account, bool, error) {
	a, now, err := d.look(ctx, r, sumOfVersions, `account a `+theirGroups+` where a.id = $1`, int64(id))
	var was int64
	for _, c := range before {
		was += c.Version
	}
	return a, err == nil && now == was, err
}

// One statement reads an account with its groups and its address, because every
// sign-in does: a row for each group, or one without any.
const (
	theirGroups   = `left join membership m on m.account = a.id left join team t on t.id = m.team`
	groupsAndMail = `coalesce(m.team, 0), coalesce(m.created, 0), m.mac, coalesce(t.name, ''), coalesce(t.display, ''), coalesce(t.privileged, 0), coalesce(t.created, 0), t.mac,
		coalesce((select min(e.address) from address e where e.account = a.id and e.kind = 'mail' and e.verified > 0), '')`
	sumOfVersions = `cast((select coalesce(sum(c.version), 0) from credential c where c.account = a.id) as bigint)`
)

func (d *Directory) one(ctx context.Context, r store.Reader, from string, arg any) (Account, error) {
	a, _, err := d.look(ctx, r, `0`, from, arg)
	return a, err
}

// look reads an account, and a number beside it.
func (d *Directory) look(ctx context.Context, r store.Reader, beside, from string, arg any) (Account, int64, error) {
	rows, err := r.Query(ctx, `select `+accountColumns+`, `+groupsAndMail+`, `+beside+` from `+from, arg)
	if err != nil {
		return Account{}, 0, err
	}
	defer rows.Close()
	var a Account
	row := &personRow{}
	into := row.columns()
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return Account{}, 0, err
		}
		if a.ID == 0 {
			if a, err = d.believe(row.account); err != nil {
				return Account{}, 0, err
			}
			a.Mail = row.mail
		}
		if row.member.group.ID == 0 || row.member.teamMAC == nil {
			continue
		}
		if err := d.join(&a, &row.member); err != nil {
			return Account{}, 0, err
		}
	}
	slices.Sort(a.Groups)
	if err := rows.Err(); err != nil {
		return Account{}, 0, err
	}
	if a.ID == 0 {
		return Account{}, 0, unknown
	}
	return a, row.beside, nil
}

type scanner interface{ Scan(dest ...any) error }

// personRow is what one row says of an account, its address and one of its groups: in
// one piece, because what a column is read into is allocated by itself otherwise.
type personRow struct {
	account accountRow
	member  memberRow
	mail    string
	beside  int64
}

func (r *personRow) columns() []any {
	return append(append(append(make([]any, 0, 20), r.account.columns()...), r.member.columns()...), &r.mail, &r.beside)
}

// accountRow is an account's own row, as kept.
type accountRow struct {
	account                 Account
	id, created, used, risk int64
	mac                     []byte
}

func (r *accountRow) columns() []any {
	a := &r.account
	return []any{&r.id, &a.Name, &a.Display, &a.Kind, &a.State, &a.Handle, &r.created, &r.used, &r.risk, &r.mac}
}

func (d *Directory) scan(row scanner) (Account, error) {
	var r accountRow
	if err := row.Scan(r.columns()...); err != nil {
		return Account{}, err
	}
	return d.believe(r)
}

// believe returns the account of a row that bears our MAC.
func (d *Directory) believe(r accountRow) (Account, error) {
	a := r.account
	a.ID, a.Created, a.Used, a.Risk = assurance.AccountID(r.id), store.Time(r.created), store.Time(r.used), store.Time(r.risk)
	if !d.Keys.VerifyMAC("account", a.fields(), r.mac) {
		return Account{}, d.tampered("account", r.id)
	}
	return a, nil
}

func (a Account) fields() *keyring.Fields {
	f := keyring.NewFields().Int(int64(a.ID)).String(a.Name).String(a.Kind).String(a.State).
		Bytes(a.Handle).Int(store.Unix(a.Created)).Int(store.Unix(a.Used))
	if !a.Risk.IsZero() { // rows of before there was such a thing bear a MAC without it
		f = f.Int(store.Unix(a.Risk))
	}
	return f
}

func (d *Directory) tampered(table string, id int64) error {
	d.Log.Error("a row was changed behind our back; it is not believed", "table", table, "id", id)
	return fmt.Errorf("%w: %s %d", ErrTampered, table, id)
}

// memberRow is a membership and its group, as kept.
type memberRow struct {
	group                       Group
	privileged, created, joined int64
	mac, teamMAC                []byte
}

const memberColumns = `m.team, m.created, m.mac, t.name, t.display, t.privileged, t.created, t.mac`

func (m *memberRow) columns() []any {
	return []any{&m.group.ID, &m.joined, &m.mac, &m.group.Name, &m.group.Display, &m.privileged, &m.created, &m.teamMAC}
}

// groups fills in the account's groups. Both the membership and the group's
// own row must be believed.
func (d *Directory) groups(ctx context.Context, r store.Reader, a *Account) error {
	rows, err := r.Query(ctx, `select `+memberColumns+` from membership m join team t on t.id = m.team where m.account = $1`, int64(a.ID))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var m memberRow
		if err := rows.Scan(m.columns()...); err != nil {
			return err
		}
		if err := d.join(a, &m); err != nil {
			return err
		}
	}
	slices.Sort(a.Groups)
	return rows.Err()
}

// join adds a group that is believed.
func (d *Directory) join(a *Account, m *memberRow) error {
	m.group.Privileged, m.group.Created = m.privileged == 1, store.Time(m.created)
	if !d.Keys.VerifyMAC("team", m.group.fields(), m.teamMAC) {
		return d.tampered("team", m.group.ID)
	}
	if !d.Keys.VerifyMAC("membership", membership(m.group.ID, a.ID, m.joined), m.mac) {
		return d.tampered("membership", m.group.ID)
	}
	a.Groups = append(a.Groups, m.group.Name)
	a.Privileged = a.Privileged || m.group.Privileged
	return nil
}

// NewAccount is what an account begins with.
type NewAccount struct {
	Name    string // as typed
	Display string
	Kind    string // "" is person
	Mail    string // verified by whoever creates the account; may be empty
	// Aliases are further spellings: a UPN, a down-level name.
	Aliases []string
}

// Create inserts an account. It is active and has no authenticator and no
// group. A name or alias that exists is a Conflict.
func (d *Directory) Create(ctx context.Context, tx *store.Tx, n NewAccount) (Account, error) {
	name, err := Canonical(n.Name)
	if err != nil {
		return Account{}, failure.At("name", err)
	}
	if err := CheckNew(name); err != nil {
		return Account{}, failure.At("name", err)
	}
	if err := d.unlike(ctx, tx, name); err != nil {
		return Account{}, failure.At("name", err)
	}
	if n.Display, err = d.checkDisplay(ctx, tx, n.Display, name); err != nil {
		return Account{}, failure.At("display", err)
	}
	a := Account{Name: name, Display: n.Display, Kind: n.Kind, State: Active, Created: tx.Now().Truncate(time.Microsecond), Handle: make([]byte, 32)}
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
	a.ID = assurance.AccountID(id)
	if err := d.save(ctx, tx, a); err != nil {
		return Account{}, err
	}
	for _, alias := range append([]string{name}, n.Aliases...) {
		if err := d.addAlias(ctx, tx, a.ID, alias); err != nil {
			return Account{}, failure.At("name", err)
		}
	}
	if n.Mail != "" {
		return a, failure.At("mail", d.AddMail(ctx, tx, a.ID, n.Mail))
	}
	return a, nil
}

func (d *Directory) addAlias(ctx context.Context, tx *store.Tx, id assurance.AccountID, alias string) error {
	c, err := Canonical(alias)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `insert into account_alias (alias, account) values ($1,$2)
		on conflict (alias) do update set account = excluded.account where account_alias.account <= 0`, c, int64(id)) // of nobody any more
	if err == nil && n == 0 {
		return failure.New(failure.Conflict, "%q already leads to an account.", c)
	}
	return err
}

// save writes the account's own columns with a fresh MAC.
func (d *Directory) save(ctx context.Context, tx *store.Tx, a Account) error {
	n, err := tx.Exec(ctx, `update account set display = $2, state = $3, used = $4, risk = $5, mac = $6 where id = $1`,
		int64(a.ID), a.Display, a.State, store.Unix(a.Used), store.Unix(a.Risk), d.Keys.MAC("account", a.fields()))
	if err == nil && n != 1 {
		err = unknown
	}
	return err
}

// Update writes display name, state, last use and risk of an account that was read in
// the same transaction, and tells every server's memory.
func (d *Directory) Update(ctx context.Context, tx *store.Tx, a Account) error {
	tx.Announce(Topic(a.ID))
	return d.save(ctx, tx, a)
}

// Used notes a granted sign-in, at most once an hour so that the common case
// writes nothing.
func (d *Directory) Used(ctx context.Context, tx *store.Tx, a Account, now time.Time) error {
	if now.Sub(a.Used) < time.Hour {
		return nil
	}
	a.Used = now.Truncate(time.Microsecond)
	return d.save(ctx, tx, a)
}

// Topic is the feed's word for an account whose rows changed.
func Topic(id assurance.AccountID) string { return fmt.Sprintf("account/%d", id) }
