package recovery

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// The kinds under which the log says of cases what must be there.
const (
	rowKind = "recovery"
	// lastKind says which case of an account is its newest, and under 0 which of all is.
	lastKind = "recoveries"
	// endKind says until when, at the longest, something can come of an account's newest.
	endKind = "recovery_ends"
)

const caseColumns = `id, account, secret, opener, checked, note, forgotten, second, state, confirmer, taken, opened, due, ends, collected, version, mac`

// again reads the version of a case that may have been changed meanwhile.
const again = `select version from recovery where id = $1`

func (c Case) fields() *keyring.Fields {
	return keyring.NewFields().String(rowKind).Int(c.ID).Int(c.version).Int(int64(c.Account)).Bytes(c.secret).Int(int64(c.Opener)).String(c.Check).String(c.Note).
		Int(store.Bit(c.Forgotten)).Int(store.Bit(c.Second)).String(c.state).Int(int64(c.Confirmer)).Int(int64(c.Taken)).
		Int(store.Unix(c.Opened)).Int(store.Unix(c.Due)).Int(store.Unix(c.Ends)).Int(store.Unix(c.Collected))
}

// anchor says what a change leaves of a case.
func (c Case) anchor(tx *store.Tx) {
	numbers.Anchor(tx, c.ID, c.version)
	tx.Anchor(lastKind, int64(c.Account), c.ID)
	tx.Anchor(endKind, int64(c.Account), store.Unix(c.Ends))
}

// errOvertaken is a case that was changed between reading it and looking at what is newest.
// It is not believed, and nobody did anything: whoever reads again has what it is now. A
// transaction that comes upon it is run again by the store.
var errOvertaken = fmt.Errorf("recovery: a case was changed while it was read: %w", directory.ErrTampered)

// mostReads bounds how often somebody reads again who comes upon errOvertaken. Nobody
// changes a case so often.
const mostReads = 20

// settled has something read again until nothing of it was changed meanwhile. A transaction
// would read the same again; the store has that run again as a whole.
func settled[T any](from store.Reader, read func() (T, error)) (out T, err error) {
	if _, within := from.(*store.Tx); within {
		return read()
	}
	for range mostReads {
		if out, err = read(); !errors.Is(err, errOvertaken) {
			return out, err
		}
	}
	return out, fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}

// scan reads a case. One that is not as it was left is [directory.ErrTampered], and so is
// one that was changed while it was read, as errOvertaken.
func (cs *Cases) scan(ctx context.Context, row interface{ Scan(...any) error }) (Case, error) {
	c, mac, err := scanCase(row)
	if err != nil {
		return Case{}, err
	}
	wrong := ""
	switch {
	case !cs.keys.VerifyMAC(keyring.Recovery, c.fields(), mac):
		wrong = store.Altered
	case cs.view.Older(ctx, rowKind, c.ID, c.version, again):
		if !cs.view.Stands(ctx, rowKind, c.ID, again) {
			cs.view.Doubt(rowKind, c.ID)
			return Case{}, errOvertaken
		}
		wrong = store.Older
	default:
		return c, nil
	}
	cs.view.Report(store.Finding{Table: "recovery", Row: strconv.FormatInt(c.ID, 10), Wrong: wrong})
	return Case{}, directory.ErrTampered
}

func scanCase(row interface{ Scan(...any) error }) (c Case, mac []byte, err error) {
	var account, opener, forgotten, second, confirmer, taken, opened, due, ends, collected int64
	err = row.Scan(&c.ID, &account, &c.secret, &opener, &c.Check, &c.Note, &forgotten, &second, &c.state, &confirmer, &taken, &opened, &due, &ends, &collected, &c.version, &mac)
	c.Account, c.Opener, c.Confirmer = assurance.AccountID(account), assurance.AccountID(opener), assurance.AccountID(confirmer)
	c.Forgotten, c.Second, c.Taken = forgotten == 1, second == 1, int(taken)
	c.Opened, c.Due, c.Ends, c.Collected = store.Time(opened), store.Time(due), store.Time(ends), store.Time(collected)
	return c, mac, err
}

