package enrollment

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
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

// ReportNotMe is the person's word that something in their history was not
// them: all their sessions end, administrators are told, and the entry says
// which. The account is at risk from then on, until a new password is set. The password is switched off where there is one, so that it must be
// set anew with another authenticator or a pass; it reports whether it was, because
// that of whoever administers alone is not.
func (e *Enrollments) ReportNotMe(ctx context.Context, g signin.Grant, entry int64) (passwordOff bool, err error) {
	if !g.Covers(signin.Self, NotMe, strconv.FormatInt(entry, 10)) {
		return false, failure.Refuse("other-action", "That needs a fresh sign-in of its own.")
	}
	err = e.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		account, err := e.directory.Get(ctx, tx, g.Account())
		if err != nil {
			return err
		}
		passwordOff, err = e.disown(ctx, tx, Disowned{Account: account, Keep: g.Session(), Entry: audit.Entry{Protocol: g.Protocol(), Source: g.SourceText(), Attempt: g.Attempt(),
			Detail: map[string]string{"entry": strconv.FormatInt(entry, 10)}}})
		return err
	})
	return passwordOff, err
}

// Disowned is something that a person says they did not do.
type Disowned struct {
	Account directory.Account
	// Keep is the session that goes on; empty ends all.
	Keep string
	// Entry says where it was said and of what: protocol, source, attempt, detail.
	Entry audit.Entry
}

// DisownIn does what [Enrollments.ReportNotMe] says inside another room's change.
func (e *Enrollments) DisownIn(ctx context.Context, tx *store.Tx, d Disowned) error {
	_, err := e.disown(ctx, tx, d)
	return err
}

func (e *Enrollments) disown(ctx context.Context, tx *store.Tx, d Disowned) (passwordOff bool, err error) {
	ended, err := e.sessions.EndAllIn(ctx, tx, d.Account.ID, d.Keep)
	if err != nil {
		return false, err
	}
	passwordOff, err = e.disablePassword(ctx, tx, d.Account.ID)
	if err != nil {
		return false, err
	}
	stopped, err := e.doubt(ctx, tx, d.Account)
	if err != nil {
		return false, err
	}
	if err := e.risk(ctx, tx, d.Account.ID, e.now()); err != nil {
		return false, err
	}
	en := d.Entry
	en.Event, en.Outcome, en.Account, en.AccountName, en.Application = "alarm.not-me", "ok", int64(d.Account.ID), d.Account.Name, signin.Self
	en.Detail["sessions-ended"], en.Detail["password-disabled"], en.Detail["recovery-stopped"] = strconv.Itoa(ended), strconv.FormatBool(passwordOff), strconv.FormatBool(stopped > 0)
	tx.Record(en)
	return passwordOff, e.tellAdministrators(ctx, tx, d.Account, passwordOff)
}

// risk says since when an account is at risk; the zero time is that it is not.
func (e *Enrollments) risk(ctx context.Context, tx *store.Tx, id assurance.AccountID, since time.Time) error {
	account, err := e.directory.Get(ctx, tx, id)
	if err != nil {
		return err
	}
	account.Risk = since.Truncate(time.Microsecond)
	return e.directory.Update(ctx, tx, account)
}

func (e *Enrollments) disablePassword(ctx context.Context, tx *store.Tx, account assurance.AccountID) (bool, error) {
	rows, err := e.directory.Credentials(ctx, tx, account)
	if err != nil {
		return false, err
	}
	for _, c := range rows {
		if c.Traits.Has(assurance.Known) && !c.Traits.Has(assurance.Held) && c.Status == directory.CredentialActive {
			err := e.spare(ctx, tx, signin.Without(account, c.ID, signin.Everything))
			if failure.ClassOf(err) == failure.Refused {
				return false, nil // whoever administers alone changes it by themselves; nobody else could help them
			}
			if err != nil {
				return false, err
			}
			c.EndAt(e.now(), directory.CredentialDisabled, directory.ByReport, 0)
			tx.Announce(directory.Topic(account))
			return true, e.directory.UpdateCredential(ctx, tx, c)
		}
	}
	return false, nil
}

func (e *Enrollments) tellAdministrators(ctx context.Context, tx *store.Tx, about directory.Account, passwordOff bool) error {
	password := "their password was switched off"
	if !passwordOff {
		password = "no password was switched off: they have none, it was off already, or nobody else could administer then"
	}
	members, err := e.groups.Administering(ctx, tx, 100)
	if err != nil {
		return err
	}
	for _, m := range append(members, about) {
		err := e.tell(ctx, tx, m, "Somebody reports a sign-in that was not theirs",
			fmt.Sprintf("%s reports that something in their history was not them. Their other sessions were ended; %s.", about.Name, password))
		if err != nil {
			return err
		}
	}
	return nil
}
