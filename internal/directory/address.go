package directory

import (
	"context"
	"errors"
	"net/mail"
	"strings"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/keyring"
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
func (d *Accounts) AddMail(ctx context.Context, tx *store.Tx, id assurance.AccountID, typed string) error {
	a, err := d.Get(ctx, tx, id)
	if err != nil {
		return err
	}
	if err := d.addMail(ctx, tx, a, typed); err != nil {
		return err
	}
	tx.Announce(Topic(id))
	a.touch(tx)
	return d.save(ctx, tx, &a)
}

// addMail is AddMail for an account that is saved afterwards. A row that is there and
// which the account does not know of is somebody else's, and written anew.
func (d *Accounts) addMail(ctx context.Context, tx *store.Tx, a Account, typed string) error {
	addr, err := CheckMail(typed)
	if err != nil {
		return err
	}
	at := store.Unix(tx.Now())
	if !a.roster.receive(addr, at) {
		return failure.New(failure.Conflict, "The account has that address already.")
	}
	_, err = tx.Exec(ctx, `insert into address (account, kind, address, verified, mac) values ($1,'mail',$2,$3,$4)
		on conflict (account, kind, address) do update set verified = excluded.verified, mac = excluded.mac`,
		int64(a.ID), addr, at, d.keys.MAC(keyring.Account, addressFields(int64(a.ID), "mail", addr, at)))
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
		return d.addAlias(ctx, tx, a, c)
	}
	return err
}

// addressFields are a row of address.
func addressFields(account int64, kind, address string, verified int64) *keyring.Fields {
	return keyring.NewFields().String("address").Int(account).String(kind).String(address).Int(verified)
}

// Mails returns the account's verified mail addresses, sorted: also those whose rows
// somebody removed, so that nobody keeps a notice from its owner by that.
func (d *Accounts) Mails(ctx context.Context, r store.Reader, id assurance.AccountID) ([]string, error) {
	a, err := d.Get(ctx, r, id)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, m := range a.roster.mails {
		out = append(out, m.address)
	}
	return out, nil
}
