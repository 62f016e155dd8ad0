package signin

import (
	"context"
	"strconv"
	"sync"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/store"
)

// Comings tells people who comes to an application as them, where somebody else could do them
// lasting harm: filters that forward all mail, who else may read a mailbox. It is safe for
// concurrent use.
type Comings struct {
	db     *store.DB
	owners owners
	now    func() time.Time

	mu   sync.Mutex
	seen map[string]time.Time
}

const (
	// comingAgain is how long after one note there is another of the same, and comingMost how many
	// are remembered.
	comingAgain, comingMost = time.Hour, 10_000
)

// Coming is somebody who came with a token.
type Coming struct {
	Account assurance.AccountID
	// Application is the one that was come to, Title how people know it, and Client the program
	// that the token was given to.
	Application, Title, Client string
	// Refused is why nothing was opened; empty where it was.
	Refused string
}

// Tell writes down that somebody came, and tells the owner. The same is told once an hour.
func (c *Comings) Tell(ctx context.Context, came Coming) error {
	key := came.Application + "\x00" + came.Client + "\x00" + strconv.FormatInt(int64(came.Account), 10)
	if came.Refused != "" {
		key += "\x00refused"
	}
	now := c.now()
	if came.Account == 0 || !c.first(key, now) {
		return nil
	}
	account, err := c.owners.people.Get(ctx, c.db, came.Account)
	if failure.ClassOf(err) == failure.NotFound {
		return nil
	}
	if err == nil {
		err = c.db.Change(ctx, audit.Actor{Account: int64(account.ID), Name: came.Client, Via: "oidc"}, func(tx *store.Tx) error {
			if err := tx.Record(comingEntry(account, came)); err != nil {
				return err
			}
			return c.owners.tell(ctx, tx, account, noticeComing(came, now))
		})
	}
	if err != nil {
		c.forget(key) // who was not told is told the next time
	}
	return err
}

// newComings makes Comings.
func newComings(p Parts) *Comings { return &Comings{db: p.DB, owners: p.owners(), now: p.Now} }

// first reports whether the same was not noted within the hour.
func (c *Comings) first(key string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, there := c.seen[key]; there && now.Sub(at).Abs() < comingAgain {
		return false
	}
	if c.seen == nil || len(c.seen) >= comingMost {
		c.seen = map[string]time.Time{}
	}
	c.seen[key] = now
	return true
}

func (c *Comings) forget(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.seen, key)
}

func comingEntry(account directory.Account, came Coming) audit.Entry {
	reason := "opened"
	if came.Refused != "" {
		reason = came.Refused
	}
	return audit.Entry{Event: "owner.told", Outcome: audit.OK, Reason: reason, Account: int64(account.ID), AccountName: account.Name,
		Application: came.Application, Protocol: "oidc", Detail: map[string]string{"client": came.Client}}
}

func noticeComing(came Coming, now time.Time) notice {
	if came.Refused != "" {
		return notice{subject: language.Say("Somebody tried to open %s as you, and was refused", came.Title),
			body: language.Say("At %s somebody came to %s with your session at %s, and it was not enough for that.\n\n"+
				"If you changed nothing there just now, somebody else may have that session: sign in, end your sessions, and choose \"This was not me\" in your history.\n",
				language.At(now), came.Title, came.Client)}
	}
	return notice{subject: language.Say("%s was opened as you", came.Title),
		body: language.Say("At %s %s was opened with your session at %s. Who has it open can change what becomes of your mail.\n\n"+
			"If that was not you, sign in now, end your sessions, choose \"This was not me\" in your history, and look at what was changed there.\n",
			language.At(now), came.Title, came.Client)}
}
