package directory

import (
	"context"
	"errors"
	"strconv"

	"countersign/internal/assurance"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// strand is a table whose rows hang from accounts, each by a key and with a number beside
// it: what a sweep knows of it.
type strand struct {
	table string
	// columns are key, number and MAC in a statement with the table in it, as join says.
	columns, join string
	fields        func(account int64, key string, n int64) *keyring.Fields
	// has is what a roster has of it, by [store.NumberOf] of the key.
	has func(r *roster) map[int64]hung
	// row names a row in a report.
	row func(account int64, key string) string
}

// hung is a row that a roster tells of.
type hung struct {
	n   int64
	key string // empty where the roster does not know it
}

var strands = []strand{
	{"membership", `coalesce(cast(m.team as text), ''), coalesce(m.created, 0), m.mac`, `membership m on m.account = a.id`,
		func(account int64, key string, n int64) *keyring.Fields {
			team, _ := strconv.ParseInt(key, 10, 64) // the database wrote it
			return membership(team, assurance.AccountID(account), n)
		}, hungGroups, keyAndAccount},
	{"address", `coalesce(e.address, ''), coalesce(e.verified, 0), e.mac`, `address e on e.account = a.id and e.kind = 'mail'`,
		func(account int64, key string, n int64) *keyring.Fields {
			return addressFields(account, "mail", key, n)
		}, hungMails, keyAndAccount},
	{"account_alias", `coalesce(n.alias, ''), 0, n.mac`, `account_alias n on n.account = a.id`,
		func(account int64, key string, _ int64) *keyring.Fields { return spelling(key, account) }, hungNames,
		func(account int64, alias string) string {
			if alias == "" {
				return "of account " + strconv.FormatInt(account, 10)
			}
			return alias
		}},
}

func keyAndAccount(account int64, key string) string {
	return key + "/" + strconv.FormatInt(account, 10)
}

func hungGroups(r *roster) map[int64]hung {
	all := make(map[int64]hung, len(r.groups))
	for _, j := range r.groups {
		key := strconv.FormatInt(j.team, 10)
		all[store.NumberOf(key)] = hung{j.at, key}
	}
	return all
}

func hungMails(r *roster) map[int64]hung {
	all := make(map[int64]hung, len(r.mails))
	for _, m := range r.mails {
		all[store.NumberOf(m.address)] = hung{m.verified, m.address}
	}
	return all
}

func hungNames(r *roster) map[int64]hung {
	all := make(map[int64]hung, len(r.names))
	for _, n := range r.names {
		all[n] = hung{}
	}
	return all
}

// strand compares the rows of a table with the rosters of the page's accounts.
func (p *sweep) strand(ctx context.Context, s strand) error {
	rows, err := p.db.Query(ctx, `select a.id, a.version, a.roster, a.roster_mac, `+s.columns+` from account a left join `+s.join+`
		where a.id > $1 and a.id <= $2 order by a.id`, p.after, p.last)
	if err != nil {
		return err
	}
	defer rows.Close()
	var wanted map[int64]hung // nil for an account that is not believed
	at := p.after
	for rows.Next() {
		var a heldRow
		var key string
		var n int64
		var mac []byte
		if err := rows.Scan(&a.account, &a.version, &a.kept, &a.keptMAC, &key, &n, &mac); err != nil {
			return err
		}
		if a.account != at {
			p.missing(s, at, wanted)
			at, wanted = a.account, nil
			_, err := p.held.holder(ctx, &a)
			if ours(err) != nil {
				return err
			}
			if r, odd := readRoster(a.kept); err == nil && odd == nil {
				wanted = s.has(r)
			}
		}
		if wanted == nil || key == "" {
			continue
		}
		want, known := wanted[store.NumberOf(key)]
		delete(wanted, store.NumberOf(key))
		switch {
		case !p.keys.VerifyMAC(s.purpose(), s.fields(a.account, key, n), mac):
			p.report(s.table, s.row(a.account, key), store.Altered, assurance.AccountID(a.account))
		case !known || want.n != n:
			p.report(s.table, s.row(a.account, key), store.Returned, assurance.AccountID(a.account))
		}
	}
	if err := rows.Err(); err != nil { // what was not read is not missing
		return err
	}
	p.missing(s, at, wanted)
	return nil
}

func (s strand) purpose() keyring.Purpose {
	if s.table == "membership" {
		return keyring.Membership
	}
	return keyring.Account
}

// missing reports what an account's roster tells of and no row does.
func (p *sweep) missing(s strand, account int64, wanted map[int64]hung) {
	for _, h := range wanted {
		p.report(s.table, s.row(account, h.key), store.Missing, assurance.AccountID(account))
	}
}

// orphan finds the rows of a table that hang from an account between two numbers which is
// not there. They name the row in a report.
type orphan struct{ table, query string }

const whoseAccountIsGone = ` > $1 and x.account <= $2 and not exists (select 1 from account a where a.id = x.account) limit 500`

var orphans = []orphan{
	{"credential", `select cast(x.id as text), x.account from credential x where x.account` + whoseAccountIsGone},
	{"membership", `select x.team || '/' || x.account, x.account from membership x where x.account` + whoseAccountIsGone},
	{"address", `select x.address || '/' || x.account, x.account from address x where x.account` + whoseAccountIsGone},
	{"account_alias", `select x.alias, x.account from account_alias x where x.account > 0 and x.account` + whoseAccountIsGone},
	{"address", `select x.address || '/' || x.account, x.account from address x where x.account > $1 and x.account <= $2 and x.kind <> 'mail' limit 500`}, // there are none
}

// orphans reports what hangs from no account. It went with its account, or somebody else
// wrote it.
func (p *sweep) orphans(ctx context.Context, o orphan, above, upTo int64) error {
	rows, err := p.db.Query(ctx, o.query, above, upTo)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var row string
		var account int64
		if err := rows.Scan(&row, &account); err != nil {
			return err
		}
		p.report(o.table, row, store.Returned, assurance.AccountID(account))
	}
	return rows.Err()
}

