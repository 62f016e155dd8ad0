package directory

import (
	"context"
	"errors"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// Rename gives an account another name, under the rules for the name of a new one. The name
// that it had goes on leading to it, so that nobody else is given it and whoever types it,
// also in the form CORP\ada, is still found; nothing else of the account changes.
func (d *Accounts) Rename(ctx context.Context, tx *store.Tx, id assurance.AccountID, typed string) (Account, error) {
	a, err := d.Get(ctx, tx, id)
	if err != nil {
		return Account{}, err
	}
	name, err := d.newName(ctx, tx, a, typed)
	if err != nil {
		return Account{}, failure.At("to", err)
	}
	n, err := tx.Exec(ctx, `update account set name = $1 where id = $2 and version = $3`, name, int64(id), a.version)
	switch {
	case errors.Is(err, store.ErrConflict):
		return Account{}, failure.At("to", failure.New(failure.Conflict, "There is an account named %q already.", name))
	case err != nil:
		return Account{}, err
	case n != 1:
		return Account{}, failure.New(failure.Conflict, "The account was changed meanwhile; try again.")
	}
	if !a.roster.called(name) {
		if err := d.addAlias(ctx, tx, a, name); err != nil {
			return Account{}, failure.At("to", err)
		}
	}
	a.roster.retire(a.Name)
	a.Name = name
	a.touch(tx)
	tx.Announce(Topic(id))
	return a, d.save(ctx, tx, &a)
}

// newName is the canonical form of a typed name that the account may be given.
func (d *Accounts) newName(ctx context.Context, tx *store.Tx, a Account, typed string) (string, error) {
	name, err := Canonical(typed)
	if err != nil {
		return "", err
	}
	if name == a.Name {
		return "", failure.New(failure.Conflict, "That is its name already.")
	}
	if err := CheckNew(name); err != nil {
		return "", err
	}
	return name, d.unlike(ctx, tx, name, a.Name)
}

// SetDisplay changes what people call an account, under the rules for a new one.
func (d *Accounts) SetDisplay(ctx context.Context, tx *store.Tx, id assurance.AccountID, display string) (Account, error) {
	a, err := d.Get(ctx, tx, id)
	if err != nil {
		return Account{}, err
	}
	if a.Display, err = d.checkDisplay(ctx, tx, display, a.Name); err != nil {
		return Account{}, failure.At("display", err)
	}
	a.touch(tx)
	tx.Announce(Topic(id))
	return a, d.save(ctx, tx, &a)
}

// SetMail replaces the addresses of an account by one, or by none where it is empty. An
// address that goes leads to the account no more, unless it is or was the account's name.
// [Account.MailMoved] says when that was.
func (d *Accounts) SetMail(ctx context.Context, tx *store.Tx, id assurance.AccountID, typed string) (Account, error) {
	a, err := d.Get(ctx, tx, id)
	if err != nil {
		return Account{}, err
	}
	fresh := ""
	if typed != "" {
		if fresh, err = CheckMail(typed); err != nil {
			return Account{}, failure.At("mail", err)
		}
	}
	before := a.roster.mails
	if len(before) == 0 && fresh == "" || len(before) == 1 && before[0].address == fresh {
		return Account{}, failure.At("mail", failure.New(failure.Conflict, "That is its mail address already."))
	}
	for _, m := range before {
		if m.address == fresh {
			continue
		}
		if err := d.dropMail(ctx, tx, a, m.address); err != nil {
			return Account{}, err
		}
	}
	a.roster.keepMail(fresh)
	if fresh != "" && len(a.roster.mails) == 0 {
		if err := d.addMail(ctx, tx, a, fresh); err != nil {
			return Account{}, failure.At("mail", err)
		}
	}
	a.roster.moved, a.Mail = store.Unix(tx.Now()), fresh
	a.MailMoved = store.Time(a.roster.moved)
	a.touch(tx)
	tx.Announce(Topic(id))
	return a, d.save(ctx, tx, &a)
}

// dropMail takes away an address and the spelling that it was, of an account that is saved
// afterwards.
func (d *Accounts) dropMail(ctx context.Context, tx *store.Tx, a Account, address string) error {
	if _, err := tx.Exec(ctx, `delete from address where account = $1 and kind = 'mail' and address = $2`, int64(a.ID), address); err != nil {
		return err
	}
	c, err := Canonical(address)
	if err != nil || c == a.Name || a.roster.had(c) {
		return nil //nolint:nilerr // an address of signs that no name may have was no spelling
	}
	a.roster.uncall(c)
	_, err = tx.Exec(ctx, `delete from account_alias where alias = $1 and account = $2`, c, int64(a.ID))
	return err
}

// FormerNames are those that an account had before, sorted. They lead to it still.
func (d *Accounts) FormerNames(ctx context.Context, r store.Reader, a Account) ([]string, error) {
	if a.roster == nil || len(a.roster.former) == 0 {
		return nil, nil
	}
	rows, err := r.Query(ctx, `select alias from account_alias where account = $1 order by alias`, int64(a.ID))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var alias string
		if err := rows.Scan(&alias); err != nil {
			return nil, err
		}
		if alias != a.Name && a.roster.had(alias) {
			out = append(out, alias)
		}
	}
	return out, rows.Err()
}

// takeAway leaves for each name of an account that is removed by whom it was.
func (d kept) takeAway(ctx context.Context, tx *store.Tx, names []string, by assurance.AccountID) error {
	for _, name := range names {
		_, err := tx.Exec(ctx, `insert into account_alias (alias, account, mac) values ($1,$2,$3)`, name, -int64(by), d.keys.MAC(keyring.Account, spelling(name, -int64(by))))
		if err != nil {
			return err
		}
		tx.Anchor(removedName, store.NumberOf(name), 1)
	}
	return nil
}
