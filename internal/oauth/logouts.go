package oauth

import (
	"context"
	"errors"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/store"
)

// Logouts is the queue of clients that are to be told that a session is over. Any number of servers
// may take from it; a row is with one at a time. It is safe for concurrent use.
type Logouts struct {
	rows     *logoutRows
	sessions Sessions
}

// NewLogouts makes the Logouts of grants.
func NewLogouts(gs *Grants) *Logouts { return &Logouts{gs.waiting, gs.sessions} }

const (
	// lease is how long a server has for what it took, before another one may take it: longer than
	// telling takes.
	lease = 2 * time.Minute
	// firstPause is how long a client is left alone that was not told; each pause is four times
	// the one before.
	firstPause = 5 * time.Second
	// mostTries bounds how often one client is told of one session: five seconds, 20, 80, five
	// minutes, 21 and 85 minutes apart.
	mostTries = 7
)

// Due are the applications that something is due for, 1000 at most.
func (q *Logouts) Due(ctx context.Context) (out []string, err error) {
	rows, err := q.rows.db.Query(ctx, `select distinct client from oauth_logout where due <= $1 limit 1000`, store.Unix(q.rows.now()))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var client string
		if err := rows.Scan(&client); err != nil {
			return nil, err
		}
		out = append(out, client)
	}
	return out, errors.Join(rows.Err(), rows.Close())
}

// Take takes what is due for a client, n at most, the oldest first. Each has to be settled
// ([Logouts.Settle]) within a minute. What turns out not to be due is put back, and more says that
// it is worth asking again.
func (q *Logouts) Take(ctx context.Context, client string, n int) (taken []*Logout, more bool, err error) {
	due, err := q.due(ctx, client, n)
	if err != nil {
		return nil, false, err
	}
	var standing []*Logout
	for _, l := range due {
		at, err := q.stands(ctx, l)
		switch {
		case err != nil:
			return nil, false, err
		case at.IsZero():
			taken = append(taken, l)
		default:
			l.due, l.expires = at, at.Add(persistence)
			standing = append(standing, l)
		}
	}
	var ours []*Logout
	err = q.rows.db.Housekeep(ctx, "logout.take", func(tx *store.Tx) error {
		ours = nil
		for _, l := range standing {
			if _, err := q.move(ctx, tx, l, l.due, l.tries); err != nil {
				return err
			}
		}
		for _, l := range taken {
			is, err := q.move(ctx, tx, l, tx.Now().Add(lease), l.tries+1)
			if err != nil {
				return err
			}
			if is {
				ours = append(ours, l)
			}
		}
		return nil
	})
	return ours, len(due) == n, err
}

// due are rows that are due. Those that cannot be read, or were told before and were put back, are
// cleared away.
func (q *Logouts) due(ctx context.Context, client string, n int) (out []*Logout, err error) {
	page, err := q.page(q.rows.db.Query(ctx, `select `+logoutColumns+` from oauth_logout where client = $1 and due <= $2 order by due limit $3`, client, store.Unix(q.rows.now()), n))
	if err != nil {
		return nil, err
	}
	var bad []*Logout
	for _, l := range page {
		back, err := q.back(ctx, l)
		switch {
		case err != nil:
			return nil, err
		case !l.whole || back && q.rows.db.Over(logoutTable, l.told()):
			bad = append(bad, l.Logout)
		default:
			out = append(out, l.Logout)
		}
	}
	if len(bad) == 0 {
		return out, nil
	}
	return out, q.rows.db.Housekeep(ctx, "logout.bad", func(tx *store.Tx) error {
		for _, l := range bad {
			if _, err := tx.Exec(ctx, `delete from oauth_logout where id = $1`, l.ID); err != nil {
				return err
			}
		}
		return nil
	})
}

// readLogout is a row as it was read: whole where what is sealed can be read, bound where nothing
// else of it was changed.
type readLogout struct {
	*Logout
	whole, bound bool
}

func (q *Logouts) page(rows *store.Rows, err error) (out []readLogout, _ error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		l, err := q.rows.scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, errors.Join(rows.Err(), rows.Close())
}

// back reports whether somebody put a row back: it is known outside the database that what it says
// is over. It is read once more, since it may have moved on since it was read.
func (q *Logouts) back(ctx context.Context, l readLogout) (bool, error) {
	if !l.whole || !q.rows.db.Over(logoutTable, l.told()) && !q.rows.db.Over(logoutTable, l.waited()) {
		return false, nil
	}
	var one int
	err := q.rows.db.QueryRow(ctx, `select 1 from oauth_logout where id = $1 and mac = $2`, l.ID, l.mac).Scan(&one)
	if errors.Is(err, store.ErrNotFound) {
		return true, nil
	}
	if err == nil {
		q.rows.report(l.Logout, store.Returned)
	}
	return err == nil, err
}

