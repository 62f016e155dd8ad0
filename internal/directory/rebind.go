package directory

import (
	"context"
	"errors"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// bindPage is how many rows one change binds.
const bindPage = 500

// Bind binds what a release of before has left: its accounts get their rosters, and every
// row a MAC of all that it says. What did not bear its MAC of then gets none now. It is for
// the first start of a release that does so, see [Binding.Bound]; what is bound already
// is left alone, so that it can be called again after it was broken off.
func (b *Binding) Bind(ctx context.Context) error {
	return errors.Join(
		b.bindPages(ctx, "team", b.bindTeams),
		b.bindPages(ctx, "account", b.bindAccounts),
		b.bindPages(ctx, "account_alias", b.bindRemoved),
		b.bindPages(ctx, "milestone", b.bindAdministered))
}

// boundPage is what one page of a table has: how many rows were bound, and where the next page
// begins; nowhere where there is none.
type boundPage struct {
	rows int
	next int64
}

var errNothingBound = errors.New("directory: nothing to bind")

// bindPages binds a table, each page in a change of its own.
func (b *Binding) bindPages(ctx context.Context, table string, bind func(ctx context.Context, tx *store.Tx, after int64) (boundPage, error)) error {
	for after, more := int64(0), true; more; {
		var page boundPage
		err := b.db.Change(ctx, audit.System("start"), func(tx *store.Tx) (err error) {
			if page, err = bind(ctx, tx, after); err != nil {
				return err
			}
			if page.rows == 0 {
				return errNothingBound
			}
			return tx.RecordBound(table, page.rows)
		})
		if err != nil && !errors.Is(err, errNothingBound) {
			return err
		}
		after, more = page.next, page.next > 0
	}
	return nil
}

func (b *Binding) bindTeams(ctx context.Context, tx *store.Tx, _ int64) (boundPage, error) {
	rows, err := tx.Query(ctx, `select `+groupColumns+` from team t where t.version = 0`)
	if err != nil {
		return boundPage{}, err
	}
	defer rows.Close()
	var all []Group
	for rows.Next() {
		var g Group
		var p, created, changed int64
		var mac []byte
		if err := rows.Scan(&g.ID, &g.Name, &g.Display, &p, &created, &changed, &g.version, &mac); err != nil {
			return boundPage{}, err
		}
		g.Privileged, g.Created, g.version = p == 1, store.Time(created), 1
		if b.keys.VerifyMAC(keyring.Team, keyring.NewFields().Int(g.ID).String(g.Name).Int(p).Int(created), mac) {
			all = append(all, g)
		}
	}
	if err := rows.Err(); err != nil {
		return boundPage{}, err
	}
	for _, g := range all {
		if _, err := tx.Exec(ctx, `update team set version = $1, mac = $2 where id = $3`, g.version, b.keys.MAC(keyring.Team, g.fields()), g.ID); err != nil {
			return boundPage{}, err
		}
		tx.Anchor("team", g.ID, g.version)
	}
	return boundPage{rows: len(all)}, nil
}

// bindRemoved binds the names that were taken away.
func (b *Binding) bindRemoved(ctx context.Context, tx *store.Tx, _ int64) (boundPage, error) {
	rows, err := tx.Query(ctx, `select alias, account from account_alias where account <= 0 and mac is null limit $1`, bindPage)
	if err != nil {
		return boundPage{}, err
	}
	defer rows.Close()
	by := map[string]int64{}
	for rows.Next() {
		var alias string
		var account int64
		if err := rows.Scan(&alias, &account); err != nil {
			return boundPage{}, err
		}
		by[alias] = account
	}
	if err := rows.Err(); err != nil {
		return boundPage{}, err
	}
	for alias, account := range by {
		if err := b.bindName(ctx, tx, alias, account); err != nil {
			return boundPage{}, err
		}
		tx.Anchor(removedName, store.NumberOf(alias), 1)
	}
	return boundPage{rows: len(by), next: int64(len(by)) / bindPage}, nil
}

func (b *Binding) bindName(ctx context.Context, tx *store.Tx, alias string, account int64) error {
	_, err := tx.Exec(ctx, `update account_alias set mac = $1 where alias = $2`, b.keys.MAC(keyring.Account, spelling(alias, account)), alias)
	return err
}

// bindAdministered has the log say that there was an administrator, where it does not.
func (b *Binding) bindAdministered(ctx context.Context, tx *store.Tx, _ int64) (boundPage, error) {
	var n int
	if err := tx.QueryRow(ctx, `select count(*) from milestone where name = $1`, administered).Scan(&n); err != nil {
		return boundPage{}, err
	}
	if n > 0 {
		tx.Anchor("milestone", store.NumberOf(administered), 1)
	}
	return boundPage{rows: n}, nil
}

// unbound is an account of before, with what hangs from it.
type unbound struct {
	Account
	held  []Credential // that bore their MAC
	state [][]byte     // sealed, of each
	names []string
}

// bindAccounts binds a page of accounts.
func (b *Binding) bindAccounts(ctx context.Context, tx *store.Tx, after int64) (boundPage, error) {
	order, last, err := b.unboundAccounts(ctx, tx, after)
	if err != nil {
		return boundPage{}, err
	}
	all := make(map[int64]*unbound, len(order))
	for _, u := range order {
		all[int64(u.ID)] = u
	}
	for _, read := range []func(ctx context.Context, tx *store.Tx, all map[int64]*unbound, after, last int64) error{b.unboundGroups, b.unboundCredentials, b.unboundNames, b.unboundMails} {
		if err := read(ctx, tx, all, after, last); err != nil {
			return boundPage{}, err
		}
	}
	for _, u := range order {
		if err := b.bindAccount(ctx, tx, u); err != nil {
			return boundPage{}, err
		}
	}
	return boundPage{rows: len(order), next: last}, nil
}

// unboundAccounts reads a page of accounts that bear their MAC of before, and the number
// of the last account of the page; 0 where there is none.
func (b *Binding) unboundAccounts(ctx context.Context, tx *store.Tx, after int64) (out []*unbound, last int64, err error) {
	rows, err := tx.Query(ctx, `select `+accountColumns+` from account a where a.id > $1 order by a.id limit $2`, after, bindPage)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var r accountRow
		if err := rows.Scan(r.columns()...); err != nil {
			return nil, 0, err
		}
		last = r.id
		a := r.account
		a.ID, a.Created, a.Used, a.Risk, a.roster = assurance.AccountID(r.id), store.Time(r.created), store.Time(r.used), store.Time(r.risk), &roster{}
		f := keyring.NewFields().Int(r.id).String(a.Name).String(a.Kind).String(a.State).Bytes(a.Handle).Int(r.created).Int(r.used)
		if r.risk != 0 {
			f.Int(r.risk)
		}
		if a.version == 0 && b.keys.VerifyMAC(keyring.Account, f, r.mac) {
			out = append(out, &unbound{Account: a})
		}
	}
	return out, last, rows.Err()
}