// inspectRemoved goes through the names that were taken away.
func (i *Inspection) inspectRemoved(ctx context.Context) error {
	last := ""
	return i.db.Walk(ctx, func(ctx context.Context) (bool, error) {
		rows, err := i.db.Query(ctx, `select alias, account, mac from account_alias where account <= 0 and alias > $1 order by alias limit $2`, last, inspectPage)
		if err != nil {
			return false, err
		}
		defer rows.Close()
		n := 0
		for ; rows.Next(); n++ {
			var account int64
			var mac []byte
			if err := rows.Scan(&last, &account, &mac); err != nil {
				return false, err
			}
			if !i.keys.VerifyMAC(keyring.Account, spelling(last, account), mac) {
				i.report("account_alias", last, store.Altered, 0)
			}
		}
		return n == inspectPage, rows.Err()
	})
}

// inspectMilestones looks at what happened once and for good.
func (i *Inspection) inspectMilestones(ctx context.Context) error {
	_, err := i.milestones.Administered(ctx, i.db)
	if err != nil {
		return err
	}
	rows, err := i.db.Query(ctx, `select name, account, at, mac from milestone`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var account, at int64
		var mac []byte
		if err := rows.Scan(&name, &account, &at, &mac); err != nil {
			return err
		}
		if !i.keys.VerifyMAC(keyring.Milestone, milestoneFields(name, account, at), mac) {
			i.report("milestone", name, store.Altered, assurance.AccountID(account))
		}
	}
	return errors.Join(rows.Err(), i.milestoneLost(ctx, administered), i.milestoneLost(ctx, bound))
}

func (i *Inspection) milestoneLost(ctx context.Context, name string) error {
	lost, err := i.db.View().Lost(ctx, "milestone", store.NumberOf(name), func(ctx context.Context) (bool, error) {
		var at int64
		err := i.db.QueryRow(ctx, `select at from milestone where name = $1`, name).Scan(&at)
		if errors.Is(err, store.ErrNotFound) {
			return false, nil
		}
		return true, err
	})
	if lost {
		i.report("milestone", name, store.Missing, 0)
	}
	return err
}
