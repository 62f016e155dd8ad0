package directory

import (
	"context"
	"errors"

	"countersign/internal/assurance"
	"countersign/internal/store"
)

// Remove takes an account away for good, with its names, addresses, groups and
// authenticators. Its number is never given again, nor are theirs, and what the log
// says of it stays; so does what its authenticators spent, which is a number and a
// counter each and would take reading all that was ever spent to find. Its name leads
// to nobody from then on, and says by whom it was taken away: applications know people
// by it, so that whoever may give it again is a question of its own.
func (d *Directory) Remove(ctx context.Context, tx *store.Tx, a Account, by assurance.AccountID) error {
	tx.Announce(Topic(a.ID))
	for _, statement := range []string{
		`delete from credential where account = $1`,
		`delete from membership where account = $1`,
		`delete from address where account = $1`,
		`delete from account_alias where account = $1`,
		`delete from known_source where account = $1`,
		`delete from ticket where owner = $1`,
		`delete from attempt where account = $1`,
		`delete from wake where account = $1`,
		`delete from quiet where account = $1`,
		`delete from prompted where account = $1`,
		`delete from app_count where account = $1`,
		`delete from sent where account = $1`,
		`delete from message where account = $1`,
		`delete from recovery_request where account = $1`,
		`delete from account where id = $1`,
	} {
		if _, err := tx.Exec(ctx, statement, int64(a.ID)); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `insert into account_alias (alias, account) values ($1,$2)`, a.Name, -int64(by))
	return err
}

// TakenAway reports whether a name was that of an account which was removed, and by whom.
func (d *Directory) TakenAway(ctx context.Context, r store.Reader, typed string) (by assurance.AccountID, was bool, err error) {
	name, err := Canonical(typed)
	if err != nil {
		return 0, false, nil //nolint:nilerr // nobody had a name that cannot be one
	}
	var account int64
	err = r.QueryRow(ctx, `select account from account_alias where alias = $1 and account <= 0`, name).Scan(&account)
	if errors.Is(err, store.ErrNotFound) {
		return 0, false, nil
	}
	return assurance.AccountID(-account), err == nil, err
}
