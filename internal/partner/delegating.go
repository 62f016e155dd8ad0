package partner

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/session"
	"countersign/internal/store"
)

// Parts are what Delegations are made of.
type Parts struct {
	DB       *store.DB
	Kept     *Kept
	Accounts *directory.Accounts
	Groups   *directory.Groups
	People   *directory.Partners
	Notices  *enrollment.Notices
	Passes   *enrollment.Passes
	Sessions *session.Endings
	Now      func() time.Time
}

// Delegations are made, approved and ended here, inside changes that record them.
type Delegations struct{ p Parts }

// New makes Delegations.
func New(p Parts) *Delegations { return &Delegations{p} }

// SetTx adds a partner with its group, or changes its settings.
func (s *Delegations) SetTx(ctx context.Context, tx *store.Tx, p Partner) (Partner, error) {
	if err := p.Check(); err != nil {
		return p, err
	}
	if p.ID == 0 {
		name, err := directory.CheckPartner(p.Name)
		if err != nil {
			return p, failure.At("name", err)
		}
		p.Name = name
	}
	fresh := p.ID == 0
	p, err := s.p.Kept.setTx(ctx, tx, p)
	if err != nil || !fresh {
		return p, err
	}
	return p, s.p.People.CreateTx(ctx, tx, p.Name, p.Title)
}

// RemoveTx removes a partner that has no people any more.
func (s *Delegations) RemoveTx(ctx context.Context, tx *store.Tx, p Partner) error {
	err := s.p.People.RemoveTx(ctx, tx, p.Name)
	if failure.ClassOf(err) == failure.Conflict {
		return failure.New(failure.Conflict, "The partner %s still has people here; remove their accounts first. End what was delegated to them with partner end or partner stop.", p.Name)
	}
	if err != nil {
		return err
	}
	return s.p.Kept.removeTx(ctx, tx, p)
}

// mayApprove refuses whoever cannot approve a delegation.
func mayApprove(by directory.Account) error {
	if by.Kind != directory.Person || !by.Administers() || by.Partner != "" {
		return failure.Refuse("a-person-must", "Delegations are approved by two administrators of your own, in person: no program, no key, and nobody of a partner.")
	}
	return nil
}

// AskTx asks for a delegation, which is the first of two approvals. Nothing is in force by it.
func (s *Delegations) AskTx(ctx context.Context, tx *store.Tx, by, to directory.Account, d Delegation) (Delegation, error) {
	p, err := s.p.Kept.Partner(ctx, tx, d.Partner)
	if err != nil {
		return d, failure.At("partner", err)
	}
	now := s.p.Now().UTC().Truncate(time.Second)
	switch {
	case mayApprove(by) != nil:
		return d, mayApprove(by)
	case to.ID == by.ID:
		return d, failure.Refuse("own", "Nobody delegates to themselves.")
	case to.State != directory.Active:
		return d, failure.Refuse("suspended", to.Name+" is suspended; resume the account first.")
	}
	if err := to.MayJoin(p.Name); err != nil {
		return d, failure.At("account", err)
	}
	if d.From.Before(now) {
		d.From = now
	}
	if err := d.times(now, p.Limit()); err != nil {
		return d, err
	}
	d.Account, d.Name, d.Asked, d.Approved, d.version = to.ID, to.Name, Approval{by.ID, by.Name, now}, Approval{}, 0
	return s.p.Kept.addTx(ctx, tx, d)
}

// times says what is wrong with when it is to be.
func (d Delegation) times(now time.Time, limit time.Duration) error {
	switch {
	case !d.Until.After(now), !d.Until.After(d.From):
		return failure.At("until", failure.New(failure.Invalid, "A delegation ends after it begins, and not in the past."))
	case d.Until.Sub(d.From) > limit:
		return failure.At("until", failure.New(failure.Invalid, "A delegation to this partner may last %s at most.", span(limit)))
	case d.From.Sub(now) > LongestMost:
		return failure.At("from", failure.New(failure.Invalid, "A delegation begins within 90 days."))
	}
	return nil
}

