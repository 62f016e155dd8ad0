package recovery

import (
	"context"
	"errors"
	"slices"
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
	Collected Phase = "collected" // it took one, and may take another for the one before
	Over      Phase = "over"      // it took one, and gets no other
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
	// Collected is when it took the first: what was set up since came of it.
	Collected time.Time

	state   string
	secret  []byte // hash
	version int64  // counts what was written
}

// States of a row.
const (
	stateOpen    = "open"
	stateDone    = "done" // no pass any more; it can still be objected to
	stateStopped = "stopped"
)

// againLife is for how long after the first a browser may take another pass, when
// somebody closed the page half-way.
const againLife = 24 * time.Hour

// Phase is how far the case is at a moment.
func (c Case) Phase(now time.Time) Phase {
	switch {
	case c.state == stateStopped:
		return Stopped
	case c.state == stateDone, c.Taken > 0 && !now.Before(c.Collected.Add(againLife)):
		return Over
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

// underWay reports whether it can be objected to: something could come of it yet, or
// something came of it a short time ago.
func (c Case) underWay(now time.Time) bool { return c.state != stateStopped && now.Before(c.Ends) }

// Cases are the rows of cases, each bound to what it was when it was left.
type Cases struct {
	view store.View
	keys *keyring.Keyring
	now  func() time.Time
}

func newCases(p Parts) *Cases { return &Cases{view: p.DB.View(), keys: p.Keys, now: p.Now} }

// write writes what may change of a case that was read in the same transaction. A
// change in between is a Conflict.
func (cs *Cases) write(ctx context.Context, tx *store.Tx, was, c Case) error {
	c.version = was.version + 1
	n, err := tx.Exec(ctx, `update recovery set state = $1, confirmer = $2, taken = $3, due = $4, ends = $5, forgotten = $6, second = $7, collected = $8, version = $9, mac = $10
		where id = $11 and version = $12`,
		c.state, int64(c.Confirmer), c.Taken, store.Unix(c.Due), store.Unix(c.Ends), store.Bit(c.Forgotten), store.Bit(c.Second), store.Unix(c.Collected), c.version,
		cs.keys.MAC(keyring.Recovery, c.fields()), c.ID, was.version)
	if err == nil && n != 1 {
		return failure.New(failure.Conflict, "The recovery was changed meanwhile; look again.")
	}
	c.anchor(tx)
	return err
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

// UnderWay returns an account's newest case to which it can be objected.
func (cs *Cases) UnderWay(ctx context.Context, account assurance.AccountID) (Case, bool, error) {
	return cs.underWay(ctx, cs.view, account)
}

func (cs *Cases) underWay(ctx context.Context, from store.Reader, account assurance.AccountID) (Case, bool, error) {
	all, err := cs.standing(ctx, from, `account = $1`, account)
	if err != nil || len(all) == 0 {
		return Case{}, false, err
	}
	return all[0], true, nil
}

// standing returns the cases of which something could still come or just came, newest
// first: those of an account, or those that somebody vouched for.
func (cs *Cases) standing(ctx context.Context, from store.Reader, which string, account assurance.AccountID) ([]Case, error) {
	all, err := cs.cases(ctx, from, `select `+caseColumns+` from recovery where `+which+` and ends > $2 order by id desc`, int64(account), store.Unix(cs.now()))
	return slices.DeleteFunc(all, func(c Case) bool { return c.state == stateStopped }), err
}

// cases reads cases. One that is not believed ends nothing and is left out; where one was
// changed while it was read, all are read again.
func (cs *Cases) cases(ctx context.Context, from store.Reader, query string, args ...any) ([]Case, error) {
	return settled(from, func() ([]Case, error) {
		rows, err := from.Query(ctx, query, args...)
		if err != nil {
			return nil, err
		}
		return cs.believed(ctx, rows)
	})
}

func (cs *Cases) believed(ctx context.Context, rows *store.Rows) ([]Case, error) {
	defer rows.Close()
	var out []Case
	for rows.Next() {
		c, err := cs.scan(ctx, rows)
		if errors.Is(err, directory.ErrTampered) && !errors.Is(err, errOvertaken) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// Count returns how many cases are under way, and how many of them want a second
// person.
func (cs *Cases) Count(ctx context.Context) (under, unsure int64, err error) {
	err = cs.view.QueryRow(ctx, `select count(*), coalesce(sum(case when second = 1 and confirmer = 0 then 1 else 0 end), 0)
		from recovery where state = 'open' and taken = 0 and ends > $1`, store.Unix(cs.now())).Scan(&under, &unsure)
	return under, unsure, err
}

// mostListed bounds a list of cases.
const mostListed = 100

// List returns the newest cases, newest first, of one account or of all.
func (cs *Cases) List(ctx context.Context, account assurance.AccountID) ([]Case, error) {
	return cs.cases(ctx, cs.view, `select `+caseColumns+` from recovery where account = $1 or $1 = 0 order by id desc limit $2`, int64(account), mostListed)
}
