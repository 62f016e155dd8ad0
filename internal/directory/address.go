package directory

import (
	"context"
	"errors"
	"net/mail"
	"strings"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/store"
	"countersign/internal/text"
)

// CheckMail reads one bare address with exactly one @, and returns it with the
// domain in lower case.
func CheckMail(s string) (string, error) {
	bad := failure.New(failure.Invalid, "Write one mail address, like ada@example.org.")
	a, err := mail.ParseAddress(s)
	if err != nil || a.Name != "" || a.Address != strings.TrimSpace(s) || len(s) > 254 || strings.Count(s, "@") != 1 ||
		strings.ContainsFunc(s, text.Blank) || !text.Clean(s) {
		return "", bad
	}
	local, domain, _ := strings.Cut(a.Address, "@")
	return local + "@" + strings.ToLower(domain), nil
}

// AddMail adds a mail address for notices, and makes it a spelling of the
// account when no other account has it.
func (d *Directory) AddMail(ctx context.Context, tx *store.Tx, id assurance.AccountID, typed string) error {
	addr, err := CheckMail(typed)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `insert into address (account, kind, address, verified) values ($1,'mail',$2,$3)`, int64(id), addr, store.Unix(tx.Now()))
	if errors.Is(err, store.ErrConflict) {
		return failure.New(failure.Conflict, "The account has that address already.")
	}
	if err != nil {
		return err
	}
	c, err := Canonical(addr)
	if err != nil {
		return nil // an address of signs that no name may have is for notices only
	}
	var owner int64
	err = tx.QueryRow(ctx, `select account from account_alias where alias = $1`, c).Scan(&owner)
	if errors.Is(err, store.ErrNotFound) {
		return d.addAlias(ctx, tx, id, c)
	}
	return err
}

// Mails returns the account's verified mail addresses, sorted.
func (d *Directory) Mails(ctx context.Context, r store.Reader, id assurance.AccountID) ([]string, error) {
	rows, err := r.Query(ctx, `select address from address where account = $1 and kind = 'mail' and verified > 0 order by address`, int64(id))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}
