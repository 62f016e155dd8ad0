package enrollment

import (
	"context"
	"time"

	"countersign/internal/directory"
	"countersign/internal/language"
	"countersign/internal/notify"
	"countersign/internal/store"
)

// Notices tells people what became of their authenticators.
type Notices struct {
	people *directory.Accounts
	outbox *notify.Outbox
	now    func() time.Time
}

func newNotices(p Parts) *Notices { return &Notices{people: p.Accounts, outbox: p.Outbox, now: p.Now} }

// Tell queues the notice to every address of an account, inside the change that it tells
// of, with what to do if it was not them.
func (n *Notices) Tell(ctx context.Context, tx *store.Tx, account directory.Account, subject, what language.Sentence) error {
	mails, err := n.people.Mails(ctx, tx, account.ID)
	if err != nil {
		return err
	}
	return n.TellAt(ctx, tx, account, mails, subject, what)
}

// TellAt is Tell at these addresses: also where they are no longer the account's.
func (n *Notices) TellAt(ctx context.Context, tx *store.Tx, account directory.Account, mails []string, subject, what language.Sentence) error {
	body := language.Say("%s\n\nThis was done at %s.\n\nIf that was not you, sign in now, choose \"This was not me\" in your history, and tell your administrator.\n",
		what, language.At(n.now()))
	return n.outbox.QueueAll(ctx, tx, mails, n.outbox.Write(notify.Letter{Account: int64(account.ID), Language: account.Language, Subject: subject, Body: body}))
}