// unboundGroups reads the groups of a page of accounts. What a bad row of a group says of
// it is that it is privileged.
func (b *Binding) unboundGroups(ctx context.Context, tx *store.Tx, all map[int64]*unbound, after, last int64) error {
	rows, err := tx.Query(ctx, `select m.account, m.created, m.mac, `+groupColumns+` from membership m join team t on t.id = m.team where m.account > $1 and m.account <= $2`, after, last)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var g Group
		var account, at, p, created, changed int64
		var mac, teamMAC []byte
		if err := rows.Scan(&account, &at, &mac, &g.ID, &g.Name, &g.Display, &p, &created, &changed, &g.version, &teamMAC); err != nil {
			return err
		}
		u := all[account]
		if u == nil || !b.keys.VerifyMAC(keyring.Membership, membership(g.ID, u.ID, at), mac) {
			continue
		}
		g.Privileged, g.Created = p == 1, store.Time(created)
		if !b.keys.VerifyMAC(keyring.Team, g.fields(), teamMAC) {
			g.Privileged = true
		}
		u.roster.join(g, at)
	}
	return rows.Err()
}

// unboundCredentials reads the authenticators of a page of accounts. One that does not bear
// its MAC of before is one that its owner has had.
func (b *Binding) unboundCredentials(ctx context.Context, tx *store.Tx, all map[int64]*unbound, after, last int64) error {
	rows, err := tx.Query(ctx, `select `+credentialColumns+` from credential c where c.account > $1 and c.account <= $2`, after, last)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var r credentialRow
		if err := rows.Scan(r.columns()...); err != nil {
			return err
		}
		u := all[r.account]
		if u == nil {
			continue
		}
		c, genuine := b.genuineBefore(&r)
		if c.power = u.roster.hold(c); genuine {
			u.held, u.state = append(u.held, c), append(u.state, r.sealed)
		}
	}
	return rows.Err()
}

// genuineBefore is genuine for a row of before.
func (b *Binding) genuineBefore(r *credentialRow) (Credential, bool) {
	c, _ := b.held.genuine(r)
	f := keyring.NewFields().Int(r.id).Int(r.account).String(c.Kind).String(c.Handle).String(c.Traits.String()).String(c.Status).
		Int(r.quarantine).Int(c.Version).Int(r.created).Bytes(r.sealed)
	if c.End != (End{}) || c.Assigned != 0 {
		f.Int(r.ended).String(c.End.by()).Int(r.given)
	}
	return c, b.keys.VerifyMAC(keyring.Credential, f, r.mac)
}

func (b *Binding) unboundNames(ctx context.Context, tx *store.Tx, all map[int64]*unbound, after, last int64) error {
	rows, err := tx.Query(ctx, `select alias, account from account_alias where account > $1 and account <= $2`, after, last)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var alias string
		var account int64
		if err := rows.Scan(&alias, &account); err != nil {
			return err
		}
		if u := all[account]; u != nil {
			u.names = append(u.names, alias)
			u.roster.call(alias)
		}
	}
	return rows.Err()
}

func (b *Binding) unboundMails(ctx context.Context, tx *store.Tx, all map[int64]*unbound, after, last int64) error {
	rows, err := tx.Query(ctx, `select account, address, verified from address where account > $1 and account <= $2 and kind = 'mail' and verified > 0`, after, last)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var account, verified int64
		var address string
		if err := rows.Scan(&account, &address, &verified); err != nil {
			return err
		}
		if u := all[account]; u != nil {
			u.roster.receive(address, verified)
		}
	}
	return rows.Err()
}

// bindAccount writes an account and what hangs from it.
func (b *Binding) bindAccount(ctx context.Context, tx *store.Tx, u *unbound) error {
	for i, c := range u.held {
		if _, err := tx.Exec(ctx, `update credential set power = $1, mac = $2 where id = $3`, c.power, b.keys.MAC(keyring.Credential, c.fields(u.state[i])), int64(c.ID)); err != nil {
			return err
		}
	}
	for _, alias := range u.names {
		if err := b.bindName(ctx, tx, alias, int64(u.ID)); err != nil {
			return err
		}
	}
	for _, m := range u.roster.mails {
		_, err := tx.Exec(ctx, `update address set mac = $1 where account = $2 and kind = 'mail' and address = $3`,
			b.keys.MAC(keyring.Account, addressFields(int64(u.ID), "mail", m.address, m.verified)), int64(u.ID), m.address)
		if err != nil {
			return err
		}
	}
	return b.save(ctx, tx, &u.Account)
}
