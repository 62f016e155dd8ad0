package session

import (
	"context"
	"errors"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/store"
)

// Endings ends sessions, and never begins one.
type Endings struct {
	db   *store.DB
	rows *rows
	now  func() time.Time
	// tells is asked in the change that ends a session; nil tells nobody.
	tells Told
}

// Told notes, in the change that ends it, that a session of a number is over, so that whoever was
// signed in by it can be told.
type Told func(ctx context.Context, tx *store.Tx, account assurance.AccountID, number string) error

// Tells has f asked of each session that ends. It is called once, before anybody has a session.
// A second call would have the first forgotten, so it is a mistake of the program: it panics.
func (e *Endings) Tells(f Told) {
	if e.tells != nil {
		panic("session: whoever is told of ended sessions is told by one function")
	}
	e.tells = f
}

// tell tells of a session that ends. Those that hang from it are its own, and of one whose time
// was over somebody else has told.
func (e *Endings) tell(ctx context.Context, tx *store.Tx, k beginning) error {
	if e.tells == nil || k.parent != "" || !k.expires.IsZero() && !e.now().Before(k.expires) {
		return nil
	}
	return e.tells(ctx, tx, k.account, k.number)
}

// NewEndings makes the Endings of sessions.
func NewEndings(s *Sessions) *Endings { return s.endings }

// EndTx ends one of the account's sessions and those that hang from it, inside
// another room's change, which records it. One whose row is missing, or is not as it was
// left, is over as well: somebody may put it back.
func (e *Endings) EndTx(ctx context.Context, tx *store.Tx, account assurance.AccountID, number string) (bool, error) {
	if !numbered(number) {
		return false, nil
	}
	r, err := e.rows.scan(tx.QueryRow(ctx, `select `+columns+` from session where number = $1`, number))
	switch {
	case errors.Is(err, store.ErrNotFound) && e.db.Over(table, number):
		return false, nil
	case errors.Is(err, store.ErrNotFound) || errors.Is(err, altered):
	case err != nil:
		return false, err
	case r.Account != account || !r.ended.IsZero():
		return false, nil
	}
	return true, e.end(ctx, tx, beginning{number: number, account: account})
}

// EndAllTx ends the account's sessions but one, inside another room's change. Those whose
// rows are not there are over as well.
func (e *Endings) EndAllTx(ctx context.Context, tx *store.Tx, account assurance.AccountID, except string) (int, error) {
	all, err := e.rows.all(tx.Query(ctx, `select `+columns+` from session where account = $1 and ended = 0`, int64(account)))
	if err != nil {
		return 0, err
	}
	epoch := max(store.Unix(e.now()), e.rows.epoch(account)) + 1
	tx.Anchor(table, int64(account), epoch)
	for _, topic := range e.rows.begun.topics(account) { // of what is remembered of one whose row was hidden
		tx.Announce(topic)
	}
	hidden := e.rows.begun.of(account)
	n := 0
	for _, r := range all {
		delete(hidden, r.Number)
		switch {
		case except != "" && r.Number == except:
			err = e.renew(ctx, tx, r, epoch)
		case except != "" && r.Parent == except:
		default:
			if r.Parent == "" {
				n++
			}
			err = e.endRow(ctx, tx, r)
		}
		if err != nil {
			return 0, err
		}
	}
	return n, e.endUnseen(ctx, tx, hidden, except)
}

// endUnseen tells of sessions that end with all others, and whose rows are not there.
func (e *Endings) endUnseen(ctx context.Context, tx *store.Tx, hidden map[string]beginning, except string) error {
	for number, k := range hidden {
		if number == except || e.db.Over(table, number) {
			continue
		}
		if err := e.tell(ctx, tx, k); err != nil {
			return err
		}
	}
	return nil
}

