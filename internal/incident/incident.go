// Package incident is what is done when a person reports that something in their name was
// not them (suspicious activity): their sessions and app passwords end, their password is switched off,
// recoveries that rest on their word are stopped, the account is at risk, and people are
// told.
//
// It owns no table: each room keeps its own rows, and incident says in one change what
// becomes of them. It does not decide who may report (signin does, under a Grant, or the
// owner's app by its key), it closes no pushes (signin does, before it comes here), and it
// undoes no recovery: who says that a recovery is not theirs stops that alone, in recovery.
// Its neighbours are the portal's history, the app by way of the engine, and the rooms that
// it changes; none of these imports it. Its one invariant: a report does all of this or
// nothing, under one alarm.
//
// A notice has to say what to do for who repudiates what it tells of (SP 800-63B-4 section
// 4.6); this is what it leads to.
package incident

import (
	"context"
	"maps"
	"strconv"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/recovery"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Report is the action that a Grant must name. Its object is the number of the entry in the
// person's history.
const Report = "report.not-me"

// Parts are what Incidents are made of.
type Parts struct {
	DB          *store.DB
	Accounts    *directory.Accounts
	Credentials *directory.Credentials
	Groups      *directory.Groups
	Sessions    *session.Endings
	Endings     *enrollment.Endings
	Notices     *enrollment.Notices
	// Recoveries stops those that rest on the word of who reports.
	Recoveries *recovery.Stops
	// Spare refuses what would leave nobody who could administer.
	Spare func(ctx context.Context, r store.Reader, l signin.Loss) error
	Now   func() time.Time
}

// Incidents takes reports. It is safe for concurrent use.
type Incidents struct {
	db          *store.DB
	people      *directory.Accounts
	credentials *directory.Credentials
	groups      *directory.Groups
	sessions    *session.Endings
	endings     *enrollment.Endings
	notices     *enrollment.Notices
	recoveries  *recovery.Stops
	spare       func(ctx context.Context, r store.Reader, l signin.Loss) error
	now         func() time.Time
}

// New makes Incidents.
func New(p Parts) *Incidents {
	return &Incidents{db: p.DB, people: p.Accounts, credentials: p.Credentials, groups: p.Groups, sessions: p.Sessions, endings: p.Endings, notices: p.Notices, recoveries: p.Recoveries, spare: p.Spare, now: p.Now}
}

// Report takes the grant's account's word that an entry of their history was not them. All
// their sessions but the grant's end, and all their app passwords, administrators are told, and the entry of the report
// says which it was. The account is at risk from then on, until a new password is set. The
// password is switched off where there is one, so that it must be set anew with another
// authenticator or a pass; it reports whether it was, because that of whoever administers
// alone is not.
func (i *Incidents) Report(ctx context.Context, g signin.Grant, entry int64) (passwordOff bool, err error) {
	if !g.Covers(signin.Self, Report, strconv.FormatInt(entry, 10)) {
		return false, failure.Refuse("other-action", "This needs a separate, recent sign-in.")
	}
	err = i.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		account, err := i.people.Get(ctx, tx, g.Account())
		if err != nil {
			return err
		}
		passwordOff, err = i.ReportTx(ctx, tx, Reported{Account: account, Keep: g.Session(), Entry: audit.Entry{Protocol: g.Protocol(), Source: g.SourceText(), Attempt: g.Attempt(),
			Detail: map[string]string{"entry": strconv.FormatInt(entry, 10)}}})
		return err
	})
	return passwordOff, err
}

// Reported is something that a person says they did not do.
type Reported struct {
	Account directory.Account
	// Keep is the session that goes on; empty ends all.
	Keep string
	// Entry says where it was said and of what: protocol, source, attempt, detail.
	Entry audit.Entry
}

// ReportTx does what [Incidents.Report] says inside another room's change.
func (i *Incidents) ReportTx(ctx context.Context, tx *store.Tx, said Reported) (passwordOff bool, err error) {
	ended, err := i.sessions.EndAllTx(ctx, tx, said.Account.ID, said.Keep)
	if err != nil {
		return false, err
	}
	passwordOff, err = i.disablePassword(ctx, tx, said.Account.ID)
	if err != nil {
		return false, err
	}
	devices, err := i.endings.EndAppPasswordsTx(ctx, tx, said.Account.ID, directory.ByReport)
	if err != nil {
		return false, err
	}
	stopped, err := i.recoveries.DoubtTx(ctx, tx, said.Account)
	if err != nil {
		return false, err
	}
	if err := i.raise(ctx, tx, said.Account.ID); err != nil {
		return false, err
	}
	en := said.Entry
	en.Event, en.Outcome, en.Account, en.AccountName, en.Application = "alarm.not-me", audit.OK, int64(said.Account.ID), said.Account.Name, signin.Self
	en.Detail = map[string]string{}
	maps.Copy(en.Detail, said.Entry.Detail)
	en.Detail["sessions-ended"], en.Detail["password-disabled"], en.Detail["recovery-stopped"] = strconv.Itoa(ended), strconv.FormatBool(passwordOff), strconv.FormatBool(stopped > 0)
	if devices > 0 {
		en.Detail["app-passwords-ended"] = strconv.Itoa(devices)
	}
	if err := tx.Record(en); err != nil {
		return false, err
	}
	return passwordOff, i.tellAdministrators(ctx, tx, said.Account, passwordOff)
}

// raise has the account be at risk from now on.
func (i *Incidents) raise(ctx context.Context, tx *store.Tx, id assurance.AccountID) error {
	account, err := i.people.Get(ctx, tx, id)
	if err != nil {
		return err
	}
	account.Risk = i.now().Truncate(time.Microsecond)
	return i.people.Update(ctx, tx, account)
}

// disablePassword switches off what is only known, and reports whether it did.
func (i *Incidents) disablePassword(ctx context.Context, tx *store.Tx, account assurance.AccountID) (bool, error) {
	rows, err := i.credentials.All(ctx, tx, account)
	if err != nil {
		return false, err
	}
	for _, c := range rows {
		if c.Traits.OnlyKnown() && c.Status == directory.CredentialActive {
			err := i.spare(ctx, tx, signin.Without(account, c.ID, signin.Everything))
			if failure.ClassOf(err) == failure.Refused {
				return false, nil // whoever administers alone changes it by themselves; nobody else could help them
			}
			if err != nil {
				return false, err
			}
			c.EndAt(i.now(), directory.CredentialDisabled, directory.ByReport, 0)
			tx.Announce(directory.Topic(account))
			return true, i.credentials.Update(ctx, tx, c)
		}
	}
	return false, nil
}

// tellAdministrators tells whoever administers, and whose account it is.
func (i *Incidents) tellAdministrators(ctx context.Context, tx *store.Tx, about directory.Account, passwordOff bool) error {
	password := language.Word("their password was switched off")
	if !passwordOff {
		password = "no password was switched off: they have none, it was off already, or nobody else could administer then"
	}
	members, err := i.groups.Administering(ctx, tx, 100)
	if err != nil {
		return err
	}
	for _, m := range append(members, about) {
		err := i.notices.Tell(ctx, tx, m, language.Say("Somebody reports a sign-in that was not theirs"),
			language.Say("%s reports that something in their history was not them. Their other sessions were ended; %s.", about.Name, password))
		if err != nil {
			return err
		}
	}
	return nil
}
