package directory

import (
	"context"
	"errors"
	"strconv"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

const heldColumns = `a.id, a.version, a.roster, a.roster_mac, ` + credentialColumns

// heldRow is a credential with the roster of the account that it hangs from: read by one
// statement, so that neither is newer. The credential is zero where the account has none.
type heldRow struct {
	account, version int64
	kept, keptMAC    []byte
	own              credentialRow
}

func (r *heldRow) columns() []any {
	return r.own.appendTo(append(make([]any, 0, 21), &r.account, &r.version, &r.kept, &r.keptMAC))
}

// held are the rows of authenticators, each compared with the roster of whoever holds it.
type held struct{ kept }

// genuine returns the credential of a row that bears our MAC.
func (l held) genuine(r *credentialRow) (Credential, bool) {
	c := r.c
	var err, odd error
	c.ID, c.Account, c.Assigned = assurance.CredentialID(r.id), assurance.AccountID(r.account), assurance.AccountID(r.given)
	c.Quarantine, c.Created, c.Used = store.Time(r.quarantine), store.Time(r.created), store.Time(r.used)
	c.End, err = readEnd(r.ended, r.ender)
	c.Traits, odd = assurance.ParseTrait(r.traits)
	return c, err == nil && odd == nil && l.keys.VerifyMAC(keyring.Credential, c.fields(r.sealed), r.mac)
}

// holder compares the credentials of an account with its roster, of which it may have
// read nothing else.
type holder struct {
	held
	account assurance.AccountID
	version int64
	roster  *roster
}

// holder returns the roster that stands in a row, if it is the account's newest.
func (l held) holder(ctx context.Context, row *heldRow) (*holder, error) {
	id := assurance.AccountID(row.account)
	h := &holder{held: l, account: id, version: row.version}
	var err error
	if !l.keys.VerifyMAC(keyring.Account, rosterFields(id, row.version, row.kept), row.keptMAC) {
		return nil, l.tampered("account", row.account, id)
	}
	if _, h.roster, err = readHeld(row.kept); err != nil {
		return nil, l.tampered("account", row.account, id)
	}
	return h, l.newest(ctx, "account", row.account, row.version, id)
}

// believe returns the credential of a row, if it is the one that the roster tells of.
func (h *holder) believe(ctx context.Context, r *credentialRow, known holding) (Credential, bool, error) {
	c, genuine := h.genuine(r)
	wrong := ""
	switch {
	case !genuine:
		wrong = store.Altered
	case known.id == 0:
		wrong = store.Returned
	case c.power != known.power:
		wrong = store.Older
	}
	if wrong != "" {
		h.report("credential", strconv.FormatInt(r.id, 10), wrong, h.account)
		return c, false, nil
	}
	err := h.newest(ctx, "credential", r.id, c.Version, h.account)
	if errors.Is(err, ErrTampered) || failure.ClassOf(err) == failure.NotFound {
		return c, false, nil
	}
	if err != nil {
		return c, false, err
	}
	if c.State, err = h.keys.Open(keyring.Credential, c.aad(), r.sealed); err != nil {
		h.report("credential", strconv.FormatInt(r.id, 10), store.Altered, h.account)
		return c, false, nil
	}
	c.accountVersion = h.version
	return c, true, nil
}

// lost stands for a credential whose row is gone or not believed. Nobody knows why it is
// active no more, so that it was taken from its owner.
func (h *holder) lost(known holding) Credential {
	traits, err := assurance.ParseTrait(string(known.traits))
	if err != nil { // of a later release
		traits = assurance.Known | assurance.Held
	}
	return Credential{ID: known.id, Account: h.account, Traits: traits, Status: CredentialRevoked, lost: true, accountVersion: h.version}
}

// missing is lost, for one that has no row.
func (h *holder) missing(known holding) Credential {
	h.report("credential", strconv.FormatInt(int64(known.id), 10), store.Missing, h.account)
	return h.lost(known)
}

// of is what [Credentials.All] returns.
func (l held) of(ctx context.Context, r store.Reader, account assurance.AccountID) ([]Credential, error) {
	rows, err := r.Query(ctx, `select `+heldColumns+` from account a left join credential c on c.account = a.id where a.id = $1 order by c.id`, int64(account))
	return l.credentials(ctx, rows, err)
}

// credentials reads what an account holds, in the order of the numbers.
func (l held) credentials(ctx context.Context, rows *store.Rows, err error) ([]Credential, error) {
	if err != nil {
		return nil, err
	}
	all := belongings{out: make([]Credential, 0, 2)} // most people have no more
	row := &heldRow{}
	err = all.each(ctx, rows, row.columns(), &row.own, func() (err error) {
		if all.holder == nil {
			all.holder, err = l.holder(ctx, row)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return all.end(), nil
}

// errMoved is an account that was changed since it was read.
var errMoved = errors.New("directory: the account was changed since")

// unchanged reads what an account holds that was read before; it is not the same where the
// account was changed since, or where there is no row to tell.
func (l held) unchanged(ctx context.Context, rows *store.Rows, a Account, err error) (_ []Credential, same bool, _ error) {
	if err != nil {
		return nil, false, err
	}
	all := belongings{holder: &holder{held: l, account: a.ID, version: a.version, roster: a.roster}, out: make([]Credential, 0, 2)}
	var version int64
	row := &credentialRow{}
	err = all.each(ctx, rows, row.appendTo(append(make([]any, 0, 18), &version)), row, func() error {
		if same = version == a.version; !same {
			return errMoved
		}
		return nil
	})
	if err == errMoved || err == nil && !same {
		return nil, false, nil
	}
	if err == nil {
		err = l.newest(ctx, "account", int64(a.ID), a.version, a.ID)
	}
	if err != nil {
		return nil, false, err
	}
	return all.end(), true, nil
}

// credentials are an account's credentials while they are read, by number.
type belongings struct {
	*holder
	out  []Credential
	next int // of the roster
	bad  bool
}

// each takes all rows, which are read into own and whatever is around it, and has each
// looked at before.
func (b *belongings) each(ctx context.Context, rows *store.Rows, into []any, own *credentialRow, before func() error) error {
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if err := before(); err != nil {
			return err
		}
		if err := b.add(ctx, own); err != nil {
			return err
		}
	}
	return rows.Err()
}

// add takes the next row. The zero row is that of an account without any.
func (b *belongings) add(ctx context.Context, r *credentialRow) error {
	if r.id == 0 {
		return nil
	}
	b.skip(assurance.CredentialID(r.id))
	known := holding{}
	if b.next < len(b.roster.held) && b.roster.held[b.next].id == assurance.CredentialID(r.id) {
		known = b.roster.held[b.next]
		b.next++
	}
	c, ok, err := b.believe(ctx, r, known)
	if err != nil {
		return err
	}
	b.bad = b.bad || !ok
	switch {
	case ok:
		b.out = append(b.out, c)
	case known.id != 0:
		b.out = append(b.out, b.lost(known))
	}
	return nil
}

// skip notes that what the roster has before a number has no row.
func (b *belongings) skip(before assurance.CredentialID) {
	for ; b.next < len(b.roster.held) && b.roster.held[b.next].id < before; b.next++ {
		b.out, b.bad = append(b.out, b.missing(b.roster.held[b.next])), true
	}
}

func (b *belongings) end() []Credential {
	if b.holder != nil {
		b.skip(1<<63 - 1)
	}
	return b.out
}

// oneCredential is the credential of a row that was looked for by its number.
func (l held) oneCredential(ctx context.Context, row *heldRow, id assurance.CredentialID, err error) (Credential, error) {
	if errors.Is(err, store.ErrNotFound) {
		return Credential{}, noCredential
	}
	if err != nil {
		return Credential{}, err
	}
	h, err := l.holder(ctx, row)
	if err == unknown {
		return Credential{}, noCredential
	}
	if err != nil {
		return Credential{}, err
	}
	known := h.roster.holding(id)
	if row.own.id == 0 {
		if known.id == 0 {
			return Credential{}, noCredential
		}
		return h.missing(known), nil
	}
	c, ok, err := h.believe(ctx, &row.own, known)
	switch {
	case err != nil:
		return Credential{}, err
	case ok:
		return c, nil
	case known.id == 0:
		return Credential{}, noCredential
	}
	return h.lost(known), nil
}
