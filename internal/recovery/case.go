package recovery

import (
	"context"
	"errors"
	"strconv"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Phase is how far a case is.
type Phase string

// The phases of a case.
const (
	Waiting   Phase = "waiting"   // until its time
	Unsure    Phase = "unsure"    // until a second person confirms it
	Ready     Phase = "ready"     // its browser may take a pass
	Collected Phase = "collected" // it took one
	Stopped   Phase = "stopped"   // somebody objected, or something spoke against it
	Missed    Phase = "missed"    // nobody came for the pass in time
)

// Case is one recovery.
type Case struct {
	ID      int64
	Account assurance.AccountID
	// Opener is who made sure; the account itself where it brought codes.
	Opener      assurance.AccountID
	Check, Note string
	// Forgotten says that what the person knows is replaced too. Second says that it
	// takes a second person, Confirmer who that was, or 0.
	Forgotten, Second bool
	Confirmer         assurance.AccountID
	// Taken is how many passes its browser took.
	Taken             int
	Opened, Due, Ends time.Time

	state  string
	secret []byte // hash
}

// States of a row.
const (
	stateOpen    = "open"
	stateStopped = "stopped"
)

// Phase is how far the case is at a moment.
func (c Case) Phase(now time.Time) Phase {
	switch {
	case c.state != stateOpen:
		return Stopped
	case c.Taken > 0:
		return Collected
	case !now.Before(c.Ends):
		return Missed
	case c.Second && c.Confirmer == 0:
		return Unsure
	case now.Before(c.Due):
		return Waiting
	}
	return Ready
}

// underWay reports whether something could still come of it.
func (c Case) underWay(now time.Time) bool { return c.state == stateOpen && now.Before(c.Ends) }

func (c Case) fields() *keyring.Fields {
	return keyring.NewFields().Int(c.ID).Int(int64(c.Account)).Bytes(c.secret).Int(int64(c.Opener)).String(c.Check).String(c.Note).
		Int(store.Bit(c.Forgotten)).Int(store.Bit(c.Second)).String(c.state).Int(int64(c.Confirmer)).Int(int64(c.Taken)).
		Int(store.Unix(c.Opened)).Int(store.Unix(c.Due)).Int(store.Unix(c.Ends))
}

const caseColumns = `id, account, secret, opener, checked, note, forgotten, second, state, confirmer, taken, opened, due, ends, mac`

func (r *Recoveries) scan(row interface{ Scan(...any) error }) (Case, error) {
	var c Case
	var account, opener, forgotten, second, confirmer, taken, opened, due, ends int64
	var mac []byte
	if err := row.Scan(&c.ID, &account, &c.secret, &opener, &c.Check, &c.Note, &forgotten, &second, &c.state, &confirmer, &taken, &opened, &due, &ends, &mac); err != nil {
		return Case{}, err
	}
	c.Account, c.Opener, c.Confirmer = assurance.AccountID(account), assurance.AccountID(opener), assurance.AccountID(confirmer)
	c.Forgotten, c.Second, c.Taken = forgotten == 1, second == 1, int(taken)
	c.Opened, c.Due, c.Ends = store.Time(opened), store.Time(due), store.Time(ends)
	if !r.Keys.VerifyMAC(keyring.Recovery, c.fields(), mac) {
		r.Log.Error("a row was changed behind our back; it is not believed", "table", "recovery", "row", c.ID)
		return Case{}, directory.ErrTampered
	}
	return c, nil
}

// write writes what may change of a case that was read in the same transaction. A
// change in between is a Conflict.
func (r *Recoveries) write(ctx context.Context, tx *store.Tx, was, c Case) error {
	n, err := tx.Exec(ctx, `update recovery set state = $1, confirmer = $2, taken = $3, due = $4, ends = $5, mac = $6
		where id = $7 and state = $8 and confirmer = $9 and taken = $10`,
		c.state, int64(c.Confirmer), c.Taken, store.Unix(c.Due), store.Unix(c.Ends), r.Keys.MAC(keyring.Recovery, c.fields()),
		c.ID, was.state, int64(was.Confirmer), was.Taken)
	if err == nil && n != 1 {
		return failure.New(failure.Conflict, "The recovery was changed meanwhile; look again.")
	}
	return err
}

// end writes that nothing comes of a case any more.
func (r *Recoveries) end(ctx context.Context, tx *store.Tx, was Case) error {
	c := was
	c.state = stateStopped
	return r.write(ctx, tx, was, c)
}

// entry is what the log says of a case: whose it is, and which.
func (c Case) entry(en audit.Entry, account directory.Account) audit.Entry {
	en.Account, en.AccountName, en.Application = int64(account.ID), account.Name, signin.Self
	if en.Detail == nil {
		en.Detail = map[string]string{}
	}
	en.Detail["recovery"] = strconv.FormatInt(c.ID, 10)
	return en
}

// UnderWay returns an account's case of which something could still come.
func (r *Recoveries) UnderWay(ctx context.Context, from store.Reader, account assurance.AccountID) (Case, bool, error) {
	c, err := r.scan(from.QueryRow(ctx, `select `+caseColumns+` from recovery where account = $1 and state = 'open' and ends > $2 order by id desc limit 1`, int64(account), store.Unix(r.Now())))
	if errors.Is(err, store.ErrNotFound) {
		return Case{}, false, nil
	}
	return c, err == nil, err
}

// needed is [Recoveries.UnderWay] for what cannot be done without one.
func (r *Recoveries) needed(ctx context.Context, from store.Reader, account directory.Account) (Case, error) {
	c, there, err := r.UnderWay(ctx, from, account.ID)
	if err == nil && !there {
		return c, failure.At("account", failure.New(failure.NotFound, "No recovery of %s is under way.", account.Name))
	}
	return c, err
}

// Count returns how many cases are under way, and how many of them want a second
// person.
func (r *Recoveries) Count(ctx context.Context) (under, unsure int64, err error) {
	err = r.DB.QueryRow(ctx, `select count(*), coalesce(sum(case when second = 1 and confirmer = 0 then 1 else 0 end), 0)
		from recovery where state = 'open' and taken = 0 and ends > $1`, store.Unix(r.Now())).Scan(&under, &unsure)
	return under, unsure, err
}

// mostListed bounds a list of cases.
const mostListed = 100

// List returns the newest cases, newest first, of one account or of all.
func (r *Recoveries) List(ctx context.Context, account assurance.AccountID) ([]Case, error) {
	rows, err := r.DB.Query(ctx, `select `+caseColumns+` from recovery where account = $1 or $1 = 0 order by id desc limit $2`, int64(account), mostListed)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Case
	for rows.Next() {
		c, err := r.scan(rows)
		if errors.Is(err, directory.ErrTampered) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}