// stands is when a client is to be told whose session is not over yet; zero is now. So nobody who
// writes into the database has anybody signed out.
func (q *Logouts) stands(ctx context.Context, l *Logout) (time.Time, error) {
	if l.Over || q.rows.db.Over(logoutTable, l.waited()) {
		return time.Time{}, nil
	}
	held, err := q.sessions.Standing(ctx, l.Session)
	if failure.ClassOf(err) == failure.Refused || err == nil && held.Account != l.Account {
		return time.Time{}, nil
	}
	return held.Expires, err
}

// move sets when a row is due and how often it was tried, if it is as it was read.
func (q *Logouts) move(ctx context.Context, tx *store.Tx, l *Logout, due time.Time, tries int64) (bool, error) {
	was := l.mac
	next := *l
	next.due, next.tries = due, tries
	q.rows.bind(&next)
	n, err := tx.Exec(ctx, `update oauth_logout set due = $3, tries = $4, expires = $5, mac = $6 where id = $1 and mac = $2`, next.ID, was, store.Unix(next.due), next.tries, store.Unix(next.expires), next.mac)
	if err != nil || n == 0 {
		return false, err
	}
	tx.AfterCommit(func() { *l = next })
	return true, nil
}

// Outcome is what came of telling one client.
type Outcome struct {
	Logout *Logout
	// Why is a plain sentence of why it was not told; empty is that it was, or that it does not
	// want to be told any more.
	Why string
	// Untried says that nobody tried: it is tried soon, and this does not count.
	Untried bool
}

// Settle writes down what came of what was taken. What was not told is tried again, seven times
// and for six hours at most; then it is an entry of the log.
func (q *Logouts) Settle(ctx context.Context, all []Outcome) error {
	var lost []Outcome
	err := q.rows.db.Housekeep(ctx, "logout.settle", func(tx *store.Tx) error {
		lost = nil
		for _, o := range all {
			l := o.Logout
			switch {
			case o.Untried && tx.Now().Before(l.expires):
				if _, err := q.move(ctx, tx, l, tx.Now(), l.tries-1); err != nil {
					return err
				}
			case o.Why == "" && !o.Untried:
				if err := q.drop(ctx, tx, l); err != nil {
					return err
				}
			case l.tries >= mostTries || !tx.Now().Before(l.expires):
				lost = append(lost, o)
			default:
				if _, err := q.move(ctx, tx, l, tx.Now().Add(pauseAfter(l.tries)), l.tries); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil || len(lost) == 0 {
		return err
	}
	return q.rows.db.Change(ctx, audit.System("logout"), func(tx *store.Tx) error {
		for _, o := range lost {
			if err := q.drop(ctx, tx, o.Logout); err != nil {
				return err
			}
			if err := tx.Record(o.Logout.lost(o.Why)); err != nil {
				return err
			}
		}
		return nil
	})
}

// pauseAfter is how long a client is left alone after so many tries.
func pauseAfter(tries int64) time.Duration {
	pause := firstPause
	for range tries - 1 {
		pause *= 4
	}
	return pause
}

func (q *Logouts) drop(ctx context.Context, tx *store.Tx, l *Logout) error {
	tx.End(logoutTable, l.told(), l.expires)
	_, err := tx.Exec(ctx, `delete from oauth_logout where id = $1`, l.ID)
	return err
}

// lost is what the log says of a client that could not be told.
func (l *Logout) lost(why string) audit.Entry {
	return audit.Entry{Event: "client.logout-undelivered", Outcome: audit.Failed, Account: int64(l.Account), AccountName: l.Name, Application: l.Client,
		Protocol: "oidc", Detail: map[string]string{"session": l.Session, "answer": why}}
}

// Inspect reports the rows that are not as they were left. One whose time was changed is looked at
// at once, and told if its session is over: see [Logouts.Take].
func (q *Logouts) Inspect(ctx context.Context) error {
	last := []byte{}
	return q.rows.db.Walk(ctx, func(ctx context.Context) (more bool, err error) {
		page, err := q.page(q.rows.db.Query(ctx, `select `+logoutColumns+` from oauth_logout where id > $1 order by id limit $2`, last, inspectPage))
		if err != nil || len(page) == 0 {
			return false, err
		}
		last = page[len(page)-1].ID
		for _, l := range page {
			back, err := q.back(ctx, l)
			if err == nil && l.whole && (!l.bound || back) {
				err = q.wake(ctx, l.Logout)
			}
			if err != nil {
				return false, err
			}
		}
		return len(page) == inspectPage, nil
	})
}

// wake has a row looked at now.
func (q *Logouts) wake(ctx context.Context, l *Logout) error {
	return q.rows.db.Housekeep(ctx, "logout.wake", func(tx *store.Tx) error {
		next := *l
		next.expires = tx.Now().Add(persistence)
		_, err := q.move(ctx, tx, &next, tx.Now(), 0)
		return err
	})
}
