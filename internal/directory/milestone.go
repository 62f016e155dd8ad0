package directory

import (
	"context"
	"errors"
	"slices"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// administered is the milestone of the first administrator who could sign in with
// two factors. Nothing takes it back: set-up is over with it.
const administered = "administered"

// AdministeredEvent is the entry of the moment in which that came to be. It says it
// also when the row is gone.
const AdministeredEvent = "installation.administered"

// Milestones say what happened once and for good.
type Milestones struct {
	kept
	people people
	held   held
}

// NewMilestones makes Milestones.
func NewMilestones(p Parts) *Milestones {
	k := keptBy(p)
	return &Milestones{kept: k, people: people{k}, held: held{k}}
}

// Administered reports whether there has ever been an administrator who could sign
// in: the row says so, or this server remembers that it did.
func (m *Milestones) Administered(ctx context.Context, r store.Reader) (bool, error) {
	there, err := m.AdministeredRow(ctx, r)
	if there || err != nil || m.db.Newest("milestone", store.NumberOf(administered)) == 0 {
		return there, err
	}
	m.report("milestone", administered, store.Missing, 0)
	return true, nil
}

// AdministeredRow reports whether the row is there that says so. One that is not believed
// counts too: it can only be there to say so.
func (m *Milestones) AdministeredRow(ctx context.Context, r store.Reader) (bool, error) {
	var account, at int64
	var mac []byte
	err := r.QueryRow(ctx, `select account, at, mac from milestone where name = $1`, administered).Scan(&account, &at, &mac)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !m.keys.VerifyMAC(keyring.Milestone, milestoneFields(administered, account, at), mac) {
		m.report("milestone", administered, store.Altered, 0)
	}
	return true, nil
}

func milestoneFields(name string, account, at int64) *keyring.Fields {
	return keyring.NewFields().String(name).Int(account).Int(at)
}

// NoteAdministered writes down for good that there has been an administrator; zero
// where nobody can say any more who that was.
func (m *Milestones) NoteAdministered(ctx context.Context, tx *store.Tx, a Account, reason string) error {
	at := store.Unix(tx.Now())
	n, err := tx.Exec(ctx, `insert into milestone (name, account, at, mac) values ($1,$2,$3,$4) on conflict do nothing`,
		administered, int64(a.ID), at, m.keys.MAC(keyring.Milestone, milestoneFields(administered, int64(a.ID), at)))
	if err != nil || n == 0 {
		return err
	}
	tx.Anchor("milestone", store.NumberOf(administered), 1)
	return tx.Record(audit.Entry{Event: AdministeredEvent, Outcome: audit.OK, Account: int64(a.ID), AccountName: a.Name, Reason: reason})
}

// TouchAdministered writes the milestone's row as it is, so that transactions that
// do are one after the other.
func (m *Milestones) TouchAdministered(ctx context.Context, tx *store.Tx) error {
	_, err := tx.Exec(ctx, `update milestone set at = at where name = $1`, administered)
	return err
}

// reached notes the milestone where what was just added makes an account the first
// administrator who could sign in. It is asked at every road on which one comes to
// be: a new authenticator, and a new member of the group.
func (m *Milestones) reached(ctx context.Context, tx *store.Tx, id assurance.AccountID) error {
	if done, err := m.Administered(ctx, tx); done || err != nil {
		return err
	}
	a, err := m.people.get(ctx, tx, id)
	if failure.ClassOf(err) == failure.NotFound || err == nil && !a.Administers() {
		return nil
	}
	if err != nil {
		return err
	}
	could, err := m.CouldOnce(ctx, tx, a)
	if !could || err != nil {
		return err
	}
	return m.NoteAdministered(ctx, tx, a, "")
}

// CouldOnce reports whether an account could sign in with two factors at some time:
// with authenticators in whatever state they are now. A pass, for which another
// person answers, is none.
func (m *Milestones) CouldOnce(ctx context.Context, r store.Reader, a Account) (bool, error) {
	all, err := m.held.of(ctx, r, a.ID)
	if err != nil {
		return false, err
	}
	all = slices.DeleteFunc(all, func(c Credential) bool { return c.Traits.Has(assurance.Vouched) })
	for i := range all {
		all[i].Status = CredentialActive
	}
	now := a.Created
	return assurance.TwoFactors().Met(CouldShow(all, now), now), nil
}
