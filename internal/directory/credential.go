package directory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// States of a credential. Only an active one can show anything.
const (
	CredentialActive   = "active"
	CredentialDisabled = "disabled" // by wrong answers, or by a report
	CredentialRevoked  = "revoked"  // removed by its owner or an administrator
	CredentialUsedUp   = "used-up"
)

// Get is one authenticator of one account, as kept.
type Credential struct {
	ID      assurance.CredentialID
	Account assurance.AccountID
	Kind    string
	Label   string
	Handle  string // unique in its kind, or empty
	Traits  assurance.Trait
	State   []byte // the authenticator's own, unsealed
	Status  string
	// Quarantine is until when it cannot approve privileged actions.
	Quarantine time.Time
	Version    int64
	Created    time.Time
	Used       time.Time
	// End says why it is active no more; zero for one that is, and for what ended
	// before there was such a thing.
	End End
	// Assigned is the account of who handed it over, where its owner did not set it up
	// by themselves.
	Assigned assurance.AccountID

	power          int64 // how often more than an answer changed it
	accountVersion int64 // the account's version when it was read
	lost           bool  // its row is gone, or not believed
}

// CouldShow is what these authenticators would show at this moment if each were
// used: the evidence to hold a Requirement against when the question is what an
// account is able to meet. Only active ones could show anything, and links that are not
// confirmed nothing that is relied on.
func CouldShow(credentials []Credential, now time.Time) []assurance.Evidence {
	var out []assurance.Evidence
	for _, c := range credentials {
		if c.Status == CredentialActive && !c.Traits.Has(assurance.Tentative) {
			out = append(out, assurance.Evidence{Account: c.Account, Kind: c.Kind, Credential: c.ID, Traits: c.Traits, Time: now})
		}
	}
	return out
}

const credentialColumns = `coalesce(c.id, 0), coalesce(c.account, 0), coalesce(c.kind, ''), coalesce(c.label, ''), coalesce(c.handle, ''), coalesce(c.traits, ''), c.state,
	coalesce(c.status, ''), coalesce(c.quarantine, 0), coalesce(c.version, 0), coalesce(c.power, 0), coalesce(c.created, 0), coalesce(c.used, 0),
	coalesce(c.ended, 0), coalesce(c.ender, ''), coalesce(c.assigned, 0), c.mac`

// ownColumns are credentialColumns of a row that is there.
const ownColumns = `c.id, c.account, c.kind, c.label, coalesce(c.handle, ''), c.traits, c.state,
	c.status, c.quarantine, c.version, c.power, c.created, c.used, c.ended, c.ender, c.assigned, c.mac`

// fields are all of a credential. The sealed state is bound to its row by the seal too.
func (c Credential) fields(sealed []byte) *keyring.Fields {
	return keyring.LongFields().Int(int64(c.ID)).Int(int64(c.Account)).String(c.Kind).String(c.Label).String(c.Handle).
		String(c.Traits.String()).String(c.Status).Int(store.Unix(c.Quarantine)).Int(c.Version).Int(c.power).
		Int(store.Unix(c.Created)).Int(store.Unix(c.Used)).Int(store.Unix(c.End.At)).String(c.End.by()).Int(int64(c.Assigned)).Bytes(sealed)
}

// handle is null where there is none, so that many may have none.
func (c Credential) handle() any {
	if c.Handle == "" {
		return nil
	}
	return c.Handle
}

func (c Credential) aad() keyring.AAD {
	return keyring.AAD{Table: "credential", Column: "state", Row: int64(c.ID), Account: int64(c.Account)}
}

// credentialRow is a credential's own row, as kept: in one piece, because what a
// column is read into is allocated by itself otherwise.
type credentialRow struct {
	c                                                    Credential
	id, account, quarantine, created, used, ended, given int64
	traits, ender                                        string
	sealed, mac                                          []byte
}

func (r *credentialRow) columns() []any { return r.appendTo(make([]any, 0, 17)) }

func (r *credentialRow) appendTo(columns []any) []any {
	c := &r.c
	return append(columns, &r.id, &r.account, &c.Kind, &c.Label, &c.Handle, &r.traits, &r.sealed, &c.Status, &r.quarantine, &c.Version, &c.power, &r.created, &r.used, &r.ended, &r.ender, &r.given, &r.mac)
}

// Credentials reads and writes the authenticators of accounts, and what they spent. Reads take
// the Reader to read from, as those of [Accounts] do.
type Credentials struct {
	held
	people people
	first  *Milestones
}

// NewCredentials makes Credentials.
func NewCredentials(p Parts) *Credentials {
	k := keptBy(p)
	return &Credentials{held: held{k}, people: people{k}, first: NewMilestones(p)}
}

// All returns the account's authenticators in every state, oldest first. One whose
// row is gone, or is not as it was left, is there as one that was revoked by nobody knows
// whom: it is no way in, and its owner has had it all the same.
func (cs *Credentials) All(ctx context.Context, r store.Reader, account assurance.AccountID) ([]Credential, error) {
	return cs.of(ctx, r, account)
}

