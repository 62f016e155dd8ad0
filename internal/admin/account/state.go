package account

import (
	"context"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/guard"
	"countersign/internal/admin/pass"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/recovery"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// stateDesk is where an account is switched off and on.
type stateDesk struct {
	admin.Book
	guard.Guard
	shown
	db    store.Reader
	under underWay
}

// underWay is what ends of an account that is switched off.
type underWay struct {
	sessions    *session.Endings
	stops       *recovery.Stops
	passes      *enrollment.Passes
	invitations *pass.Invitations
	devices     *enrollment.Endings
}

func (u underWay) endTx(ctx context.Context, tx *store.Tx, id assurance.AccountID) error {
	if _, err := u.sessions.EndAllTx(ctx, tx, id, ""); err != nil {
		return err
	}
	if _, err := u.devices.EndAppPasswordsTx(ctx, tx, id, directory.ByAdministrator); err != nil {
		return err
	}
	return u.helpTx(ctx, tx, id)
}

// helpTx ends what helps somebody in: recoveries, passes and invitations.
func (u underWay) helpTx(ctx context.Context, tx *store.Tx, id assurance.AccountID) error {
	if err := u.stops.CloseTx(ctx, tx, id); err != nil {
		return err
	}
	if _, err := u.invitations.EndTx(ctx, tx, id); err != nil {
		return err
	}
	return u.passes.EndTx(ctx, tx, id)
}

// Suspend switches an account off.
type Suspend struct {
	Name            string   `json:"name" arg:"" help:"The account."`
	Also            []string `json:"also,omitempty" arg:"" optional:"" help:"Further accounts, 500 in all at most: all of them or none."`
	Reason          string   `json:"reason,omitempty" help:"Why, for the log."`
	admin.AuditText `embed:""`
}

func (c *Suspend) Action() string   { return "account.suspend" }
func (c *Suspend) About() *string   { return &c.Name }
func (c *Suspend) Others() []string { return c.Also }
func (c *Suspend) Object() string   { return admin.WithReason(c.OfAll(c.Name, c.Also), c.Reason) }

// Tell says what becomes of the account.
func (c *Suspend) Tell(ctx context.Context, a *stateDesk, s *admin.Sheet) error {
	return a.tell(ctx, c.Name, directory.Suspended, s)
}

// tell says what becomes of an account's state.
func (a *stateDesk) tell(ctx context.Context, name, state string, s *admin.Sheet) error {
	d, err := a.people.Find(ctx, a.db, name)
	if err != nil {
		return err
	}
	now := d.State
	if now == directory.Active && d.Idle(a.now()) > a.dormant {
		now = "dormant"
	}
	s.Adds(prompt.Field{Name: "State", Before: now, After: state})
	return nil
}

// Preflight says that somebody would be missed.
func (c *Suspend) Preflight(ctx context.Context, a *stateDesk) error {
	for _, name := range append([]string{c.Name}, c.Also...) {
		if err := a.Spare(ctx, a.db, name, signin.Suspended); err != nil {
			return admin.AboutOne(name, len(c.Also), err)
		}
	}
	return nil
}

func (c *Suspend) Do(ctx context.Context, a *stateDesk, g signin.Grant) (any, error) {
	return a.setState(ctx, g, append([]string{c.Name}, c.Also...), "account.suspended", c.Reason, func(d *directory.Account) error {
		if d.ID == g.Account() {
			return failure.New(failure.Refused, "You cannot suspend yourself; ask another administrator.")
		}
		d.State = directory.Suspended
		return nil
	})
}

// Resume switches an account on again, also one that is dormant, and none that has ended. A
// dormant account is resumed by a second person: nobody can do it for themselves.
type Resume struct {
	Name            string `json:"name" arg:"" help:"The account."`
	Reason          string `json:"reason,omitempty" help:"Why, for the log."`
	admin.AuditText `embed:""`
}

func (c *Resume) Action() string { return "account.resume" }
func (c *Resume) About() *string { return &c.Name }
func (c *Resume) Object() string { return admin.WithReason(c.Of(c.Name), c.Reason) }

// Tell says what becomes of the account.
func (c *Resume) Tell(ctx context.Context, a *stateDesk, s *admin.Sheet) error {
	return a.tell(ctx, c.Name, directory.Active, s)
}

func (c *Resume) Do(ctx context.Context, a *stateDesk, g signin.Grant) (any, error) {
	return a.setState(ctx, g, []string{c.Name}, "account.resumed", c.Reason, func(d *directory.Account) error {
		if d.ID == g.Account() {
			return failure.New(failure.Refused, "Another person must do that.")
		}
		if d.Ended(a.now()) {
			return failure.At("name", failure.New(failure.Conflict, "%s ended on %s; give it a later end, or none, with account set-end.", d.Name, d.Ends.UTC().Format(time.RFC3339)))
		}
		d.State = directory.Active
		if d.Idle(a.now()) > a.dormant {
			d.Used = a.now().Truncate(time.Microsecond)
		}
		return nil
	})
}

// ClearRisk ends the risk that an owner's report put an account at, for who
// has no password to set anew.
type ClearRisk struct {
	Name            string `json:"name" arg:"" help:"The account."`
	Reason          string `json:"reason" required:"" help:"How you made sure that it is over, for the log."`
	admin.AuditText `embed:""`
}

func (c *ClearRisk) Action() string { return "account.clear-risk" }
func (c *ClearRisk) About() *string { return &c.Name }
func (c *ClearRisk) Object() string {
	return admin.WithReason(c.Of(c.Name)+" is at risk no more", c.Reason)
}

// Tell says since when the account is at risk.
func (c *ClearRisk) Tell(ctx context.Context, a *stateDesk, s *admin.Sheet) error {
	d, err := a.people.Find(ctx, a.db, c.Name)
	if err == nil && !d.Risk.IsZero() {
		s.Adds(prompt.Field{Name: "At risk", Before: "since " + d.Risk.UTC().Format(time.RFC3339), After: "no"})
	}
	return err
}

func (c *ClearRisk) Do(ctx context.Context, a *stateDesk, g signin.Grant) (any, error) {
	return a.setState(ctx, g, []string{c.Name}, "account.risk-cleared", c.Reason, func(d *directory.Account) error {
		switch {
		case d.ID == g.Account():
			return failure.New(failure.Refused, "Another person must do that.")
		case d.Risk.IsZero():
			return failure.At("name", failure.New(failure.Conflict, "%s is not at risk.", d.Name))
		}
		d.Risk = time.Time{}
		return nil
	})
}

// setState changes accounts, all of them or none, and answers the first.
func (a *stateDesk) setState(ctx context.Context, g signin.Grant, names []string, event, reason string, edit func(*directory.Account) error) (any, error) {
	var out Account
	err := a.ChangeEach(ctx, g, event, map[string]string{"reason": reason}, func(tx *store.Tx) ([]directory.Account, error) {
		all, err := admin.FindSeveral(ctx, tx, a.people, names)
		if err != nil {
			return nil, err
		}
		for i := range all {
			if err := a.setOne(ctx, tx, g, &all[i], edit); err != nil {
				return nil, admin.AboutOne(all[i].Name, len(all)-1, err)
			}
		}
		out, err = a.of(ctx, tx, all[0])
		return all, err
	})
	return out, err
}

func (a *stateDesk) setOne(ctx context.Context, tx *store.Tx, g signin.Grant, d *directory.Account, edit func(*directory.Account) error) error {
	if err := a.PersonMust(ctx, tx, g.Account(), d.Guarded()); err != nil {
		return err
	}
	if err := edit(d); err != nil {
		return err
	}
	if d.State != directory.Active {
		if err := a.SpareLoss(ctx, tx, signin.Suspended(d.ID)); err != nil {
			return err
		}
	}
	if err := a.people.Update(ctx, tx, *d); err != nil || d.State == directory.Active {
		return err
	}
	return a.under.endTx(ctx, tx, d.ID)
}
