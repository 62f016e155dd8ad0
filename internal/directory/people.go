package directory

import (
	"context"
	"errors"
	"slices"
	"strings"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// people are the rows of accounts, each with its roster: what every piece of the room that
// changes what hangs from an account reads and writes.
type people struct{ kept }

const accountColumns = `a.id, a.name, a.display, a.kind, a.state, a.handle, a.created, a.used, a.risk, a.ends, a.language, a.changed, a.version, a.roster, a.mac`

type scanner interface{ Scan(dest ...any) error }

// accountRow is an account's own row, as kept: in one piece, because what a column is read
// into is allocated by itself otherwise.
type accountRow struct {
	account                                Account
	id, created, used, risk, ends, changed int64
	mac                                    []byte
}

func (r *accountRow) columns() []any {
	a := &r.account
	return append(make([]any, 0, 23), &r.id, &a.Name, &a.Display, &a.Kind, &a.State, &a.Handle, &r.created, &r.used, &r.risk, &r.ends, &a.Language, &r.changed, &a.version, &a.kept, &r.mac)
}

// get returns the account of this number.
func (p people) get(ctx context.Context, r store.Reader, id assurance.AccountID) (Account, error) {
	a, _, err := p.look(ctx, r, byNumber, id)
	return a, err
}

const byNumber = `select ` + accountColumns + `, 0 from account a where a.id = $1`

// look reads an account, and a number with it.
func (p people) look(ctx context.Context, r store.Reader, query string, id assurance.AccountID) (Account, int64, error) {
	var row accountRow
	var n int64
	err := r.QueryRow(ctx, query, int64(id)).Scan(append(row.columns(), &n)...)
	if errors.Is(err, store.ErrNotFound) {
		return Account{}, 0, unknown
	}
	if err != nil {
		return Account{}, 0, err
	}
	a, err := p.believe(ctx, &row)
	return a, n, err
}

// believe returns the account of a row that bears our MAC and is the newest, with what
// hangs from it.
func (p people) believe(ctx context.Context, r *accountRow) (Account, error) {
	a := r.account
	a.ID, a.Created, a.Used, a.Risk, a.Ends = assurance.AccountID(r.id), store.Time(r.created), store.Time(r.used), store.Time(r.risk), store.Time(r.ends)
	a.Changed = store.Time(r.changed)
	if !p.keys.VerifyMAC(keyring.Account, a.fields(), r.mac) {
		return Account{}, p.tampered("account", r.id, a.ID)
	}
	if err := p.newest(ctx, "account", r.id, a.version, a.ID); err != nil {
		return Account{}, err
	}
	var err error
	if a.roster, err = readRoster(a.kept); err != nil {
		return Account{}, p.tampered("account", r.id, a.ID)
	}
	a.belong()
	return a, nil
}

// list reads accounts. One whose row is not believed has its number, its name and the
// state Tampered, so that whoever goes through all of them is not stopped by it.
func (p people) list(ctx context.Context, r store.Reader, query string, args ...any) ([]Account, error) {
	rows, err := r.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Account
	for rows.Next() {
		var row accountRow
		if err := rows.Scan(row.columns()...); err != nil {
			return nil, err
		}
		a, err := p.believe(ctx, &row)
		switch {
		case errors.Is(err, ErrTampered):
			a = Account{ID: assurance.AccountID(row.id), Name: row.account.Name, State: Tampered}
		case err == unknown: // removed since
			continue
		case err != nil:
			return nil, err
		}
		out = append(out, a)
	}
	return out, rows.Err()
}

// save counts an account up and writes it, with what hangs from it.
func (p people) save(ctx context.Context, tx *store.Tx, a *Account) error {
	old := a.version
	a.version, a.kept = old+1, a.roster.bytes()
	n, err := tx.Exec(ctx, `update account set display = $1, state = $2, used = $3, risk = $4, ends = $5, language = $6, changed = $7, version = $8, roster = $9, roster_mac = $10, mac = $11 where id = $12 and version = $13`,
		a.Display, a.State, store.Unix(a.Used), store.Unix(a.Risk), store.Unix(a.Ends), a.Language, store.Unix(a.Changed), a.version, a.kept, p.keys.MAC(keyring.Account, rosterFields(a.ID, a.version, a.kept)), p.keys.MAC(keyring.Account, a.fields()),
		int64(a.ID), old)
	if err == nil && n != 1 {
		return failure.New(failure.Conflict, "The account was changed meanwhile; try again.")
	}
	tx.Anchor("account", int64(a.ID), a.version)
	return err
}

// belong says of an account what its roster does.
func (a *Account) belong() {
	for _, j := range a.roster.groups {
		a.Groups = append(a.Groups, j.name)
		a.Privileged = a.Privileged || j.privileged
		if partner, is := strings.CutPrefix(j.name, partnerPrefix); is {
			a.Partner = partner
		}
	}
	slices.Sort(a.Groups)
	if mails := a.roster.mails; len(mails) > 0 {
		a.Mail = mails[0].address
	}
	a.MailMoved = store.Time(a.roster.moved)
}

// fields are what an account's MAC is over. Its end is there only where it has one or a
// language or was changed, its language only where it has that or was changed, and when it was
// changed only where it was: a list of fewer fields is another one, so that neither adding one of
// them to a row nor taking one away verifies.
func (a Account) fields() *keyring.Fields {
	f := keyring.LongFields().Int(int64(a.ID)).String(a.Name).String(a.Display).String(a.Kind).String(a.State).Bytes(a.Handle).
		Int(store.Unix(a.Created)).Int(store.Unix(a.Used)).Int(store.Unix(a.Risk)).Int(a.version).Bytes(a.kept)
	if !a.Ends.IsZero() || a.Language != "" || !a.Changed.IsZero() {
		f.Int(store.Unix(a.Ends))
	}
	if a.Language != "" || !a.Changed.IsZero() {
		f.String(a.Language)
	}
	if !a.Changed.IsZero() {
		f.Int(store.Unix(a.Changed))
	}
	return f
}

// rosterFields are the roster by itself, for whoever reads what hangs from an account and
// not the account. No row of an account begins with a text.
func rosterFields(id assurance.AccountID, version int64, kept []byte) *keyring.Fields {
	return keyring.NewFields().String("roster").Int(int64(id)).Int(version).Bytes(kept)
}
