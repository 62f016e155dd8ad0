// Package setup is how an empty installation gets what it needs: its groups, its policy and
// its first administrator.
//
// It owns the link for the first administrator, and that it is over for good once there has
// been one who could sign in. It does not let that person in: they get a pass, which goes to
// the engine like any other. Neighbours are web/challenge, which shows the page, and the
// server, which prints the link. Its one invariant: whoever holds a link weakens no policy
// that anybody changed, and makes nobody a second first administrator.
package setup

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"time"

	"countersign/internal/admin/pass"
	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/policy"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/ticket"
)

const kind, life = "setup", 24 * time.Hour

// Parts are what is set up.
type Parts struct {
	DB         *store.DB
	Accounts   *directory.Accounts
	Milestones *directory.Milestones
	Groups     *directory.Groups
	Rules      *signin.Rules
	Tickets    *ticket.Tickets
	Passes     *pass.Passes
	Now        func() time.Time
}

// Setup sets an installation up.
type Setup struct {
	db         *store.DB
	people     *directory.Accounts
	milestones *directory.Milestones
	groups     *directory.Groups
	rules      *signin.Rules
	tickets    *ticket.Tickets
	passes     *pass.Passes
	now        func() time.Time
}

// New makes a Setup.
func New(p Parts) *Setup {
	return &Setup{p.DB, p.Accounts, p.Milestones, p.Groups, p.Rules, p.Tickets, p.Passes, p.Now}
}

var setUp = audit.Actor{Name: "set-up", Via: "start"}

// Install makes what an empty installation needs: the groups of administrators and
// of the help desk, and the default policy. What is there already stays.
func (a *Setup) Install(ctx context.Context) error {
	_, err := a.groups.Find(ctx, a.db, directory.Administrators)
	switch {
	case errors.Is(err, directory.ErrTampered):
		return nil // it is an alarm, and nobody is let in by that row
	case failure.ClassOf(err) != failure.NotFound || err == nil:
		return err
	}
	if used, err := a.used(ctx); used || err != nil {
		return err
	}
	return a.db.Change(ctx, setUp, func(tx *store.Tx) error {
		if _, err := a.groups.Create(ctx, tx, directory.Administrators, "Administrators", true); err != nil {
			return err
		}
		if _, err := a.groups.Create(ctx, tx, directory.Helpdesk, "Help desk", true); err != nil {
			return err
		}
		if _, err := a.rules.Save(ctx, tx, string(policy.Default()), "set-up"); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: installationMade, Outcome: "ok"})
	})
}

// used reports whether the installation was made before: then its groups and its policy
// were removed by somebody else, who would have the first policy back.
func (a *Setup) used(ctx context.Context) (bool, error) {
	made, err := a.db.AuditLog().Entries(ctx, store.Filter{Event: installationMade, Limit: 1})
	if err != nil {
		return false, err
	}
	accounts, err := a.people.CountEach(ctx, a.db, directory.Which{}, "")
	if err != nil {
		return false, err
	}
	if _, err := a.rules.Latest(ctx, a.db); len(made) == 0 && accounts[0] == 0 && errors.Is(err, signin.ErrNoPolicy) {
		return false, nil
	}
	a.db.Report(store.Finding{Table: "team", Row: directory.Administrators, Wrong: store.Missing})
	return true, nil
}

const installationMade = "installation.made"

// Link returns the code of a one-time link for the first administrator, or ""
// when there has ever been one who could sign in with two factors.
func (a *Setup) Link(ctx context.Context) (string, error) {
	done, err := a.administered(ctx)
	if err != nil || done {
		return "", err
	}
	return a.tickets.Issue(ctx, ticket.Spec{Kind: kind, Lifetime: life})
}

// administered reports whether there has ever been an administrator, and writes it
// down where the row that says so is missing: because this installation is older
// than the row, or because somebody deleted it.
func (a *Setup) administered(ctx context.Context) (bool, error) {
	if there, err := a.milestones.AdministeredRow(ctx, a.db); there || err != nil {
		return there, err
	}
	was, reason, err := a.wasAdministered(ctx)
	if err != nil {
		return false, err
	}
	if reason == "" {
		return a.milestones.Administered(ctx, a.db)
	}
	return true, a.db.Change(ctx, setUp, func(tx *store.Tx) error {
		if reason == "row-missing" {
			tx.Record(audit.Entry{Event: "alarm.set-up-row-missing", Outcome: audit.OK, Reason: reason})
		}
		if err := a.milestones.NoteAdministered(ctx, tx, was, reason); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "installation.set-up-closed", Outcome: audit.OK, Reason: reason})
	})
}

// wasAdministered looks for an administrator of earlier where no row tells of one:
// among the members, whatever became of their authenticators, and in the audit log,
// which nobody shortens unseen. The reason is empty where there was none.
func (a *Setup) wasAdministered(ctx context.Context) (directory.Account, string, error) {
	entries, err := a.db.AuditLog().Entries(ctx, store.Filter{Event: directory.AdministeredEvent, Limit: 1})
	if err != nil || len(entries) > 0 {
		return directory.Account{}, "row-missing", err
	}
	members, err := a.groups.Administering(ctx, a.db, 1000)
	if err != nil {
		return directory.Account{}, "", err
	}
	for _, m := range members {
		if once, err := a.milestones.CouldOnce(ctx, a.db, m); once || err != nil {
			return m, "older-than-the-row", err
		}
	}
	return directory.Account{}, "", nil
}

// setUpDone refuses whoever comes to set up what was set up.
var setUpDone = failure.Refuse("set-up-done", "This installation has been set up. Ask an administrator for an account; if none can sign in, run: countersign recover")

