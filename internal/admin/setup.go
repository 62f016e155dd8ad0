package admin

import (
	"context"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/policy"
	"countersign/internal/store"
	"countersign/internal/ticket"
	"time"
)

const setupKind, setupLife = "setup", 24 * time.Hour

var setUp = audit.Actor{Name: "set-up", Via: "start"}

// Install makes what an empty installation needs: the administrators' group and
// the default policy. What is there already stays.
func (a *Admin) Install(ctx context.Context) error {
	if _, err := a.Directory.FindGroup(ctx, a.DB, directory.Administrators); failure.ClassOf(err) != failure.NotFound || err == nil {
		return err
	}
	return a.DB.Change(ctx, setUp, func(tx *store.Tx) error {
		if _, err := a.Directory.CreateGroup(ctx, tx, directory.Administrators, "Administrators", true); err != nil {
			return err
		}
		if _, err := a.Rules.Save(ctx, tx, string(policy.Default()), "set-up"); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "installation.made", Outcome: "ok"})
	})
}

// SetupLink returns the code of a one-time link for the first administrator, or
// "" when there is one who can sign in with two factors.
func (a *Admin) SetupLink(ctx context.Context) (string, error) {
	done, err := a.administered(ctx, a.DB)
	if err != nil || done {
		return "", err
	}
	return a.Tickets.Issue(ctx, ticket.Spec{Kind: setupKind, Lifetime: setupLife})
}

func (a *Admin) administered(ctx context.Context, r store.Reader) (bool, error) {
	group, err := a.Directory.FindGroup(ctx, r, directory.Administrators)
	if err != nil {
		return false, err
	}
	members, err := a.Directory.Members(ctx, r, group, 100)
	if err != nil {
		return false, err
	}
	for _, m := range members {
		credentials, err := a.Directory.Credentials(ctx, r, m.ID)
		if err != nil {
			return false, err
		}
		if assurance.TwoFactors().Met(directory.CouldShow(credentials, a.Now()), a.Now()) {
			return true, nil
		}
	}
	return false, nil
}

// SetupOpen reports whether a set-up code is good, and leaves it there.
func (a *Admin) SetupOpen(ctx context.Context, code string) error {
	_, err := a.Tickets.Peek(ctx, setupKind, code)
	return err
}

// Setup makes the first administrator and a pass for them, once. After there is
// one who can sign in it refuses, whatever the code.
func (a *Admin) Setup(ctx context.Context, code, name, display, mail string) (Pass, error) {
	var pass Pass
	err := a.DB.Change(ctx, setUp, func(tx *store.Tx) error {
		done, err := a.administered(ctx, tx)
		if err != nil {
			return err
		}
		if done {
			return failure.Refuse("set-up-done", "There is an administrator already; ask them for an account.")
		}
		if _, err := a.Tickets.TakeIn(ctx, tx, setupKind, code); err != nil {
			return err
		}
		group, err := a.Directory.FindGroup(ctx, tx, directory.Administrators)
		if err != nil {
			return err
		}
		d, err := a.Directory.Find(ctx, tx, name)
		switch {
		case err == nil && !d.Privileged:
			return failure.New(failure.Conflict, "There is an account of that name already; choose another.")
		case failure.ClassOf(err) == failure.NotFound:
			if d, err = a.Directory.Create(ctx, tx, directory.NewAccount{Name: name, Display: display, Mail: mail}); err != nil {
				return err
			}
			if err := a.Directory.AddMember(ctx, tx, group, d); err != nil {
				return err
			}
		case err != nil:
			return err
		}
		tx.Record(audit.Entry{Event: "installation.administrator", Outcome: "ok", Account: int64(d.ID), AccountName: d.Name})
		pass, err = a.passIn(ctx, tx, d, 0)
		return err
	})
	return pass, err
}

// Plant makes an account with a pass, for the demonstration only: it is called
// before a fresh temporary installation serves anybody.
func (a *Admin) Plant(ctx context.Context, name, display string) (Pass, error) {
	var pass Pass
	err := a.DB.Change(ctx, setUp, func(tx *store.Tx) error {
		d, err := a.Directory.Create(ctx, tx, directory.NewAccount{Name: name, Display: display})
		if err != nil {
			return err
		}
		tx.Record(audit.Entry{Event: "account.created", Outcome: "ok", Account: int64(d.ID), AccountName: d.Name})
		pass, err = a.passIn(ctx, tx, d, 8*time.Hour)
		return err
	})
	return pass, err
}