func span(d time.Duration) string {
	if days := d / (24 * time.Hour); days > 0 && d%(24*time.Hour) == 0 {
		return strconv.FormatInt(int64(days), 10) + " days"
	}
	return d.String()
}

// ApproveTx is the second approval: by another administrator than who asked, who must still be one.
// From then on the person is the partner's, and the account ends with what was delegated. What was
// delegated to them before gives way.
func (s *Delegations) ApproveTx(ctx context.Context, tx *store.Tx, by directory.Account, number int64) (Delegation, directory.Account, error) {
	d, err := s.p.Kept.Delegation(ctx, tx, number)
	if err != nil {
		return d, directory.Account{}, err
	}
	to, err := s.p.Accounts.Get(ctx, tx, d.Account)
	if err != nil {
		return d, to, err
	}
	if err := s.mayBeApproved(ctx, tx, by, d); err != nil {
		return d, to, err
	}
	if err := s.giveWay(ctx, tx, d, by.Name); err != nil {
		return d, to, err
	}
	d.Approved = Approval{by.ID, by.Name, s.p.Now().UTC().Truncate(time.Second)}
	if d, err = s.p.Kept.writeTx(ctx, tx, d); err != nil {
		return d, to, err
	}
	if err := s.p.People.JoinTx(ctx, tx, d.Partner, to); err != nil {
		return d, to, err
	}
	// Whoever was signed in before was so as somebody else.
	if to, err = s.endsAt(ctx, tx, d.Account, d.Until); err != nil {
		return d, to, err
	}
	return d, to, s.tell(ctx, tx, to, language.Say("Something was delegated to a partner's person"),
		language.Say("%s. Approved by %s and %s.", language.Word(d.Words()), d.Asked.Name, d.Approved.Name))
}

func (s *Delegations) mayBeApproved(ctx context.Context, tx *store.Tx, by directory.Account, d Delegation) error {
	asked, err := s.p.Accounts.Get(ctx, tx, d.Asked.Account)
	switch {
	case failure.ClassOf(err) == failure.NotFound, err == nil && (!asked.Administers() || asked.Out(s.p.Now()) != nil):
		return failure.Refuse("second-person", d.Asked.Name+" asked for it and is no administrator any more; ask for it again.")
	case err != nil:
		return err
	case mayApprove(by) != nil:
		return mayApprove(by)
	case by.ID == d.Asked.Account, by.ID == d.Account:
		return failure.Refuse("second-person", "It takes a second person: neither who asked for the delegation nor whose it is.")
	case d.State(s.p.Now()) != Waiting:
		return failure.New(failure.Conflict, "The delegation %d does not wait for an approval: it is %s.", d.Number, d.State(s.p.Now()))
	}
	return nil
}

// giveWay ends what an account had before another delegation.
func (s *Delegations) giveWay(ctx context.Context, tx *store.Tx, next Delegation, by string) error {
	all, err := s.p.Kept.of(ctx, tx, next.Account)
	if err != nil {
		return err
	}
	for _, d := range all {
		if d.Number == next.Number || !d.given() || !d.Standing(s.p.Now()) {
			continue
		}
		d.Ended, d.By, d.Reason, d.Told = s.p.Now().UTC().Truncate(time.Second), by, "another delegation took its place", true
		if _, err := s.p.Kept.writeTx(ctx, tx, d); err != nil {
			return err
		}
	}
	return nil
}

