package directory

import (
	"context"
	"errors"

	"countersign/internal/assurance"
	"countersign/internal/store"
)

// Surveyed is one account with its authenticators in every state, or one whose
// rows failed their integrity check (MAC): then only its name is taken from the row, and
// Tampered is set.
type Surveyed struct {
	Account     Account
	Credentials []Credential
	Tampered    bool
}

// surveyPage is how many accounts are read at once.
const surveyPage = 500

// Survey goes through all accounts.
type Survey struct {
	people people
	held   held
}

// NewSurvey makes a Survey.
func NewSurvey(p Parts) *Survey {
	k := keptBy(p)
	return &Survey{people: people{k}, held: held{k}}
}

// People returns how many accounts are of people, and not of services.
func (s *Survey) People(ctx context.Context, r store.Reader) (n int64, err error) {
	err = r.QueryRow(ctx, `select count(*) from account where kind = $1`, Person).Scan(&n)
	return n, err
}

// Each calls fn with every account by number, a page at a time, in a number of
// queries that grows with the accounts and not with their square. A row that is
// not believed does not end it.
func (s *Survey) Each(ctx context.Context, r store.Reader, fn func(Surveyed) error) error {
	for last, more := int64(0), true; more; {
		page, err := s.page(ctx, r, last)
		if err != nil {
			return err
		}
		for _, one := range page.all {
			if err := fn(*one); err != nil {
				return err
			}
		}
		last, more = page.last, page.rows == surveyPage
	}
	return nil
}

// surveying is a page while it is read.
type surveying struct {
	all  []*Surveyed
	last int64 // the account whose rows are read
	rows int   // accounts, also those that are not believed
	held belongings
}

// page reads one page. Accounts and what hangs from them are one statement, so that
// neither is newer.
func (s *Survey) page(ctx context.Context, r store.Reader, after int64) (*surveying, error) {
	rows, err := r.Query(ctx, `select `+accountColumns+`, `+credentialColumns+` from account a left join credential c on c.account = a.id
		where a.id > $1 and a.id <= coalesce((select max(id) from (select id from account where id > $1 order by id limit $2) page), 0) order by a.id, c.id`, after, surveyPage)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	page := &surveying{last: after}
	for rows.Next() {
		var a accountRow
		var c credentialRow
		if err := rows.Scan(append(a.columns(), c.columns()...)...); err != nil {
			return nil, err
		}
		if a.id != page.last {
			if err := page.begin(ctx, s, &a); err != nil {
				return nil, err
			}
		}
		if page.held.holder == nil {
			continue
		}
		if err := page.held.add(ctx, &c); err != nil {
			return nil, err
		}
	}
	if err := rows.Err(); err != nil { // what was not read is not missing
		return nil, err
	}
	page.end()
	return page, nil
}

// begin takes the first row of an account.
func (p *surveying) begin(ctx context.Context, s *Survey, row *accountRow) error {
	p.end()
	p.last, p.rows = row.id, p.rows+1
	a, err := s.people.believe(ctx, row)
	switch {
	case errors.Is(err, ErrTampered):
		p.all = append(p.all, &Surveyed{Account: Account{ID: assurance.AccountID(row.id), Name: row.account.Name}, Tampered: true})
	case err == unknown: // removed since
	case err != nil:
		return err
	default:
		p.all = append(p.all, &Surveyed{Account: a})
		p.held = belongings{holder: &holder{held: s.held, account: a.ID, version: a.version, roster: a.roster}}
	}
	return nil
}

// end gives an account what was read of it.
func (p *surveying) end() {
	if p.held.holder == nil {
		return
	}
	s := p.all[len(p.all)-1]
	s.Credentials = p.held.end()
	s.Tampered = p.held.bad
	p.held = belongings{}
}
