package recovery

import (
	"context"
	"errors"
	"strconv"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/store"
)

// passLife is how long a pass lives that a browser took: it is used at once.
const passLife = time.Hour

// Collect gives the bound browser a temporary access pass, when it may have one,
// and revokes what its owner says is lost. What speaks against it stops the case.
// Source is where the browser asks from, for the log.
func (r *Recoveries) Collect(ctx context.Context, secret, source string) (name, pass string, err error) {
	err = r.DB.Change(ctx, audit.Actor{Name: "recovery", Via: "browser"}, func(tx *store.Tx) error {
		was, err := r.scan(tx.QueryRow(ctx, `select `+caseColumns+` from recovery where secret = $1`, hash(secret)))
		if errors.Is(err, store.ErrNotFound) {
			return failure.Refuse("unknown-recovery", "This browser is bound to no recovery. Begin again.")
		}
		if err != nil {
			return err
		}
		account, err := r.Directory.Get(ctx, tx, was.Account)
		if err != nil {
			return err
		}
		if ready := was.Phase(r.Now()); ready != Ready && (ready != Collected || !was.underWay(r.Now())) {
			return failure.Refuse("recovery-"+string(ready), "There is nothing to take now.")
		}
		why, err := r.against(ctx, tx, was, account)
		if err != nil {
			return err
		}
		if why != "" {
			return r.halt(ctx, tx, was, account, audit.Entry{Event: "recovery.refused", Outcome: audit.Refused, Reason: why, Source: source})
		}
		name = account.Name
		pass, err = r.handOver(ctx, tx, was, account, source)
		return err
	})
	return name, pass, err
}

// against says what speaks against a pass; empty when nothing does.
func (r *Recoveries) against(ctx context.Context, tx *store.Tx, c Case, account directory.Account) (string, error) {
	switch {
	case account.State != directory.Active:
		return "suspended", nil
	case account.Idle(r.Now()) > r.Dormant:
		return "dormant", nil
	case c.Taken >= mostPasses:
		return "too-many-passes", nil
	}
	vouchers := []assurance.AccountID{c.Opener}
	if c.Confirmer != 0 {
		vouchers = append(vouchers, c.Confirmer)
	}
	for _, id := range vouchers {
		if stands, err := r.stands(ctx, tx, id, account); err != nil || !stands {
			return "opener-no-longer-may", err
		}
	}
	credentials, err := r.Directory.Credentials(ctx, tx, account.ID)
	if err != nil {
		return "", err
	}
	for _, held := range credentials {
		switch {
		case held.Status != directory.CredentialActive || !held.Traits.Has(assurance.Held):
		case held.Created.After(c.Opened):
			return "set-up-since", nil
		case held.Used.After(c.Opened):
			return "signed-in-since", nil
		}
	}
	return "", nil
}

// stands reports whether somebody who vouched still may. Whoever was suspended or
// lost the role during the waiting time did that for a reason.
func (r *Recoveries) stands(ctx context.Context, tx *store.Tx, id assurance.AccountID, account directory.Account) (bool, error) {
	if id == account.ID {
		return true, nil
	}
	voucher, err := r.Directory.Get(ctx, tx, id)
	if failure.ClassOf(err) == failure.NotFound {
		return false, nil
	}
	return err == nil && voucher.State == directory.Active && account.Kind == directory.Person && Vouches(voucher, account) == nil, err
}

// Vouches says why somebody may not vouch for somebody else, and nil when they may:
// administrators for anybody but themselves, the help desk for whoever is not
// privileged.
func Vouches(by, account directory.Account) error {
	switch {
	case by.ID == account.ID:
		return failure.Refuse("own-recovery", "Nobody can bring themselves back in; ask somebody else.")
	case !by.Administers() && (account.Privileged || !by.Helps()):
		return failure.Refuse("privileged", "The help desk cannot bring back administrators and others who are privileged; an administrator can.")
	}
	return nil
}

// halt stops a case and says so to everybody whom it concerns; it is for its owner
// to see why, not for the browser.
func (r *Recoveries) halt(ctx context.Context, tx *store.Tx, was Case, account directory.Account, en audit.Entry) error {
	if err := r.end(ctx, tx, was); err != nil {
		return err
	}
	if err := tx.Record(was.entry(en, account)); err != nil {
		return err
	}
	return store.Keep(failure.Refuse("recovery-stopped", "This recovery was stopped. Call your help desk."))
}

// handOver makes the pass, and revokes what is lost: whoever has it could use it.
func (r *Recoveries) handOver(ctx context.Context, tx *store.Tx, was Case, account directory.Account, source string) (string, error) {
	c := was
	c.Taken++
	if err := r.write(ctx, tx, was, c); err != nil {
		return "", err
	}
	revoked, err := r.revokeLost(ctx, tx, c)
	if err != nil {
		return "", err
	}
	pass, _, err := r.Enrollments.PassIn(ctx, tx, account, passLife)
	if err != nil {
		return "", err
	}
	tx.Record(c.entry(audit.Entry{Event: "recovery.collected", Outcome: audit.OK, Source: source,
		Detail: map[string]string{"pass": strconv.Itoa(c.Taken), "revoked": strconv.Itoa(revoked)}}, account))
	return pass, r.tell(ctx, tx, account, noticeCollected(account, c))
}

func (r *Recoveries) revokeLost(ctx context.Context, tx *store.Tx, c Case) (revoked int, err error) {
	credentials, err := r.Directory.Credentials(ctx, tx, c.Account)
	if err != nil {
		return 0, err
	}
	for _, old := range credentials {
		lost := old.Traits.Has(assurance.Held) || c.Forgotten && old.Traits.Has(assurance.Known)
		if !lost || old.Status == directory.CredentialRevoked || old.Status == directory.CredentialUsedUp {
			continue
		}
		if err := r.Enrollments.RevokeIn(ctx, tx, &old); err != nil {
			return revoked, err
		}
		revoked++
	}
	return revoked, nil
}