// Open reports whether a set-up code is good, and leaves it there.
func (a *Setup) Open(ctx context.Context, code string) error {
	done, err := a.administered(ctx)
	if err == nil && done {
		err = setUpDone
	}
	if err != nil {
		return err
	}
	_, err = a.tickets.Peek(ctx, kind, code)
	return err
}

// Newcomer is who follows the set-up link.
type Newcomer struct {
	Code          string // of the link
	Name          string // to sign in with
	Display, Mail string // may be empty
	// Codes is the choice of a password and codes instead of a passkey, and with
	// it of the weaker policy, without which that choice would lock them out.
	Codes bool
}

// Administrator makes the first administrator and a pass for them, once, and puts the
// policy in force that fits their choice. Every other link dies with it, also those
// of earlier starts. Once there has been an administrator who could sign in it
// refuses, whatever the code: getting back in is what recover is for.
func (a *Setup) Administrator(ctx context.Context, n Newcomer) (pass.Pass, error) {
	if done, err := a.administered(ctx); done || err != nil {
		return pass.Pass{}, cmp.Or(err, error(setUpDone))
	}
	var made pass.Pass
	err := a.db.Change(ctx, setUp, func(tx *store.Tx) error {
		done, err := a.milestones.Administered(ctx, tx) // since then
		if err != nil {
			return err
		}
		if done {
			return setUpDone
		}
		if _, err := a.tickets.TakeTx(ctx, tx, kind, n.Code); err != nil {
			return err
		}
		if err := a.tickets.VoidTx(ctx, tx, kind); err != nil {
			return err
		}
		if err := a.fitPolicy(ctx, tx, n.Codes); err != nil {
			return err
		}
		d, err := a.firstAdministrator(ctx, tx, n)
		if err != nil {
			return err
		}
		tx.Record(audit.Entry{Event: "installation.administrator", Outcome: "ok", Account: int64(d.ID), AccountName: d.Name})
		made, err = a.passes.In(ctx, tx, d, 0)
		return err
	})
	return made, err
}

func (a *Setup) firstAdministrator(ctx context.Context, tx *store.Tx, n Newcomer) (directory.Account, error) {
	group, err := a.groups.Find(ctx, tx, directory.Administrators)
	if err != nil {
		return directory.Account{}, err
	}
	d, err := a.people.Find(ctx, tx, n.Name)
	switch {
	case err == nil && !d.Privileged:
		return d, failure.New(failure.Conflict, "There is an account of that name already; choose another.")
	case failure.ClassOf(err) == failure.NotFound:
		if d, err = a.people.Create(ctx, tx, directory.NewAccount{Name: n.Name, Display: n.Display, Mail: n.Mail}); err != nil {
			return d, err
		}
		return d, a.groups.AddMember(ctx, tx, group, d)
	}
	return d, err
}

// fitPolicy puts the default policy in force that fits how the first
// administrator signs in. It replaces what set-up wrote and nothing that anybody
// changed: whoever holds a set-up link must not weaken a policy with it.
func (a *Setup) fitPolicy(ctx context.Context, tx *store.Tx, codes bool) error {
	now, err := a.rules.Latest(ctx, tx)
	if err != nil {
		return err
	}
	strict, weak := string(policy.Default()), string(policy.DefaultForCodes())
	want, why := strict, "passkey-chosen"
	if codes {
		want, why = weak, "codes-chosen"
	}
	switch {
	case now.Body == want:
		return nil
	case now.Body != strict && now.Body != weak && codes:
		return failure.New(failure.Conflict, "The policy of this installation was changed, and set-up does not weaken it. Begin with a passkey.")
	case now.Body != strict && now.Body != weak:
		return nil
	}
	d, err := a.rules.Save(ctx, tx, want, "set-up")
	if err != nil {
		return err
	}
	return tx.Record(audit.Entry{Event: "policy.changed", Outcome: "ok", Reason: why, Detail: map[string]string{"version": strconv.FormatInt(d.Version, 10)}})
}

// CodesAreEnough reports whether an administrator with a password and codes could
// sign in here and add a passkey later: whether it is safe to begin with them.
func (a *Setup) CodesAreEnough(ctx context.Context) (bool, error) {
	p, err := a.rules.Current(ctx)
	if err != nil {
		return false, err
	}
	facts := policy.Facts{
		Account:     policy.Account{Kind: "person", Groups: []string{directory.Administrators}, Privileged: true},
		Application: policy.Application{Name: signin.Self, Kind: "directory", Tier: application.Standard, Protocol: "browser"},
		Protocol:    "browser", Now: a.now(),
	}
	codes := []assurance.Evidence{{Traits: assurance.Known, Time: a.now()}, {Traits: assurance.Held, Time: a.now()}}
	for _, facts.Action = range []string{signin.SignIn, enrollment.Enroll} {
		if !p.Decide(facts).Requirement.Met(codes, a.now()) {
			return false, nil
		}
	}
	return true, nil
}

// Plant makes an account with a pass, for the demonstration only: it is called
// before a fresh temporary installation serves anybody.
func (a *Setup) Plant(ctx context.Context, name, display string) (pass.Pass, error) {
	var made pass.Pass
	err := a.db.Change(ctx, setUp, func(tx *store.Tx) error {
		d, err := a.people.Create(ctx, tx, directory.NewAccount{Name: name, Display: display})
		if err != nil {
			return err
		}
		tx.Record(audit.Entry{Event: "account.created", Outcome: "ok", Account: int64(d.ID), AccountName: d.Name})
		made, err = a.passes.In(ctx, tx, d, 8*time.Hour)
		return err
	})
	return made, err
}