// AllOf is [Credentials.All] for whoever has read the account in the same
// transaction: the roster is not read a second time, unless the account was changed since.
func (cs *Credentials) AllOf(ctx context.Context, r store.Reader, a Account) ([]Credential, error) {
	query, of := ownByNumber, any(int64(a.ID))
	if _, inside := r.(*store.Tx); inside && a.spelling != "" {
		query, of = ownByAlias, a.spelling
	}
	rows, err := r.Query(ctx, query, of)
	all, same, err := cs.unchanged(ctx, rows, a, err)
	if err != nil || same {
		return all, err
	}
	return cs.All(ctx, r, a.ID)
}

const (
	ownByNumber = `select a.version, ` + ownColumns + ` from credential c join account a on a.id = c.account where c.account = $1 order by c.id`
	ownByAlias  = `select a.version, ` + ownColumns + ` from account_alias n join credential c on c.account = n.account join account a on a.id = n.account where n.alias = $1 order by c.id`
)

// Get returns one authenticator by account and number, so that a number
// from another account finds nothing.
func (cs *Credentials) Get(ctx context.Context, r store.Reader, account assurance.AccountID, id assurance.CredentialID) (Credential, error) {
	row := &heldRow{}
	err := r.QueryRow(ctx, `select `+heldColumns+` from account a left join credential c on c.account = a.id and c.id = $2 where a.id = $1`, int64(account), int64(id)).Scan(row.columns()...)
	return cs.oneCredential(ctx, row, id, err)
}

// ByHandle finds whose authenticator an answer names. One that is not as it was
// left is nobody's.
func (cs *Credentials) ByHandle(ctx context.Context, r store.Reader, kind, handle string) (Credential, error) {
	if handle == "" {
		return Credential{}, noCredential
	}
	row := &heldRow{}
	err := r.QueryRow(ctx, `select `+heldColumns+` from credential c join account a on a.id = c.account where c.kind = $1 and c.handle = $2`, kind, handle).Scan(row.columns()...)
	c, err := cs.oneCredential(ctx, row, assurance.CredentialID(row.own.id), err)
	if err == nil && c.lost {
		return Credential{}, noCredential
	}
	return c, err
}

// AllOfHolder returns every authenticator of whoever holds the one that an answer
// names, as [Credentials.All] does; none for a handle that nobody's has.
func (cs *Credentials) AllOfHolder(ctx context.Context, r store.Reader, kind, handle string) ([]Credential, error) {
	if handle == "" {
		return nil, nil
	}
	rows, err := r.Query(ctx, `select `+heldColumns+` from credential named join account a on a.id = named.account left join credential c on c.account = a.id
		where named.kind = $1 and named.handle = $2 order by c.id`, kind, handle)
	return cs.credentials(ctx, rows, err)
}

var noCredential = &failure.Error{Class: failure.NotFound, Public: "There is no such authenticator.", Reason: "unknown-credential"}

// Add inserts an authenticator. A handle that exists is a Conflict, but
// for one that was revoked: a card, or a key from stock, can be added anew.
func (cs *Credentials) Add(ctx context.Context, tx *store.Tx, c Credential) (Credential, error) {
	c.Status, c.Version, c.Created, c.End, c.power = CredentialActive, 1, tx.Now().Truncate(time.Microsecond), End{}, 0
	c.Quarantine = c.Quarantine.Truncate(time.Microsecond)
	if err := cs.freeHandle(ctx, tx, c.Kind, c.Handle); err != nil {
		return Credential{}, err
	}
	var id int64
	err := tx.QueryRow(ctx, `insert into credential (account, kind, label, handle, traits, state, quarantine, created, assigned, mac)
		values ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10) returning id`,
		int64(c.Account), c.Kind, c.Label, c.handle(), c.Traits.String(), []byte{}, store.Unix(c.Quarantine), store.Unix(c.Created), int64(c.Assigned), []byte{}).Scan(&id)
	if errors.Is(err, store.ErrConflict) {
		return Credential{}, failure.New(failure.Conflict, "That authenticator is enrolled already.")
	}
	if err != nil {
		return Credential{}, err
	}
	c.ID = assurance.CredentialID(id)
	if err := cs.write(ctx, tx, &c, c.Version); err != nil {
		return Credential{}, err
	}
	return c, cs.first.reached(ctx, tx, c.Account)
}

// freeHandle takes a handle from a revoked authenticator, which kept it until now so
// that whoever still has it is told what became of it.
func (cs *Credentials) freeHandle(ctx context.Context, tx *store.Tx, kind, handle string) error {
	old, err := cs.ByHandle(ctx, tx, kind, handle)
	if failure.ClassOf(err) == failure.NotFound || err == nil && old.Status != CredentialRevoked {
		return nil
	}
	if err != nil {
		return err
	}
	old.Handle = ""
	return cs.Update(ctx, tx, old)
}

