package recovery

import (
	"context"
	"strings"
	"time"

	"countersign/internal/admin/pass"
	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/session"
	"countersign/internal/store"
)

// Local is recovery by whoever holds the machine.
type Local struct {
	db          *store.DB
	people      *directory.Accounts
	credentials *directory.Credentials
	groups      *directory.Groups
	endings     *enrollment.Endings
	sessions    *session.Endings
	notices     *enrollment.Notices
	passes      *pass.Passes
	now         func() time.Time
}

// NewLocal makes a Local, of the parts of the commands and what makes passes.
func NewLocal(p Parts, passes *pass.Passes) *Local {
	return &Local{p.DB, p.Accounts, p.Credentials, p.Groups, p.Endings, p.Sessions, p.Notices, passes, p.Now}
}

// Recover issues a pass for an administrator to whoever holds the machine, for
// when no administrator can sign in. It is called only where the configuration
// opened that for a time. It is an alarm in the log, every administrator is
// told, and it gives a pass and nothing else: what the pass leads to is decided
// like everything. What they hold is taken to be lost. What they know is asked for
// beside the pass, unless it is forgotten too or cannot be shown any more: a stranger's
// wrong answers must not shut this door, which is the last.
func (a *Local) Recover(ctx context.Context, name, reason string, forgotten bool) (pass.Pass, error) {
	if strings.TrimSpace(reason) == "" {
		return pass.Pass{}, failure.New(failure.Invalid, "Say why, for those who are told of it.")
	}
	var made pass.Pass
	err := a.db.Change(ctx, audit.Actor{Name: "local recovery", Via: "socket"}, func(tx *store.Tx) error {
		d, err := a.people.Find(ctx, tx, name)
		if err != nil {
			return err
		}
		members, err := a.groups.Administering(ctx, tx, 1000)
		if err != nil {
			return err
		}
		is := false
		for _, m := range members {
			is = is || m.ID == d.ID
			if err := a.notices.Tell(ctx, tx, m, language.Say("An administrator's account was recovered on the server itself"),
				language.Say("Somebody with access to the machine issued a pass for %s. The reason they gave: %s", d.Name, reason)); err != nil {
				return err
			}
		}
		if !is {
			return failure.New(failure.Invalid, "%s is not an administrator; an administrator can issue them a pass.", d.Name)
		}
		if d.Ended(a.now()) { // one again, as it is awake again, and without what stood before
			d.Ends = time.Time{}
			if _, err := a.sessions.EndAllTx(ctx, tx, d.ID, ""); err != nil {
				return err
			}
		}
		d.State = directory.Active
		d.Used = a.now().Truncate(time.Microsecond) // awake again, or the pass would be nothing
		if err := a.people.Update(ctx, tx, d); err != nil {
			return err
		}
		if err := a.giveUp(ctx, tx, d, forgotten); err != nil {
			return err
		}
		tx.Record(audit.Entry{Event: "alarm.local-recovery", Outcome: "ok", Account: int64(d.ID), AccountName: d.Name, Reason: reason})
		made, err = a.passes.In(ctx, tx, d, 0)
		return err
	})
	return made, err
}

// giveUp revokes what an account holds, and what it knows where that is forgotten or
// could not be asked for.
func (a *Local) giveUp(ctx context.Context, tx *store.Tx, d directory.Account, forgotten bool) error {
	credentials, err := a.credentials.All(ctx, tx, d.ID)
	if err != nil {
		return err
	}
	forgotten = forgotten || directory.ProofRequired(credentials, a.now(), a.now()) != directory.ProofKnown
	for _, c := range credentials {
		lost := c.Traits.Has(assurance.Held) || forgotten && c.Traits.Has(assurance.Known)
		if !lost || c.GivenUp() || c.Status == directory.CredentialRevoked && !forgotten {
			continue
		}
		if err := a.endings.RevokeTx(ctx, tx, &c, directory.ByMachine, 0); err != nil {
			return err
		}
	}
	return nil
}