// lost reports whether the newest case of an account is not there as it was left, while
// something could come of it or just came: what is to be thought of it nobody knows.
func (cs *Cases) lost(ctx context.Context, from store.Reader, account assurance.AccountID) (bool, error) {
	last := cs.view.Newest(lastKind, int64(account))
	if last == 0 || cs.view.Newest(endKind, int64(account)) <= store.Unix(cs.now()) {
		return false, nil
	}
	c, err := cs.byNumber(ctx, from, last)
	if errors.Is(err, store.ErrNotFound) { // what is read may be of before it was opened
		c, err = cs.byNumber(ctx, cs.view, last)
		if err == nil {
			cs.view.Doubt(rowKind, last)
		}
	}
	if errors.Is(err, errOvertaken) {
		return false, err
	}
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, directory.ErrTampered) {
		return true, nil
	}
	return err == nil && c.Account != account, err
}

func (cs *Cases) byNumber(ctx context.Context, from store.Reader, id int64) (Case, error) {
	return settled(from, func() (Case, error) {
		return cs.scan(ctx, from.QueryRow(ctx, `select `+caseColumns+` from recovery where id = $1`, id))
	})
}

func (cs *Cases) bySecret(ctx context.Context, from store.Reader, secret string) (Case, error) {
	return settled(from, func() (Case, error) {
		return cs.scan(ctx, from.QueryRow(ctx, `select `+caseColumns+` from recovery where secret = $1`, hash(secret)))
	})
}

// numbers are those of cases.
var numbers = store.Numbers{Table: rowKind, Highest: lastKind}

// inspectPage is how many rows a sweep reads at once.
const inspectPage = 500

// Inspect reads every case, and reports what is not as it was left, or missing.
func (cs *Cases) Inspect(ctx context.Context) error {
	return errors.Join(cs.inspectCases(ctx), cs.inspectMissing(ctx))
}

func (cs *Cases) inspectCases(ctx context.Context) error {
	after := int64(0)
	return cs.view.Walk(ctx, func(ctx context.Context) (bool, error) {
		rows, err := cs.view.Query(ctx, `select `+caseColumns+` from recovery where id > $1 order by id limit $2`, after, inspectPage)
		if err != nil {
			return false, err
		}
		defer rows.Close()
		n := 0
		for ; rows.Next(); n++ {
			last := lastOf{rows, &after}
			if _, err := cs.scan(ctx, last); err != nil && !errors.Is(err, directory.ErrTampered) {
				return false, err
			}
		}
		return n == inspectPage, rows.Err()
	})
}

// lastOf reads a row and keeps its number, which comes first.
type lastOf struct {
	row interface{ Scan(...any) error }
	id  *int64
}

func (l lastOf) Scan(dest ...any) error {
	err := l.row.Scan(dest...)
	if id, ok := dest[0].(*int64); ok && err == nil {
		*l.id = *id
	}
	return err
}

// inspectMissing asks for every case whose number was ever given.
func (cs *Cases) inspectMissing(ctx context.Context) error {
	after := int64(0)
	return cs.view.Walk(ctx, func(ctx context.Context) (bool, error) {
		last := min(after+inspectPage, numbers.Given(cs.view))
		there, err := cs.numbersBetween(ctx, after, last)
		if err == nil {
			err = numbers.ReportMissing(ctx, cs.view, after, last, there, again)
		}
		after = last
		return last < numbers.Given(cs.view), err
	})
}

func (cs *Cases) numbersBetween(ctx context.Context, after, last int64) (map[int64]bool, error) {
	rows, err := cs.view.Query(ctx, `select id from recovery where id > $1 and id <= $2`, after, last)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[int64]bool{}
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		out[id] = true
	}
	return out, rows.Err()
}