// Update writes state, status, label, handle, traits, quarantine and end of a
// credential that was read in the same transaction. Somebody else's change in between is a
// Conflict. What is active again has no end.
func (cs *Credentials) Update(ctx context.Context, tx *store.Tx, c Credential) error {
	if c.Status == CredentialActive {
		c.End = End{}
	}
	old := c.Version
	c.Version++
	return cs.write(ctx, tx, &c, old)
}

// Answered writes what an answer changes of a credential that was read in the same
// transaction: its state, whether it is used up, and when it was used. It is
// Update for what every sign-in does, and leaves the columns alone that an
// index holds, and the account. Whoever changed more finds the row refused when it is
// read: the MAC is of all of it.
func (cs *Credentials) Answered(ctx context.Context, tx *store.Tx, c Credential) error {
	old, power := c.Version, c.power
	c.Version++
	if c.Status != CredentialActive { // what it showed may not count any more
		tx.Announce(Topic(c.Account))
		if err := cs.empower(ctx, tx, &c); err != nil {
			return err
		}
	}
	sealed := cs.keys.Seal(keyring.Credential, c.aad(), c.State)
	n, err := tx.Expect(ctx, 1, `update credential set state = $1, status = $2, version = $3, power = $4, used = $5, mac = $6 where id = $7 and version = $8 and power = $9`,
		sealed, c.Status, c.Version, c.power, store.Unix(c.Used), cs.keys.MAC(keyring.Credential, c.fields(sealed)), int64(c.ID), old, power)
	tx.Anchor("credential", int64(c.ID), c.Version)
	return written(n, err)
}

// Lost reports whether a credential's row is gone, or is not believed: all that is known of
// it are its number, its account and its traits.
func (c Credential) Lost() bool { return c.lost }

// Outlive sees to it that a lost credential is lost for good: it is not believed either if
// somebody puts the row back that they removed. For any other it is an error.
func (cs *Credentials) Outlive(ctx context.Context, tx *store.Tx, c Credential) error {
	if !c.lost {
		return fmt.Errorf("directory: the credential %d is not lost", c.ID)
	}
	tx.Announce(Topic(c.Account))
	return cs.empower(ctx, tx, &c)
}

// empower notes in its account that a credential is as powerful as it is now.
func (cs *Credentials) empower(ctx context.Context, tx *store.Tx, c *Credential) error {
	a, err := cs.people.get(ctx, tx, c.Account)
	if err != nil {
		return err
	}
	c.power = a.roster.hold(*c)
	return cs.people.save(ctx, tx, &a)
}

// written is the outcome of an update that finds its row or was too late.
func written(n int64, err error) error {
	if err == nil && n != 1 {
		return failure.New(failure.Conflict, "The authenticator was changed meanwhile; try again.")
	}
	return err
}

// write writes all of a row, and tells every server's memory: whatever was
// changed, somebody may have been let in by how it was before.
func (cs *Credentials) write(ctx context.Context, tx *store.Tx, c *Credential, old int64) error {
	if c.lost {
		return written(0, nil)
	}
	tx.Announce(Topic(c.Account))
	if err := cs.empower(ctx, tx, c); err != nil {
		return err
	}
	sealed := cs.keys.Seal(keyring.Credential, c.aad(), c.State)
	n, err := tx.Exec(ctx, `update credential set label = $1, handle = $2, state = $3, status = $4, quarantine = $5, version = $6, power = $7, used = $8, mac = $9, traits = $10,
		ended = $11, ender = $12 where id = $13 and version = $14`,
		c.Label, c.handle(), sealed, c.Status, store.Unix(c.Quarantine), c.Version, c.power, store.Unix(c.Used), cs.keys.MAC(keyring.Credential, c.fields(sealed)), c.Traits.String(),
		store.Unix(c.End.At), c.End.by(), int64(c.ID), old)
	tx.Anchor("credential", int64(c.ID), c.Version)
	return written(n, err)
}

// OfHandles returns active authenticators of a kind whose handles begin with a prefix and come
// after one, in their order: a page of at most limit. Those that are not believed are left out.
func (cs *Credentials) OfHandles(ctx context.Context, r store.Reader, kind, prefix, after string, limit int) ([]Credential, error) {
	rows, err := r.Query(ctx, `select account, id from credential where kind = $1 and handle > $2 and handle < $3 and status = 'active' order by handle limit $4`,
		kind, max(prefix, after), prefix+"\x7f", limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Credential
	var keys [][2]int64
	for rows.Next() {
		var k [2]int64
		if err := rows.Scan(&k[0], &k[1]); err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, err
	}
	for _, k := range keys {
		c, err := cs.Get(ctx, r, assurance.AccountID(k[0]), assurance.CredentialID(k[1]))
		if failure.ClassOf(err) == failure.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !c.lost && c.Status == CredentialActive {
			out = append(out, c)
		}
	}
	return out, nil
}
