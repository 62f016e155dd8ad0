package signin

import (
	"context"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/notify"
	"countersign/internal/store"
)

// owners tells people what becomes of their account, and takes what somebody else uses
// out of use.
type owners struct {
	people      *directory.Accounts
	credentials *directory.Credentials
	outbox      *notify.Outbox
	now         func() time.Time
}

func (p Parts) owners() owners { return owners{p.Accounts, p.Credentials, p.Outbox, p.Now} }

// notified reports whether an owner was told the same within so long.
func (o owners) notified(ctx context.Context, r store.Reader, account directory.Account, n notice, within time.Duration) (bool, error) {
	return o.outbox.Notified(ctx, r, o.outbox.Write(n.to(account)), o.now().Add(-within))
}

// tell queues a notice to every verified address of the account, unless
// the same one went out within the hour.
func (o owners) tell(ctx context.Context, tx *store.Tx, account directory.Account, n notice) error {
	if account.ID == 0 {
		return nil
	}
	told, err := o.notified(ctx, tx, account, n, time.Hour)
	if err != nil || told {
		return err
	}
	mails, err := o.people.Mails(ctx, tx, account.ID)
	if err != nil {
		return err
	}
	return o.outbox.QueueAll(ctx, tx, mails, o.outbox.Write(n.to(account)))
}

// switchOff disables an authenticator, and reports whether it was active.
func (o owners) switchOff(ctx context.Context, tx *store.Tx, account directory.Account, id assurance.CredentialID) (c directory.Credential, was bool, err error) {
	c, err = o.credentials.Get(ctx, tx, account.ID, id)
	if err != nil || c.Status != directory.CredentialActive {
		return c, false, err
	}
	c.EndAt(o.now(), directory.CredentialDisabled, directory.ByGuesses, 0)
	tx.Announce(directory.Topic(account.ID))
	return c, true, o.credentials.Update(ctx, tx, c)
}