// Inspect reads every browser that shows a number, and reports what is not as it was left.
func (r *Requests) Inspect(ctx context.Context) error {
	after := int64(0)
	return r.db.Walk(ctx, func(ctx context.Context) (bool, error) {
		rows, err := r.db.Query(ctx, `select id, `+requestColumns+` from recovery_request where id > $1 order by id limit $2`, after, inspectPage)
		if err != nil {
			return false, err
		}
		defer rows.Close()
		n := 0
		for ; rows.Next(); n++ {
			if _, err := r.scanRequest(ctx, numberedRow{rows, &after}); err != nil && !errors.Is(err, store.ErrNotFound) {
				return false, err
			}
		}
		return n == inspectPage, rows.Err()
	})
}

// numberedRow reads a row behind its number.
type numberedRow struct {
	rows *store.Rows
	id   *int64
}

func (n numberedRow) Scan(dest ...any) error { return n.rows.Scan(append([]any{n.id}, dest...)...) }

// name is what the log calls a browser that shows a number.
func (q request) name() string { return hex.EncodeToString(q.secret) }

// lostCase says that an account's record is not what it was.
func lostCase(account directory.Account) error {
	return failure.New(failure.Conflict, "The record of a recovery of %s is missing or failed its integrity check (MAC), so its state is unknown. No other recovery is opened until it has expired; an administrator sees the alarm.", account.Name)
}

// bindPage is how many cases are bound in one change.
const bindPage = 200

// Bind gives the cases of a release before a MAC of all that they are. Those that did not
// bear their MAC of then get none. Browsers that show a number begin again.
func Bind(ctx context.Context, db *store.DB, keys *keyring.Keyring) error {
	for after := int64(0); ; {
		n := 0
		err := db.Change(ctx, audit.System("start"), func(tx *store.Tx) (err error) {
			if _, err := tx.Exec(ctx, `delete from recovery_request`); err != nil {
				return err
			}
			from := after
			if n, from, err = bindTx(ctx, tx, keys, from); err != nil {
				return err
			}
			tx.AfterCommit(func() { after = from })
			return tx.RecordBound("recovery", n)
		})
		if err != nil || n < bindPage {
			return err
		}
	}
}

func bindTx(ctx context.Context, tx *store.Tx, keys *keyring.Keyring, after int64) (n int, last int64, err error) {
	rows, err := tx.Query(ctx, `select `+caseColumns+` from recovery where version = 0 and id > $1 and id <= $2 order by id limit $3`, after, store.MostBound, bindPage)
	if err != nil {
		return 0, after, err
	}
	defer rows.Close()
	var sound []Case
	for ; rows.Next(); n++ {
		c, mac, err := scanCase(rows)
		if err != nil {
			return n, after, err
		}
		if after = c.ID; keys.VerifyMAC(keyring.Recovery, c.fieldsOfBefore(), mac) {
			sound = append(sound, c)
		}
	}
	if err := rows.Err(); err != nil {
		return n, after, err
	}
	for _, c := range sound {
		c.version = 1
		if _, err := tx.Exec(ctx, `update recovery set version = $2, mac = $3 where id = $1`, c.ID, c.version, keys.MAC(keyring.Recovery, c.fields())); err != nil {
			return n, after, err
		}
		c.anchor(tx)
	}
	return n, after, nil
}

// fieldsOfBefore are what the MAC of a case was made of before it had a version.
func (c Case) fieldsOfBefore() *keyring.Fields {
	f := keyring.NewFields().Int(c.ID).Int(int64(c.Account)).Bytes(c.secret).Int(int64(c.Opener)).String(c.Check).String(c.Note).
		Int(store.Bit(c.Forgotten)).Int(store.Bit(c.Second)).String(c.state).Int(int64(c.Confirmer)).Int(int64(c.Taken)).
		Int(store.Unix(c.Opened)).Int(store.Unix(c.Due)).Int(store.Unix(c.Ends))
	if !c.Collected.IsZero() {
		f = f.Int(store.Unix(c.Collected))
	}
	return f
}
