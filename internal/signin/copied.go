package signin

import (
	"context"
	"sync"
	"time"

	"countersign/internal/application"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/store"
)

// Binding is the reason of a Step that waits for the browser to bind its session to its device.
const Binding = "binding"

// bindsSoon reports whether what is refused would be granted if the session were bound.
func (c *checks) bindsSoon(ctx context.Context, at attempt, app application.Application, held Held) (bool, error) {
	at.bound = true
	d, err := c.judge.decide(ctx, c.db, &at, app, held.Evidence)
	return err == nil && d.state == Granted, err
}

// Copies note that the cookie of a bound session came from another device, and tell its owner. A
// thief asks again and again, and one entry and one message within the hour say it.
type Copies struct {
	db     *store.DB
	owners owners
	now    func() time.Time

	mu   sync.Mutex
	seen map[string]time.Time
}

const (
	// copiedAgain is how long after one note there is another, and copiedMost how many sessions
	// are remembered.
	copiedAgain, copiedMost = time.Hour, 10_000
)

// first reports whether there was no note of this session within the hour.
func (c *Copies) first(number string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, there := c.seen[number]; there && now.Sub(at).Abs() < copiedAgain {
		return false
	}
	if c.seen == nil || len(c.seen) >= copiedMost {
		c.seen = map[string]time.Time{}
	}
	c.seen[number] = now
	return true
}

// Note writes down that the cookie of a bound session came from another device, and tells the
// owner: somebody has copied it, and it opened nothing. held is what [ActiveSessions] said of the
// session, and r who asked for what with it.
func (c *Copies) Note(ctx context.Context, held Held, r Request) error {
	now := c.now()
	if held.Account == 0 || !c.first(held.Own, now) {
		return nil
	}
	account, err := c.owners.people.Get(ctx, c.db, held.Account)
	if failure.ClassOf(err) == failure.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	return c.db.Change(ctx, audit.Actor{Account: int64(held.Account), Name: "session " + held.Number, Via: r.Protocol}, func(tx *store.Tx) error {
		if err := tx.Record(copiedEntry(account, held, r)); err != nil {
			return err
		}
		return c.owners.tell(ctx, tx, account, noticeCopied(account, r, now))
	})
}

func copiedEntry(account directory.Account, held Held, r Request) audit.Entry {
	return audit.Entry{Event: "alarm.session-copied", Outcome: "refused", Reason: OtherDevice, Account: int64(account.ID), AccountName: account.Name,
		Application: r.Application, Protocol: r.Protocol, Source: audit.AddressText(r.Source), Detail: map[string]string{"session": held.Number}}
}

func noticeCopied(account directory.Account, r Request, now time.Time) notice {
	var from any = audit.AddressText(r.Source)
	if from == "" {
		from = language.Word("an unknown address")
	}
	return notice{
		subject: language.Say("Somebody has a copy of your browser's cookies, and was refused"),
		body: language.Say("At %s somebody at %s used the cookie of a session of %s without the device that the session is bound to, so they were not let in. Your own browser stays signed in.\n\n"+
			"Cookies are copied by programs that run on your computer. Have it examined, end your sessions on your account's page, and tell your administrator.\n",
			language.At(now), from, account.Name),
	}
}