// rows reads rows, without those that are not as they were left.
func (rs *rows) all(rows *store.Rows, err error) ([]*row, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*row
	for rows.Next() {
		r, err := rs.scan(rows)
		if errors.Is(err, altered) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, errors.Join(rows.Err(), rows.Close())
}

// renew has a session stand although its account's others are over.
func (e *Endings) renew(ctx context.Context, tx *store.Tx, r *row, since int64) error {
	r.Since = since
	if err := e.rows.sealRow(r); err != nil {
		return err
	}
	e.rows.bind(r)
	_, err := tx.Exec(ctx, `update session set payload = $2, mac = $3 where id = $1`, r.id, r.sealed, r.mac)
	return err
}

// end ends a session and those that hang from it, whatever rows there are.
func (e *Endings) end(ctx context.Context, tx *store.Tx, k beginning) error {
	all, err := e.rows.all(tx.Query(ctx, `select `+columns+` from session where (number = $1 or parent = $1) and ended = 0`, k.number))
	if err != nil {
		return err
	}
	there := false
	for _, r := range all {
		there = there || r.Number == k.number
		if err := e.endRow(ctx, tx, r); err != nil {
			return err
		}
	}
	if !there {
		tx.Announce(Topic(k.number))
		tx.End(table, k.number, e.now().Add(longest))
		return e.tell(ctx, tx, k)
	}
	return nil
}

func (e *Endings) endRow(ctx context.Context, tx *store.Tx, r *row) error {
	tx.Announce(Topic(r.Number))
	tx.End(table, r.Number, r.expires)
	r.ended = e.now()
	e.rows.bind(r)
	if _, err := tx.Exec(ctx, `update session set ended = $2, mac = $3 where id = $1`, r.id, store.Unix(r.ended), r.mac); err != nil {
		return err
	}
	return e.tell(ctx, tx, beginning{number: r.Number, parent: r.Parent, account: r.Account, expires: r.expires})
}

// End ends one session of an account, as this actor, for this reason. One that
// is not there is NotFound.
func (e *Endings) End(ctx context.Context, by audit.Actor, account assurance.AccountID, number, reason string) error {
	return e.db.Change(ctx, by, func(tx *store.Tx) error {
		there, err := e.EndTx(ctx, tx, account, number)
		if err != nil {
			return err
		}
		if !there {
			return failure.New(failure.NotFound, "That session has ended already.")
		}
		return tx.Record(audit.Entry{Event: "session.ended", Outcome: "ok", Account: int64(account), Reason: reason, Detail: map[string]string{"session": number}})
	})
}

// SignOut ends the session of this secret. One that has ended is no error.
func (e *Endings) SignOut(ctx context.Context, secret string) error {
	r, _, err := e.rows.find(ctx, e.db, secret) // ending takes no device
	if failure.ClassOf(err) == failure.Refused {
		r, err = e.hidden(ctx, secret)
	}
	if err != nil || r == nil {
		return err
	}
	number := r.Number
	if r.Parent != "" {
		number = r.Parent // signing out of one host signs out of all
	}
	err = e.End(ctx, audit.Actor{Account: int64(r.Account), Name: "owner", Via: via(r)}, r.Account, number, "signed-out")
	if failure.ClassOf(err) == failure.NotFound {
		return nil
	}
	return err
}

// Elsewhere is a session whose owner signed out at an application that was told of it.
type Elsewhere struct {
	Account assurance.AccountID
	// Name is the account's, and Session the session's number.
	Name, Session string
	// Protocol is the one by which the application said so.
	Protocol string
}

// SignOutAt ends a session because its owner signed out at an application. One that has ended
// is no error.
func (e *Endings) SignOutAt(ctx context.Context, at Elsewhere) error {
	by := audit.Actor{Account: int64(at.Account), Name: at.Name, Via: at.Protocol}
	err := e.End(ctx, by, at.Account, at.Session, "signed-out-at-application")
	if failure.ClassOf(err) == failure.NotFound {
		return nil
	}
	return err
}

// hidden is what this server knows of a session whose row is not there, or not as it was
// left: whoever signs out of it has it ended all the same. Nil is nothing.
func (e *Endings) hidden(ctx context.Context, reference string) (*row, error) {
	_, id, _, ok := parse(reference)
	if !ok {
		return nil, nil
	}
	k, ok := e.rows.begun.get(id)
	if !ok || e.db.Over(table, k.number) {
		return nil, nil
	}
	_, err := e.rows.scan(e.db.QueryRow(ctx, `select `+columns+` from session where id = $1`, id))
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, altered) {
		return &row{payload: payload{Number: k.number, Parent: k.parent, Account: k.account}}, nil
	}
	return nil, err
}

// endHidden ends a session whose row is not there, where this server knows of it.
func (e *Endings) endHidden(ctx context.Context, tx *store.Tx, secret string) error {
	r, err := e.hidden(ctx, secret)
	if err != nil || r == nil {
		return err
	}
	return e.end(ctx, tx, beginning{number: r.Number, parent: r.Parent, account: r.Account})
}
