package signin

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
	"countersign/internal/ticket"
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

// wornOut tells of what a wrong answer has done to its budgets: that the authenticator
// is closed to this side, and before that its owner, once strangers make it slow.
func (x *examiner) wornOut(ctx context.Context, tx *store.Tx, at *attempt, q *question) error {
	for _, s := range q.budget.subjects {
		switch {
		case s.credential == 0:
		case s.count == x.setting.limits.Disable:
			if err := x.close(ctx, tx, at, q, s); err != nil {
				return err
			}
		case s.count == x.setting.limits.slowest() && (s.side == stranger || s.side == gateway):
			if err := x.tellGuessed(ctx, tx, at, q, noticeSlowed(q.how.Describe().Title)); err != nil {
				return err
			}
		}
	}
	return nil
}

// close writes down that an authenticator is closed to a side, and tells its owner.
func (x *examiner) close(ctx context.Context, tx *store.Tx, at *attempt, q *question, s subject) error {
	if err := x.guesses.write(ctx, tx, []guessRow{{subject: closedKey(q.account.ID), count: 1, since: store.Unix(x.now())}}); err != nil {
		return err
	}
	tx.Announce(closedKey(q.account.ID))
	en := at.entry(q.account, "credential.closed", audit.OK, "too-many-wrong-answers")
	en.Detail["authenticator"] = q.kind + "/" + strconv.FormatInt(int64(s.credential), 10)
	en.Detail["to"] = s.side.words()
	tx.Record(en)
	return x.tellGuessed(ctx, tx, at, q, noticeClosed(q.how.Describe().Title, s.side))
}

// words say for the log and for people to whom something is closed.
func (s side) words() string {
	switch s {
	case atHome:
		return "addresses from which its owner was let in"
	case inBrowser:
		return "browsers in which its owner was let in"
	case hasShown:
		return "those who have shown another factor"
	case gateway:
		return "equipment that does not tell where people are"
	}
	return "strangers"
}

// reopen opens what is closed of an account, because two factors were shown just now.
func (e *Engine) reopen(ctx context.Context, tx *store.Tx, at *attempt, account directory.Account) error {
	is, err := e.guesses.closed.is(ctx, tx, account.ID)
	if err != nil || !is || !assurance.TwoFactors().Met(at.Evidence, e.now()) {
		return err
	}
	if ours, err := e.guesses.wrote(ctx, tx, closedKey(account.ID)); err != nil || !ours {
		return err
	}
	if err := e.OpenIn(ctx, tx, account.ID); err != nil {
		return err
	}
	return tx.Record(at.entry(account, "credential.opened", audit.OK, "two-factors"))
}

// OpenIn forgets all that was guessed wrong at an account's authenticators, inside a
// change that records it.
func (e *Engine) OpenIn(ctx context.Context, tx *store.Tx, account assurance.AccountID) error {
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
	now := e.now()
	tx.Anchor("guess", int64(account), max(store.Unix(now), min(newest, store.Unix(now.Add(time.Minute)))))
	tx.AfterCommit(func() {
		e.guesses.closed.set(account, false)
		e.guesses.owned.forgetOwner(account)
	})
	return nil
}

// wrote reports whether there is a row of this subject that we wrote.
func (g *guesses) wrote(ctx context.Context, r store.Reader, subject string) (bool, error) {
	row, there, err := stored(ctx, r, subject)
	if err != nil || !there {
		return false, err
	}
	if !g.bound(&row) {
		g.altered(&row)
		return false, nil
	}
	return true, nil
}

// ClosedOf says what too many wrong answers have closed of an account, and to whom.
func (e *Engine) ClosedOf(ctx context.Context, r store.Reader, account assurance.AccountID) ([]string, error) {
	credentials, err := e.directory.Credentials(ctx, r, account)
	if err != nil {
		return nil, err
	}
	var all []subject
	kinds := map[assurance.CredentialID]string{}
	for _, c := range credentials {
		how := e.kinds[c.Kind]
		if how == nil || !how.Describe().Guessable || c.Status != directory.CredentialActive {
			continue
		}
		kinds[c.ID] = c.Kind + "/" + strconv.FormatInt(int64(c.ID), 10)
		all = apart(all, subject{key: credentialKey(c.ID), credential: c.ID, owner: account}, sides[:]...)
	}
	if len(all) == 0 {
		return nil, nil
	}
	if _, err := e.guesses.load(ctx, r, all, note{account: account}); err != nil {
		return nil, err
	}
	var out []string
	for _, s := range all {
		if s.count >= e.limits.Disable {
			out = append(out, kinds[s.credential]+" for "+s.side.words())
		}
	}
	return out, nil
}

