package recovery

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/store"
)

// passLife is how long a pass lives that a browser took: it is used at once.
const passLife = time.Hour

// Passes gives the passes that cases end in.
type Passes struct {
	db          *store.DB
	people      *directory.Accounts
	credentials *directory.Credentials
	cases       *Cases
	owners      *Owners
	stops       *Stops
	endings     *enrollment.Endings
	passes      *enrollment.Passes
	messenger   *messenger
	dormant     time.Duration
	now         func() time.Time
}

func newPasses(p Parts, made Pieces) *Passes {
	return &Passes{db: p.DB, people: p.Accounts, credentials: p.Credentials, cases: made.Cases, owners: made.Owners, stops: made.Stops,
		endings: p.Endings, passes: p.Passes, messenger: newMessenger(p), dormant: p.Dormant, now: p.Now}
}

// Collect gives the bound browser a temporary access pass, when it may have one,
// and revokes what its owner says is lost. What speaks against it stops the case;
// what it takes is looked at again, as the account is now. Source is where the
// browser asks from, for the log.
func (p *Passes) Collect(ctx context.Context, secret, source string) (name, pass string, err error) {
	used, err := p.usedSince(ctx, secret)
	if err != nil {
		return "", "", err
	}
	err = p.db.Change(ctx, audit.Actor{Name: "recovery", Via: "browser"}, func(tx *store.Tx) error {
		was, err := p.cases.bySecret(ctx, tx, secret)
		if errors.Is(err, store.ErrNotFound) {
			return failure.Refuse("unknown-recovery", "This browser is bound to no recovery. Begin again.")
		}
		if err != nil {
			return err
		}
		account, err := p.people.Get(ctx, tx, was.Account)
		if err != nil {
			return err
		}
		if ready := was.Phase(p.now()); ready != Ready && ready != Collected {
			return failure.Refuse("recovery-"+string(ready), "There is nothing to take now.")
		}
		why, err := p.against(ctx, tx, was, account)
		if err != nil {
			return err
		}
		if used && why == "" {
			why = "signed-in-since"
		}
		if why != "" {
			return p.stops.halt(ctx, tx, was, account, audit.Entry{Event: "recovery.refused", Outcome: audit.Refused, Reason: why, Source: source})
		}
		n, err := p.owners.need(ctx, tx, was, p.now(), p.now())
		if err != nil {
			return err
		}
		if n.second && (was.Confirmer == 0 || n.all && !was.Forgotten) {
			return p.unsure(ctx, tx, was, account, n, source)
		}
		name = account.Name
		pass, err = p.handOver(ctx, tx, was, account, source)
		return err
	})
	return name, pass, err
}

// unsure has a case wait for a second person, because more is replaced by it now than
// those who vouched had said: what the person was to show beside was switched off, or
// nobody can object any more.
func (p *Passes) unsure(ctx context.Context, tx *store.Tx, was Case, account directory.Account, n need, source string) error {
	c := was
	c.Second, c.Forgotten, c.Confirmer = true, n.all, 0
	if err := p.cases.write(ctx, tx, was, c); err != nil {
		return err
	}
	err := tx.Record(c.entry(audit.Entry{Event: "recovery.refused", Outcome: audit.Refused, Reason: "second-person", Source: source}, account))
	if err != nil {
		return err
	}
	return store.Keep(failure.Refuse("recovery-unsure", "An administrator has to confirm this recovery first. Go back to the page before; it shows what to read to them."))
}

// usedSince reports whether anything that is held was shown for the account of a case
// since it was opened, by whatever protocol. The log says so, whatever became of what
// it was shown with.
func (p *Passes) usedSince(ctx context.Context, secret string) (bool, error) {
	c, err := p.cases.bySecret(ctx, p.db, secret)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if c.Taken > 0 {
		return false, nil // it was looked at before the first pass; what came since shows in what was set up
	}
	shown, err := p.db.AuditLog().Entries(ctx, store.Filter{Account: int64(c.Account), Event: "evidence.accepted", Outcome: audit.OK, Since: c.Opened, Limit: 10_000, Newest: true})
	if err != nil {
		return false, err
	}
	for _, en := range shown {
		if en.At.After(c.Opened) && strings.Contains("+"+en.Detail["traits"]+"+", "+"+assurance.Held.String()+"+") {
			return true, nil
		}
	}
	return false, nil
}

// against says what speaks against a pass; empty when nothing does.
func (p *Passes) against(ctx context.Context, tx *store.Tx, c Case, account directory.Account) (string, error) {
	switch {
	case account.State != directory.Active:
		return "suspended", nil
	case account.Ended(p.now()):
		return "ended", nil
	case account.Idle(p.now()) > p.dormant:
		return "dormant", nil
	case c.Taken >= mostPasses:
		return "too-many-passes", nil
	}
	vouchers := []assurance.AccountID{c.Opener}
	if c.Confirmer != 0 {
		vouchers = append(vouchers, c.Confirmer)
	}
	for _, id := range vouchers {
		if stands, err := p.stands(ctx, tx, c, id, account); err != nil || !stands {
			return "opener-no-longer-may", err
		}
	}
	credentials, err := p.credentials.All(ctx, tx, account.ID)
	if err != nil {
		return "", err
	}
	for _, one := range credentials {
		if why := c.objection(one); why != "" {
			return why, nil
		}
	}
	return "", nil
}

