package enrollment

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Remove revokes one of the grant's own authenticators. It refuses to take the
// last way to two factors: another must be added first.
func (e *Enrollments) Remove(ctx context.Context, g signin.Grant, id assurance.CredentialID) error {
	if !g.Covers(signin.Self, Remove, strconv.FormatInt(int64(id), 10)) {
		return failure.Refuse("other-action", "That needs a fresh sign-in of its own.")
	}
	return e.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		gone, err := e.removable(ctx, tx, g.Account(), id)
		if err != nil {
			return err
		}
		if err := e.RevokeIn(ctx, tx, &gone, directory.ByOwner, 0); err != nil {
			return err
		}
		tx.Record(e.entry(g, "credential.removed", gone))
		account, err := e.directory.Get(ctx, tx, g.Account())
		if err != nil {
			return err
		}
		return e.tell(ctx, tx, account, "A way to sign in was removed from your account",
			fmt.Sprintf("%q (%s) can no longer be used to sign in as %s.", gone.Label, e.Describe(gone).Title, account.Name))
	})
}

// Removable returns one of an account's authenticators if its owner may remove it,
// and refuses what would leave too little: it is asked before anybody proves themselves
// for it, and again when it is done.
func (e *Enrollments) Removable(ctx context.Context, account assurance.AccountID, id assurance.CredentialID) (directory.Credential, error) {
	return e.removable(ctx, e.db, account, id)
}

func (e *Enrollments) removable(ctx context.Context, r store.Reader, account assurance.AccountID, id assurance.CredentialID) (directory.Credential, error) {
	rows, err := e.directory.Credentials(ctx, r, account)
	if err != nil {
		return directory.Credential{}, err
	}
	at := slices.IndexFunc(rows, func(c directory.Credential) bool { return c.ID == id && c.Status != directory.CredentialRevoked })
	if at < 0 {
		return directory.Credential{}, failure.New(failure.NotFound, "There is no such authenticator.")
	}
	gone := rows[at]
	if rest := slices.Delete(rows, at, at+1); !e.twoFactors(rest) {
		return gone, failure.New(failure.Conflict, "Without it you could not sign in with two factors. Add another way first.")
	}
	return gone, e.spare(ctx, r, signin.Without(account, id, signin.Everything))
}

// RevokeIn revokes a credential that was read in this transaction, inside
// another room's change, which records it, and keeps by what and by whom. What its
// evidence granted ends with it, because evidence of a revoked authenticator no
// longer counts.
func (e *Enrollments) RevokeIn(ctx context.Context, tx *store.Tx, c *directory.Credential, by directory.Cause, whose int64) error {
	if c.Lost() {
		return e.directory.Outlive(ctx, tx, *c)
	}
	c.EndAt(e.now(), directory.CredentialRevoked, by, whose)
	tx.Announce(directory.Topic(c.Account))
	return e.directory.UpdateCredential(ctx, tx, *c)
}

// Tell queues a notice to every address of an account, inside another room's
// change.
func (e *Enrollments) Tell(ctx context.Context, tx *store.Tx, account directory.Account, subject, what string) error {
	return e.tell(ctx, tx, account, subject, what)
}

// Rename gives one of the grant's own authenticators another name.
func (e *Enrollments) Rename(ctx context.Context, g signin.Grant, id assurance.CredentialID, label string) error {
	if !g.Covers(signin.Self, Rename, strconv.FormatInt(int64(id), 10)) {
		return failure.Refuse("other-action", "That needs a fresh sign-in of its own.")
	}
	return e.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		c, err := e.directory.Credential(ctx, tx, g.Account(), id)
		if err != nil {
			return err
		}
		c.Label = CleanLabel(label, c.Label)
		if err := e.directory.UpdateCredential(ctx, tx, c); err != nil {
			return err
		}
		return tx.Record(e.entry(g, "credential.renamed", c))
	})
}

// PassDefault is for how long a temporary access pass is good unless it is said;
// [signin.PassCeiling] is the most.
const PassDefault = time.Hour

// EndPassesIn revokes every pass of an account inside another room's change, and with
// them what came of those that were used.
func (e *Enrollments) EndPassesIn(ctx context.Context, tx *store.Tx, account assurance.AccountID) error {
	tx.Announce(directory.Topic(account))
	return e.retire(ctx, tx, account, "accesspass")
}

// PassIn replaces the account's access pass by a new one inside another room's
// change, and returns what the person types.
func (e *Enrollments) PassIn(ctx context.Context, tx *store.Tx, account directory.Account, lifetime time.Duration) (string, time.Time, error) {
	if lifetime <= 0 {
		lifetime = PassDefault
	}
	if lifetime > signin.PassCeiling {
		return "", time.Time{}, failure.New(failure.Invalid, "A pass may live for %s at most.", signin.PassCeiling)
	}
	if err := e.retire(ctx, tx, account.ID, "accesspass"); err != nil {
		return "", time.Time{}, err
	}
	shown, enrolled, err := e.newPass(e.now(), lifetime)
	if err != nil {
		return "", time.Time{}, err
	}
	_, err = e.directory.AddCredential(ctx, tx, directory.Credential{Account: account.ID, Kind: "accesspass", Label: "Temporary access pass",
		Handle: enrolled.Handle, Traits: enrolled.Traits, State: enrolled.State})
	return shown, e.now().Add(lifetime), err
}