// endsAt has an account end at a moment, and what was begun before end now.
func (s *Delegations) endsAt(ctx context.Context, tx *store.Tx, account assurance.AccountID, ends time.Time) (directory.Account, error) {
	if _, err := s.p.Sessions.EndAllTx(ctx, tx, account, ""); err != nil {
		return directory.Account{}, err
	}
	to, err := s.p.Accounts.Get(ctx, tx, account)
	if err != nil {
		return to, err
	}
	if to.Ended(s.p.Now()) {
		if err := s.p.Passes.EndTx(ctx, tx, account); err != nil {
			return to, err
		}
		if to, err = s.p.Accounts.Get(ctx, tx, account); err != nil {
			return to, err
		}
	}
	to.Ends = ends
	if err := s.p.Accounts.Update(ctx, tx, to); err != nil {
		return to, err
	}
	return s.p.Accounts.Get(ctx, tx, account)
}

// EndTx ends a delegation, or takes back one that waits, for a reason. It grants nothing from then on,
// and its person's sessions end.
func (s *Delegations) EndTx(ctx context.Context, tx *store.Tx, by directory.Account, d Delegation, reason string) (Delegation, directory.Account, error) {
	now := s.p.Now()
	to, err := s.p.Accounts.Get(ctx, tx, d.Account)
	if err != nil {
		return d, to, err
	}
	stood := d.Standing(now)
	if !stood && d.State(now) != Waiting {
		return d, to, failure.New(failure.Conflict, "The delegation %d is %s already.", d.Number, d.State(now))
	}
	d.Ended, d.By, d.Reason, d.Told = now.UTC().Truncate(time.Second), by.Name, reason, true
	if d, err = s.p.Kept.writeTx(ctx, tx, d); err != nil || !stood {
		return d, to, err
	}
	if to, err = s.endsAt(ctx, tx, d.Account, d.Ended); err != nil {
		return d, to, err
	}
	return d, to, s.tell(ctx, tx, to, language.Say("What was delegated to a partner's person has ended"),
		language.Say("%s. %s ended it: %s.", language.Word(d.Words()), by.Name, language.Word(cmp.Or(reason, "no reason given"))))
}

// tell tells whose delegation it is, and whoever administers.
func (s *Delegations) tell(ctx context.Context, tx *store.Tx, to directory.Account, subject, what language.Sentence) error {
	all, err := s.p.Groups.Administering(ctx, tx, 100)
	if err != nil {
		return err
	}
	for _, one := range append(all, to) {
		if err := s.p.Notices.Tell(ctx, tx, one, subject, what); err != nil {
			return err
		}
	}
	return nil
}

// Sweep tells of delegations that came to their end, once each: an entry in the log, and a notice to
// their person and to whoever administers. They grant nothing already.
func (s *Delegations) Sweep(ctx context.Context) error {
	all, err := s.p.Kept.Delegations(ctx, s.p.DB)
	for _, d := range all {
		if s.untold(d) {
			err = errors.Join(err, s.tellOver(ctx, d.Number))
		}
	}
	return err
}

func (s *Delegations) untold(d Delegation) bool { return d.State(s.p.Now()) == Over && !d.Told }

func (s *Delegations) tellOver(ctx context.Context, number int64) error {
	return s.p.DB.Change(ctx, audit.System("housekeeping"), func(tx *store.Tx) error {
		d, err := s.p.Kept.Delegation(ctx, tx, number)
		if err != nil {
			return err
		}
		if !s.untold(d) { // another server did
			tx.Unrecorded()
			return nil
		}
		to, err := s.p.Accounts.Get(ctx, tx, d.Account)
		if err != nil {
			return err
		}
		d.Told = true
		if d, err = s.p.Kept.writeTx(ctx, tx, d); err != nil {
			return err
		}
		if _, err := s.p.Sessions.EndAllTx(ctx, tx, d.Account, ""); err != nil {
			return err
		}
		if err := s.tell(ctx, tx, to, language.Say("What was delegated to a partner's person is over"), language.Say("%s. Its time is over.", language.Word(d.Words()))); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "partner.delegation-over", Outcome: audit.OK, Account: int64(to.ID), AccountName: to.Name,
			Detail: map[string]string{"of-partner": d.Partner, "delegation": strconv.FormatInt(d.Number, 10), "until": d.Until.UTC().Format(time.RFC3339)}})
	})
}
