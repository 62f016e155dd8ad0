package directory

import (
	"context"
	"errors"
	"slices"

	"countersign/internal/assurance"
	"countersign/internal/store"
)

// Surveyed is one account with its authenticators in every state, or one whose
// rows were changed behind our back: then only its name is believed to be what
// the row says, and Tampered is set.
type Surveyed struct {
	Account     Account
	Credentials []Credential
	Tampered    bool
}

// surveyPage is how many accounts are read at once.
const surveyPage = 500

// Survey calls fn with every account by number, a page at a time, in a number of
// queries that grows with the accounts and not with their square. A row that is
// not believed does not end it.
func (d *Directory) Survey(ctx context.Context, r store.Reader, fn func(Surveyed) error) error {
	last := int64(0)
	for {
		page, end, err := d.surveyed(ctx, r, last)
		if err != nil {
			return err
		}
		for _, s := range page {
			if err := fn(*s); err != nil {
				return err
			}
		}
		if len(page) < surveyPage {
			return nil
		}
		last = end
	}
}

// surveyed reads one page: accounts, then what hangs from them.
func (d *Directory) surveyed(ctx context.Context, r store.Reader, after int64) ([]*Surveyed, int64, error) {
	rows, err := r.Query(ctx, `select `+accountColumns+` from account a where a.id > $1 order by a.id limit $2`, after, surveyPage)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	var page []*Surveyed
	byID := map[assurance.AccountID]*Surveyed{}
	row := &noting{scanner: rows}
	for rows.Next() {
		s := &Surveyed{}
		s.Account, err = d.scan(row)
		switch {
		case errors.Is(err, ErrTampered):
			s.Account, s.Tampered = Account{ID: assurance.AccountID(row.id), Name: row.name}, true
		case err != nil:
			return nil, 0, err
		}
		byID[s.Account.ID] = s
		page = append(page, s)
	}
	if err := rows.Err(); err != nil {
		return nil, 0, err
	}
	rows.Close()
	if err := d.surveyGroups(ctx, r, byID, after, row.id); err != nil {
		return nil, 0, err
	}
	for _, s := range page {
		slices.Sort(s.Account.Groups)
	}
	return page, row.id, d.surveyCredentials(ctx, r, byID, after, row.id)
}

// noting remembers the number and the name of the row that was scanned last, for
// when the rest of it is not believed.
type noting struct {
	scanner
	id   int64
	name string
}

func (n *noting) Scan(dest ...any) error {
	if err := n.scanner.Scan(dest...); err != nil {
		return err
	}
	n.id, n.name = *dest[0].(*int64), *dest[1].(*string)
	return nil
}

func (d *Directory) surveyGroups(ctx context.Context, r store.Reader, byID map[assurance.AccountID]*Surveyed, after, end int64) error {
	rows, err := r.Query(ctx, `select m.account, `+memberColumns+` from membership m join team t on t.id = m.team
		where m.account > $1 and m.account <= $2 order by m.account`, after, end)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var account int64
		var m memberRow
		if err := rows.Scan(append([]any{&account}, m.columns()...)...); err != nil {
			return err
		}
		s := byID[assurance.AccountID(account)]
		if s == nil {
			continue // created since the page was read
		}
		if err := d.join(&s.Account, &m); errors.Is(err, ErrTampered) {
			s.Tampered = true
		} else if err != nil {
			return err
		}
	}
	return rows.Err()
}

func (d *Directory) surveyCredentials(ctx context.Context, r store.Reader, byID map[assurance.AccountID]*Surveyed, after, end int64) error {
	rows, err := r.Query(ctx, `select c.account, `+credentialColumns+` from credential c where c.account > $1 and c.account <= $2 order by c.account, c.id`, after, end)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		row := &owned{scanner: rows}
		c, err := d.scanCredential(row)
		s := byID[assurance.AccountID(row.account)]
		switch {
		case err != nil && !errors.Is(err, ErrTampered):
			return err
		case s == nil:
		case err != nil:
			s.Tampered = true
		default:
			s.Credentials = append(s.Credentials, c)
		}
	}
	return rows.Err()
}

// owned reads a first column that says whose row it is.
type owned struct {
	scanner
	account int64
}

func (o *owned) Scan(dest ...any) error {
	return o.scanner.Scan(append([]any{&o.account}, dest...)...)
}
