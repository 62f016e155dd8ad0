package directory

import (
	"context"
	"errors"

	"countersign/internal/assurance"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// Remove takes an account away for good, with its names, addresses, groups and
// authenticators. Its number is never given again, nor are theirs, and what the log
// says of it stays; so does what its authenticators spent, which is a number and a
// counter each and would take reading all that was ever spent to find. Its name leads
// to nobody from then on, as those that it had before, and says by whom it was taken away: applications know people
// by it, so that whoever may give it again is a question of its own. What other rooms keep
// of the account they forget when they are asked to, in the same change.
func (d *Accounts) Remove(ctx context.Context, tx *store.Tx, a Account, by assurance.AccountID) error {
	a, err := d.Get(ctx, tx, a.ID)
	if err != nil {
		return err
	}
	names, err := d.FormerNames(ctx, tx, a)
	if err != nil {
		return err
	}
	tx.Announce(Topic(a.ID))
	tx.Anchor("account", int64(a.ID), store.Gone)
	for _, h := range a.roster.held {
		tx.Anchor("credential", int64(h.id), store.Gone)
	}
	for _, kind := range []string{ExternalUser, ExternalLinked} {
		if err := d.forgetExternals(ctx, tx, kind, int64(a.ID)); err != nil {
			return err
		}
	}
	for _, statement := range []string{
		`delete from credential where account = $1`,
		`delete from membership where account = $1`,
		`delete from address where account = $1`,
		`delete from account_alias where account = $1`,
		`delete from account where id = $1`,
	} {
		if _, err := tx.Exec(ctx, statement, int64(a.ID)); err != nil {
			return err
		}
	}
	return d.takeAway(ctx, tx, append(names, a.Name), by)
}

// removedName is the kind of a name that was taken away: the log says so too, so that
// nobody gives it again who has removed the row that says it.
const removedName = "name"

// Somebody is who took a name away, where the row that said it is gone or not believed.
const Somebody assurance.AccountID = -1

// TakenAway reports whether a name was that of an account which was removed, and by whom.
func (d *Accounts) TakenAway(ctx context.Context, r store.Reader, typed string) (by assurance.AccountID, was bool, err error) {
	name, err := Canonical(typed)
	if err != nil {
		return 0, false, nil //nolint:nilerr // nobody had a name that cannot be one
	}
	var account int64
	var mac []byte
	err = r.QueryRow(ctx, `select account, mac from account_alias where alias = $1`, name).Scan(&account, &mac)
	switch {
	case errors.Is(err, store.ErrNotFound) && d.db.Newest(removedName, store.NumberOf(name)) > 0:
		d.report("account_alias", name, store.Missing, 0)
		return Somebody, true, nil
	case errors.Is(err, store.ErrNotFound):
		return 0, false, nil
	case err != nil:
		return 0, false, err
	case !d.keys.VerifyMAC(keyring.Account, spelling(name, account), mac):
		d.report("account_alias", name, store.Altered, 0)
		return Somebody, true, nil
	case account > 0:
		return 0, false, nil
	}
	return assurance.AccountID(-account), true, nil
}
