package throttle

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/store"
)

// An authenticator with too many wrong answers in a row is closed to the side that they
// came from, and to no other. That is a count and no state of the authenticator: it is
// active, its owner has it, and it can be used from every other side. It is open again
// once it was right from another side, once two factors were shown without it, or when
// an administrator opens it. So nobody who has shown nothing closes anything for good,
// and of one authenticator there are never more than five times the limit of wrong
// answers in a row (SP 800-63B-4 section 3.2.2).

// closed are the accounts of which this server has heard that something is closed, so
// that a sign-in that opens it finds out without reading anything. What it has not heard
// of stays closed until the next sign-in.
type closed struct {
	mu       sync.Mutex
	read     bool
	accounts map[assurance.AccountID]bool
}

const closedTopic = "closed/"

func closedKey(id assurance.AccountID) string {
	return closedTopic + strconv.FormatInt(int64(id), 10)
}

// hear learns from the feed what another server closed.
func (c *closed) hear(topic string) {
	number, ok := strings.CutPrefix(topic, closedTopic)
	if id, err := strconv.ParseInt(number, 10, 64); ok && err == nil {
		c.set(assurance.AccountID(id), true)
	}
}

func (c *closed) set(id assurance.AccountID, is bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.accounts == nil {
		c.accounts = map[assurance.AccountID]bool{}
	}
	if is {
		c.accounts[id] = true
	} else {
		delete(c.accounts, id)
	}
}

// is reports whether something of an account is closed. The first time it reads what was
// closed before this server began.
func (c *closed) is(ctx context.Context, r store.Reader, id assurance.AccountID) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.read {
		rows, err := r.Query(ctx, `select subject from guess where subject like $1`, closedTopic+"%")
		if err != nil {
			return false, err
		}
		defer rows.Close()
		for rows.Next() {
			var subject string
			if err := rows.Scan(&subject); err != nil {
				return false, err
			}
			// Whether it is ours is asked where it would open something.
			if n, err := strconv.ParseInt(strings.TrimPrefix(subject, closedTopic), 10, 64); err == nil {
				if c.accounts == nil {
					c.accounts = map[assurance.AccountID]bool{}
				}
				c.accounts[assurance.AccountID(n)] = true
			}
		}
		if err := rows.Err(); err != nil {
			return false, err
		}
		c.read = true
	}
	return c.accounts[id], nil
}

// Wear is what a wrong answer has done to an authenticator: it is closed to a side, or,
// before that, slow for strangers.
type Wear struct {
	Credential assurance.CredentialID
	Side       Side
	Closed     bool
}

// WornOut says what the wrong answer that was just charged to a budget has done.
func (t *Throttle) WornOut(b *Budget) (out []Wear) {
	for _, s := range b.subjects {
		switch {
		case s.credential == 0:
		case s.count == t.budgets.limits.Disable:
			out = append(out, Wear{s.credential, s.side, true})
		case s.count == t.budgets.limits.slowest() && (s.side == Stranger || s.side == Gateway):
			out = append(out, Wear{s.credential, s.side, false})
		}
	}
	return out
}

// Close writes down that something of an account is closed, for all servers.
func (t *Throttle) Close(ctx context.Context, tx *store.Tx, account assurance.AccountID) error {
	tx.Announce(closedKey(account))
	return t.budgets.ledger.write(ctx, tx, []guessRow{{subject: closedKey(account), count: 1, since: store.Unix(t.budgets.now())}})
}

// Words say for the log and for people to whom something is closed.
func (s Side) Words() string {
	switch s {
	case AtHome:
		return "addresses from which its owner was let in"
	case InBrowser:
		return "browsers in which its owner was let in"
	case HasShown:
		return "those who have shown another factor"
	case Gateway:
		return "equipment that does not tell where people are"
	}
	return "strangers"
}

// IsClosed reports whether something of an account is closed, as far as this server has
// heard, and the row that says so is ours.
func (t *Throttle) IsClosed(ctx context.Context, r store.Reader, account assurance.AccountID) (bool, error) {
	is, err := t.closed.is(ctx, r, account)
	if err != nil || !is {
		return false, err
	}
	return t.budgets.ledger.wrote(ctx, r, closedKey(account))
}

// Open forgets all that was guessed wrong at an account's authenticators.
func (t *Throttle) Open(ctx context.Context, tx *store.Tx, account assurance.AccountID) error {
	var newest int64
	if err := tx.QueryRow(ctx, `select coalesce(max(since), 0) from guess where owner <> 0 and owner = $1`, int64(account)).Scan(&newest); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `delete from guess where subject = $1`, closedKey(account)); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `delete from guess where owner <> 0 and owner = $1`, int64(account)); err != nil {
		return err
	}
	// What began until now is forgotten on all servers, also by one whose clock is a little
	// ahead; and nothing that begins later, whatever somebody wrote into a row.
	now := t.budgets.now()
	tx.Anchor("guess", int64(account), max(store.Unix(now), min(newest, store.Unix(now.Add(time.Minute)))))
	tx.AfterCommit(func() {
		t.closed.set(account, false)
		t.budgets.ledger.owned.forgetOwner(account)
	})
	return nil
}

// wrote reports whether there is a row of this subject that we wrote.
func (l *ledger) wrote(ctx context.Context, r store.Reader, subject string) (bool, error) {
	row, there, err := stored(ctx, r, subject)
	if err != nil || !there {
		return false, err
	}
	if !l.bound(&row) {
		l.altered(&row)
		return false, nil
	}
	return true, nil
}

// ClosedOf says what of an account's authenticators is closed, and to whom.
func (t *Throttle) ClosedOf(ctx context.Context, r store.Reader, account assurance.AccountID, of []assurance.CredentialID) (out []Wear, err error) {
	var all []subject
	for _, id := range of {
		all = apart(all, subject{key: credentialKey(id), credential: id, owner: account}, sides[:]...)
	}
	if len(all) == 0 {
		return nil, nil
	}
	if _, _, err := t.budgets.load(ctx, r, all, note{account: account}, ""); err != nil {
		return nil, err
	}
	for _, s := range all {
		if s.count >= t.budgets.limits.Disable {
			out = append(out, Wear{s.credential, s.side, true})
		}
	}
	return out, nil
}