// openingKind and openingLife are of the links that a mail about guesses holds.
const (
	openingKind = "sign-in.open"
	openingLife = 7 * day
)

// tellGuessed tells an owner of guesses, once in a day for each authenticator and what
// became of it, with a link that makes a browser one of theirs.
func (x *examiner) tellGuessed(ctx context.Context, tx *store.Tx, at *attempt, q *question, n notice) error {
	told, err := x.owners.told(ctx, tx, q.account, n, day)
	if err != nil || told {
		return err
	}
	n.body += "\nThe last wrong answer came " + fromWhere(at) + ".\n"
	if q.budget.side == stranger || q.budget.side == gateway {
		n.body += "\nWhere you were let in before, in the browsers that you signed in with, and with a passkey you can sign in as always.\n"
	}
	if x.openAt != "" && q.budget.side != inBrowser {
		code, err := x.tickets.IssueIn(ctx, tx, ticket.Spec{Kind: openingKind, Owner: int64(q.account.ID), Lifetime: openingLife})
		if err != nil {
			return err
		}
		n.body += "To sign in from anywhere else, open this link first, in the browser that you want to use, within seven days:\n\n" + x.openAt + "?code=" + code +
			"\n\nIt lets nobody in. It tells us that this browser is yours, so that you need not wait behind whoever guesses. Do not pass it on.\n"
	}
	return x.owners.tell(ctx, tx, q.account, n)
}

// fromWhere says where an attempt comes from, for people to read.
func fromWhere(at *attempt) string {
	switch {
	case at.Source.IsValid():
		return "from " + addrText(at.Source)
	case at.Partner != "":
		return "by " + at.Partner + ", which does not tell from where"
	}
	return "from an unknown address"
}

// Invited reports whose browser a link of a mail about guesses makes it. It changes nothing:
// programs follow links as well.
func (e *Engine) Invited(ctx context.Context, code string) (name string, err error) {
	t, err := e.tickets.Peek(ctx, openingKind, code)
	if err != nil {
		return "", err
	}
	account, err := e.directory.Get(ctx, e.db, assurance.AccountID(t.Owner))
	if failure.ClassOf(err) == failure.NotFound {
		return "", failure.Refuse("unknown-ticket", "That link is no longer good.")
	}
	return account.Name, err
}

// Accept uses such a link up, and returns what the browser is to keep ([Request.Browser]).
func (e *Engine) Accept(ctx context.Context, code string, r Request) (browser string, err error) {
	at := &attempt{ID: newID(), Request: r}
	err = e.db.Change(ctx, audit.Actor{Name: "somebody", Via: r.Protocol}, func(tx *store.Tx) error {
		t, err := e.tickets.TakeIn(ctx, tx, openingKind, code)
		if err != nil {
			return err
		}
		account, err := e.directory.Get(ctx, tx, assurance.AccountID(t.Owner))
		if failure.ClassOf(err) == failure.NotFound {
			return failure.Refuse("unknown-ticket", "That link is no longer good.")
		}
		if err != nil {
			return err
		}
		browser = e.guesses.browserOf(account.ID)
		return tx.Record(at.entry(account, "browser.known", audit.OK, "by-mail"))
	})
	return browser, err
}

// browserOf is what a browser keeps that belongs to an account.
func (g *guesses) browserOf(account assurance.AccountID) string {
	now := g.now().Unix()
	mac := g.keys.MAC(keyring.Browser, browserFields(int64(account), now))
	return strconv.FormatInt(int64(account), 10) + "." + strconv.FormatInt(now, 10) + "." + encodeMAC(mac)
}