// objection says what an authenticator says against a pass of the case, whatever its
// state is now: that it was used since, or that somebody set it up or took it away.
// What the case itself brought about is none.
func (c Case) objection(one directory.Credential) string {
	held := one.Traits.Has(assurance.Held)
	switch {
	case one.Traits.Has(assurance.Delegated):
		return ""
	case one.Traits.Has(assurance.Vouched):
		if c.Taken > 0 && one.End.At.After(c.Collected) && one.End.Cause != directory.ByNewer {
			return "revoked-since"
		}
		return ""
	case held && one.Used.After(c.Opened) && !one.Created.After(c.Opened):
		return "signed-in-since"
	case c.Taken == 0 && one.Created.After(c.Opened), held && c.Taken > 0 && !one.Created.Before(c.Collected):
		return "set-up-since"
	case c.Taken > 0 && one.End.At.After(c.Collected) && one.End.Cause != directory.ByNewer && !c.ended(one):
		return "revoked-since"
	}
	return ""
}

// ended reports whether the case itself ended an authenticator.
func (c Case) ended(one directory.Credential) bool {
	return (one.End.Cause == directory.ByRecovery || one.End.Cause == directory.BySureRecovery) && one.End.Whose == c.ID
}

// stands reports whether somebody who vouched still may. Whoever was suspended, has ended or
// lost the role during the waiting time did that for a reason. A second person's word
// was an administrator's, and stands for as long as they are one.
func (p *Passes) stands(ctx context.Context, tx *store.Tx, c Case, id assurance.AccountID, account directory.Account) (bool, error) {
	if id == account.ID {
		return true, nil
	}
	voucher, err := p.people.Get(ctx, tx, id)
	if failure.ClassOf(err) == failure.NotFound {
		return false, nil
	}
	if err == nil && id == c.Confirmer && !voucher.Administers() {
		return false, nil
	}
	return err == nil && voucher.Out(p.now()) == nil && account.Kind == directory.Person && Vouches(voucher, account) == nil, err
}

// Vouches says why somebody may not vouch for somebody else, and nil when they may:
// administrators for anybody but themselves, the help desk for whoever is not
// privileged, and no program.
func Vouches(by, account directory.Account) error {
	switch {
	case by.ID == account.ID:
		return failure.Refuse("own-recovery", "Nobody can bring themselves back in; ask somebody else.")
	case by.Kind != directory.Person:
		return failure.Refuse("service", "A program cannot have made sure who somebody is; a person has to.")
	case !by.Administers() && (account.Guarded() || !by.Helps()):
		return failure.Refuse("privileged", "The help desk cannot bring back administrators and others who are privileged; an administrator can.")
	}
	return nil
}

// halt has nothing more come of a case, and says so in the log; it is for its owner
// to see why, not for the browser. What came of it before stands: that the person is
// done with setting up is no objection to what they set up.
func (s *Stops) halt(ctx context.Context, tx *store.Tx, was Case, account directory.Account, en audit.Entry) error {
	var err error
	if was.Taken > 0 {
		err = s.finish(ctx, tx, was)
	} else {
		_, err = s.end(ctx, tx, was, "")
	}
	if err != nil {
		return err
	}
	if err := tx.Record(was.entry(en, account)); err != nil {
		return err
	}
	return store.Keep(failure.Refuse("recovery-stopped", "This recovery was stopped. Call your help desk."))
}

// handOver makes the pass, and revokes what is lost: whoever has it could use it.
func (p *Passes) handOver(ctx context.Context, tx *store.Tx, was Case, account directory.Account, source string) (string, error) {
	c, now := was, p.now().Truncate(time.Microsecond)
	if c.Taken++; c.Taken == 1 {
		c.Collected = now
		if ends := now.Add(collectLife); ends.After(c.Ends) {
			c.Ends = ends // for its owner to object
		}
	}
	if err := p.cases.write(ctx, tx, was, c); err != nil {
		return "", err
	}
	revoked, err := p.revokeLost(ctx, tx, c)
	if err != nil {
		return "", err
	}
	pass, _, err := p.passes.IssueTx(ctx, tx, account, passLife)
	if err != nil {
		return "", err
	}
	tx.Record(c.entry(audit.Entry{Event: "recovery.collected", Outcome: audit.OK, Source: source,
		Detail: map[string]string{"pass": strconv.Itoa(c.Taken), "revoked": strconv.Itoa(revoked)}}, account))
	return pass, p.messenger.tell(ctx, tx, account, noticeCollected(account, c))
}

// cause is by what a case revokes: who replaces everything had two people's word, or
// two codes of their own.
func (c Case) cause() directory.Cause {
	if c.Forgotten && (c.Confirmer != 0 || c.Check == Codes) {
		return directory.BySureRecovery
	}
	return directory.ByRecovery
}

// revokeLost revokes what is replaced. Where that is everything it takes over what
// others took before as well, so that nothing of it is asked for any more.
func (p *Passes) revokeLost(ctx context.Context, tx *store.Tx, c Case) (revoked int, err error) {
	credentials, err := p.credentials.All(ctx, tx, c.Account)
	if err != nil {
		return 0, err
	}
	for _, old := range credentials {
		lost := old.Traits.Has(assurance.Held) || c.Forgotten && old.Traits.Has(assurance.Known)
		if !lost || old.Status == directory.CredentialUsedUp {
			continue
		}
		gone := old.Status == directory.CredentialRevoked
		if gone && (!c.Forgotten || old.GivenUp()) {
			continue
		}
		if err := p.endings.RevokeTx(ctx, tx, &old, c.cause(), c.ID); err != nil {
			return revoked, err
		}
		if !gone {
			revoked++
		}
	}
	return revoked, nil
}
