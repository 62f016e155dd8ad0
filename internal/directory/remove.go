package directory

import (
	"context"

	"countersign/internal/store"
)

// Remove takes an account away for good, with its names, addresses, groups and
// authenticators. Its number is never given again, nor are theirs, and what the log
// says of it stays; so does what its authenticators spent, which is a number and a
// counter each and would take reading all that was ever spent to find.
func (d *Directory) Remove(ctx context.Context, tx *store.Tx, a Account) error {
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
	return nil
}
