package directory

import (
	"context"
	"errors"
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

// Credential is one authenticator of one account, as kept.
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
}

// CouldShow is what these authenticators would show at this moment if each were
// used: the evidence to hold a Requirement against when the question is what an
// account is able to meet. Only active ones could show anything.
func CouldShow(credentials []Credential, now time.Time) []assurance.Evidence {
	var out []assurance.Evidence
	for _, c := range credentials {
		if c.Status == CredentialActive {
			out = append(out, assurance.Evidence{Account: c.Account, Kind: c.Kind, Credential: c.ID, Traits: c.Traits, Time: now})
		}
	}
	return out
}

const credentialColumns = `c.id, c.account, c.kind, c.label, coalesce(c.handle, ''), c.traits, c.state, c.status, c.quarantine, c.version, c.created, c.used, c.ended, c.ender, c.assigned, c.mac`

// fields are what makes a credential powerful. The sealed state is bound to its
// row by the seal, and the MAC covers its hash through the version.
func (c Credential) fields(sealed []byte) *keyring.Fields {
	f := keyring.NewFields().Int(int64(c.ID)).Int(int64(c.Account)).String(c.Kind).String(c.Handle).
		String(c.Traits.String()).String(c.Status).Int(store.Unix(c.Quarantine)).Int(c.Version).
		Int(store.Unix(c.Created)).Bytes(sealed)
	if c.End != (End{}) || c.Assigned != 0 { // rows of before there was such a thing bear a MAC without it
		f = f.Int(store.Unix(c.End.At)).String(c.End.by()).Int(int64(c.Assigned))
	}
	return f
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

func (d *Directory) scanCredential(row scanner) (Credential, error) {
	r := &credentialRow{}
	err := row.Scan(&r.id, &r.account, &r.c.Kind, &r.c.Label, &r.c.Handle, &r.traits, &r.sealed, &r.c.Status, &r.quarantine, &r.c.Version, &r.created, &r.used, &r.ended, &r.ender, &r.given, &r.mac)
	if err != nil {
		return Credential{}, err
	}
	return d.believeCredential(r)
}

// believeCredential returns the credential of a row that bears our MAC.
func (d *Directory) believeCredential(r *credentialRow) (Credential, error) {
	c := r.c
	var err error
	c.ID, c.Account, c.Assigned = assurance.CredentialID(r.id), assurance.AccountID(r.account), assurance.AccountID(r.given)
	c.Quarantine, c.Created, c.Used = store.Time(r.quarantine), store.Time(r.created), store.Time(r.used)
	if c.End, err = readEnd(r.ended, r.ender); err != nil {
		return Credential{}, d.tampered("credential", r.id)
	}
	if c.Traits, err = assurance.ParseTrait(r.traits); err != nil {
		return Credential{}, d.tampered("credential", r.id)
	}
	if !d.Keys.VerifyMAC("credential", c.fields(r.sealed), r.mac) {
		return Credential{}, d.tampered("credential", r.id)
	}
	if c.State, err = d.Keys.Open("credential", c.aad(), r.sealed); err != nil {
		return Credential{}, d.tampered("credential", r.id)
	}
	return c, nil
}

// Credentials returns the account's authenticators in every state, oldest first.
func (d *Directory) Credentials(ctx context.Context, r store.Reader, account assurance.AccountID) ([]Credential, error) {
	return d.credentials(r.Query(ctx, `select `+credentialColumns+` from credential c where c.account = $1 order by c.id`, int64(account)))
}

func (d *Directory) credentials(rows *store.Rows, err error) ([]Credential, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := make([]Credential, 0, 2) // most people have no more
	for rows.Next() {
		c, err := d.scanCredential(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// Credential returns one authenticator by account and number, so that a number
// from another account finds nothing.
func (d *Directory) Credential(ctx context.Context, r store.Reader, account assurance.AccountID, id assurance.CredentialID) (Credential, error) {
	return d.oneCredential(r.QueryRow(ctx, `select `+credentialColumns+` from credential c where c.account = $1 and c.id = $2`, int64(account), int64(id)))
}

// CredentialByHandle finds whose authenticator an answer names.
func (d *Directory) CredentialByHandle(ctx context.Context, r store.Reader, kind, handle string) (Credential, error) {
	if handle == "" {
		return Credential{}, noCredential
	}
	return d.oneCredential(r.QueryRow(ctx, `select `+credentialColumns+` from credential c where c.kind = $1 and c.handle = $2`, kind, handle))
}

// CredentialsOfHolder returns every authenticator of whoever holds the one that an answer
// names, in every state, oldest first; none for a handle that nobody's has.
func (d *Directory) CredentialsOfHolder(ctx context.Context, r store.Reader, kind, handle string) ([]Credential, error) {
	if handle == "" {
		return nil, nil
	}
	return d.credentials(r.Query(ctx, `select `+credentialColumns+` from credential named join credential c on c.account = named.account
		where named.kind = $1 and named.handle = $2 order by c.id`, kind, handle))
}

var noCredential = &failure.Error{Class: failure.NotFound, Public: "There is no such authenticator.", Reason: "unknown-credential"}

func (d *Directory) oneCredential(row scanner) (Credential, error) {
	c, err := d.scanCredential(row)
	if errors.Is(err, store.ErrNotFound) {
		return Credential{}, noCredential
	}
	return c, err
}

// AddCredential inserts an authenticator. A handle that exists is a Conflict, but
// for one that was revoked: a card, or a key from stock, can be added anew.
func (d *Directory) AddCredential(ctx context.Context, tx *store.Tx, c Credential) (Credential, error) {
	c.Status, c.Version, c.Created, c.End = CredentialActive, 1, tx.Now().Truncate(time.Microsecond), End{}
	c.Quarantine = c.Quarantine.Truncate(time.Microsecond)
	if err := d.freeHandle(ctx, tx, c.Kind, c.Handle); err != nil {
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
	if err := d.writeCredential(ctx, tx, c, c.Version); err != nil {
		return Credential{}, err
	}
	return c, d.reached(ctx, tx, c.Account)
}

// freeHandle takes a handle from a revoked authenticator, which kept it until now so
// that whoever still has it is told what became of it.
func (d *Directory) freeHandle(ctx context.Context, tx *store.Tx, kind, handle string) error {
	old, err := d.CredentialByHandle(ctx, tx, kind, handle)
	if failure.ClassOf(err) == failure.NotFound || err == nil && old.Status != CredentialRevoked {
		return nil
	}
	if err != nil {
		return err
	}
	old.Handle = ""
	return d.UpdateCredential(ctx, tx, old)
}

// UpdateCredential writes state, status, label, handle, traits, quarantine and end of a
// credential that was read in the same transaction. Somebody else's change in between is a
// Conflict. What is active again has no end.
func (d *Directory) UpdateCredential(ctx context.Context, tx *store.Tx, c Credential) error {
	if c.Status == CredentialActive {
		c.End = End{}
	}
	old := c.Version
	c.Version++
	return d.writeCredential(ctx, tx, c, old)
}

// Answered writes what an answer changes of a credential that was read in the same
// transaction: its state, whether it is used up, and when it was used. It is
// UpdateCredential for what every sign-in does, and leaves the columns alone that an
// index holds. Whoever changed more finds the row refused when it is read: the MAC
// is of all of it.
func (d *Directory) Answered(ctx context.Context, tx *store.Tx, c Credential) error {
	old := c.Version
	c.Version++
	if c.Status != CredentialActive { // what it showed may not count any more
		tx.Announce(Topic(c.Account))
	}
	sealed := d.Keys.Seal("credential", c.aad(), c.State)
	n, err := tx.Exec(ctx, `update credential set state = $1, status = $2, version = $3, used = $4, mac = $5 where id = $6 and version = $7`,
		sealed, c.Status, c.Version, store.Unix(c.Used), d.Keys.MAC("credential", c.fields(sealed)), int64(c.ID), old)
	return written(n, err)
}

// written is the outcome of an update that finds its row or was too late.
func written(n int64, err error) error {
	if err == nil && n != 1 {
		return failure.New(failure.Conflict, "The authenticator was changed meanwhile; try again.")
	}
	return err
}

// writeCredential writes all of a row, and tells every server's memory: whatever was
// changed, somebody may have been let in by how it was before.
func (d *Directory) writeCredential(ctx context.Context, tx *store.Tx, c Credential, old int64) error {
	tx.Announce(Topic(c.Account))
	sealed := d.Keys.Seal("credential", c.aad(), c.State)
	n, err := tx.Exec(ctx, `update credential set label = $1, handle = $2, state = $3, status = $4, quarantine = $5, version = $6, used = $7, mac = $8, traits = $9,
		ended = $10, ender = $11 where id = $12 and version = $13`,
		c.Label, c.handle(), sealed, c.Status, store.Unix(c.Quarantine), c.Version, store.Unix(c.Used), d.Keys.MAC("credential", c.fields(sealed)), c.Traits.String(),
		store.Unix(c.End.At), c.End.by(), int64(c.ID), old)
	return written(n, err)
}
