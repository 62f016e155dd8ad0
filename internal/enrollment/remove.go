package enrollment

import (
	"context"
	"slices"
	"strconv"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Changes are what owners do with what they have.
type Changes struct {
	db          *store.DB
	people      *directory.Accounts
	credentials *directory.Credentials
	endings     *Endings
	describe    func(c directory.Credential) Authenticator
	spare       func(ctx context.Context, r store.Reader, l signin.Loss) error
	keepsOut    func(ctx context.Context, r store.Reader, l signin.Loss) (bool, error)
	tell        teller
	now         func() time.Time
}

func newChanges(p Parts) *Changes {
	return &Changes{db: p.DB, people: p.Accounts, credentials: p.Credentials, endings: newEndings(p), describe: newListing(p).Describe, spare: p.Spare, keepsOut: p.KeepsOut,
		tell: newNotices(p).Tell, now: p.Now}
}

// Remove revokes one of the grant's own authenticators. It refuses to take the
// last way to two factors: another must be added first.
func (ch *Changes) Remove(ctx context.Context, g signin.Grant, id assurance.CredentialID) error {
	if !g.Covers(signin.Self, Remove, strconv.FormatInt(int64(id), 10)) {
		return failure.Refuse("other-action", "This needs a separate, recent sign-in.")
	}
	return ch.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		gone, err := ch.removable(ctx, tx, g.Account(), id)
		if err != nil {
			return err
		}
		if err := ch.endings.RevokeTx(ctx, tx, &gone, directory.ByOwner, 0); err != nil {
			return err
		}
		tx.Record(entryOf(g, "credential.removed", gone))
		account, err := ch.people.Get(ctx, tx, g.Account())
		if err != nil {
			return err
		}
		return ch.tell(ctx, tx, account, language.Say("A way to sign in was removed from your account"),
			language.Say("%q (%s) can no longer be used to sign in as %s.", language.Word(gone.Label), language.Word(ch.describe(gone).Title), account.Name))
	})
}

// Removable returns one of an account's authenticators if its owner may remove it,
// and refuses what would leave too little: it is asked before anybody proves themselves
// for it, and again when it is done.
func (ch *Changes) Removable(ctx context.Context, account assurance.AccountID, id assurance.CredentialID) (directory.Credential, error) {
	return ch.removable(ctx, ch.db, account, id)
}

func (ch *Changes) removable(ctx context.Context, r store.Reader, account assurance.AccountID, id assurance.CredentialID) (directory.Credential, error) {
	rows, err := ch.credentials.All(ctx, r, account)
	if err != nil {
		return directory.Credential{}, err
	}
	at := slices.IndexFunc(rows, func(c directory.Credential) bool { return c.ID == id && c.Status != directory.CredentialRevoked })
	if at < 0 {
		return directory.Credential{}, failure.New(failure.NotFound, "There is no such authenticator.")
	}
	gone := rows[at]
	if rest := slices.Delete(rows, at, at+1); !twoFactors(rest, ch.now()) {
		return gone, failure.New(failure.Conflict, "Without it you could not sign in with two factors. Add another way first.")
	}
	loss := signin.Without(account, id, signin.Everything)
	if err := ch.spare(ctx, r, loss); err != nil {
		return gone, err
	}
	out, err := ch.keepsOut(ctx, r, loss)
	if err == nil && out {
		err = failure.New(failure.Conflict, "Without it you could not sign in any more: what would be left counts only behind something else, or is not enough here. Add another way first.")
	}
	return gone, err
}

// Rename gives one of the grant's own authenticators another name.
func (ch *Changes) Rename(ctx context.Context, g signin.Grant, id assurance.CredentialID, label string) error {
	if !g.Covers(signin.Self, Rename, strconv.FormatInt(int64(id), 10)) {
		return failure.Refuse("other-action", "This needs a separate, recent sign-in.")
	}
	return ch.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		c, err := ch.credentials.Get(ctx, tx, g.Account(), id)
		if err != nil {
			return err
		}
		c.Label = CleanLabel(label, c.Label)
		if err := ch.credentials.Update(ctx, tx, c); err != nil {
			return err
		}
		return tx.Record(entryOf(g, "credential.renamed", c))
	})
}
