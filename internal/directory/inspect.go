package directory

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"countersign/internal/assurance"
	"countersign/internal/store"
)

// inspectPage is how many rows are read at once.
const inspectPage = 500

// Inspection looks at every row of the room.
type Inspection struct {
	kept
	people     people
	teams      teams
	held       held
	milestones *Milestones
}

// NewInspection makes an Inspection.
func NewInspection(p Parts) *Inspection {
	k := keptBy(p)
	return &Inspection{kept: k, people: people{k}, teams: teams{k}, held: held{k}, milestones: NewMilestones(p)}
}

// Inspect reads every row of the directory once and reports those that are not as they
// were left, those that hang from no account, and those that are missing. It stops at none
// of them; its error is that of the database. It is for the background: it takes as long
// as the tables are large.
func (i *Inspection) Inspect(ctx context.Context) error {
	return errors.Join(
		i.inspectTeams(ctx),
		i.inspectAccounts(ctx),
		i.inspectExternals(ctx),
		i.inspectRemoved(ctx),
		i.inspectMilestones(ctx))
}

// inspectTeams reads the groups, which reports those that are not believed, and asks for
// those that are missing.
func (i *Inspection) inspectTeams(ctx context.Context) error {
	all, err := i.teams.all(ctx, i.db)
	if err != nil {
		return err
	}
	ids := []int64{inspectPage}
	for _, g := range all {
		ids = append(ids, g.ID, g.ID+inspectPage)
	}
	slices.Sort(ids)
	return i.gaps(ctx, "team", 0, ids)
}

// inspectAccounts goes through the accounts by number, each page with what hangs from it
// and with what lies between its accounts and hangs from none.
func (i *Inspection) inspectAccounts(ctx context.Context) error {
	last := int64(0)
	return i.db.Walk(ctx, func(ctx context.Context) (bool, error) {
		p := &sweep{Inspection: i, after: last}
		err := p.page(ctx)
		last = p.last
		return len(p.accounts) == inspectPage, err
	})
}

// sweep is a page of accounts.
type sweep struct {
	*Inspection
	after, last int64
	accounts    []int64 // by number, also those that are not believed
}

func (p *sweep) page(ctx context.Context) error {
	if err := p.number(ctx); err != nil {
		return err
	}
	before, beyond := p.after, p.last
	if before == 0 {
		before = -1 << 63
	}
	if len(p.accounts) < inspectPage {
		beyond = 1<<63 - 1
	}
	all := []error{p.credentials(ctx), p.between(ctx)}
	for _, s := range strands {
		all = append(all, p.strand(ctx, s))
	}
	for _, o := range orphans {
		all = append(all, p.orphans(ctx, o, before, beyond))
	}
	return errors.Join(all...)
}

// number reads which accounts are on the page.
func (p *sweep) number(ctx context.Context) error {
	rows, err := p.db.Query(ctx, `select id from account where id > $1 order by id limit $2`, p.after, inspectPage)
	if err != nil {
		return err
	}
	defer rows.Close()
	for p.last = p.after; rows.Next(); {
		if err := rows.Scan(&p.last); err != nil {
			return err
		}
		p.accounts = append(p.accounts, p.last)
	}
	return rows.Err()
}

// credentials reads the page's accounts with their authenticators, which reports what is
// not believed of them.
func (p *sweep) credentials(ctx context.Context) error {
	rows, err := p.db.Query(ctx, `select `+accountColumns+`, `+heldColumns+` from account a left join credential c on c.account = a.id
		where a.id > $1 and a.id <= $2 order by a.id, c.id`, p.after, p.last)
	if err != nil {
		return err
	}
	defer rows.Close()
	var all belongings
	for at := p.after; rows.Next(); {
		var a accountRow
		c := &heldRow{}
		if err := rows.Scan(append(a.columns(), c.columns()...)...); err != nil {
			return err
		}
		if a.id != at {
			all.end()
			at, all = a.id, belongings{}
			if _, err := p.people.believe(ctx, &a); ours(err) != nil {
				return err
			}
			if all.holder, err = p.held.holder(ctx, c); ours(err) != nil {
				return err
			}
		}
		if all.holder == nil {
			continue
		}
		if err := all.add(ctx, &c.own); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil { // what was not read is not missing
		return err
	}
	all.end()
	return nil
}

// ours is an error of the database, and no row that was reported or removed.
func ours(err error) error {
	if errors.Is(err, ErrTampered) || err == unknown {
		return nil
	}
	return err
}

// between asks for the numbers between the accounts, and above the last one for as many as
// a page has.
func (p *sweep) between(ctx context.Context) error {
	ids := slices.Clone(p.accounts)
	if len(ids) < inspectPage {
		ids = append(ids, p.last+inspectPage)
	}
	return p.gaps(ctx, "account", p.after, ids)
}

// gapMost is how many numbers in a row are asked for. A database gives them one by one, and
// loses some when it crashes.
const gapMost = 100_000

// gaps asks for the numbers above one and between these: a row whose newest version is
// known, and which nobody removed, is missing.
func (i *Inspection) gaps(ctx context.Context, table string, above int64, ids []int64) error {
	for _, id := range ids {
		if id-above > gapMost { // no number of ours: the row was reported
			continue
		}
		for above++; above < id; above++ {
			if err := i.gap(ctx, table, above); err != nil {
				return err
			}
		}
		above = max(above-1, id)
	}
	return nil
}

func (i *Inspection) gap(ctx context.Context, table string, id int64) error {
	lost, err := i.db.View().Lost(ctx, table, id, func(ctx context.Context) (bool, error) {
		var version int64
		err := i.db.QueryRow(ctx, again[table], id).Scan(&version)
		if errors.Is(err, store.ErrNotFound) {
			return false, nil
		}
		return true, err
	})
	if lost {
		of := assurance.AccountID(0)
		if table == "account" {
			of = assurance.AccountID(id)
		}
		i.report(table, strconv.FormatInt(id, 10), store.Missing, of)
	}
	return err
}
