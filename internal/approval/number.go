package approval

import (
	"context"
	"net/netip"
	"strconv"
	"strings"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/store"
	"countersign/internal/throttle"
)

// guesser is who looks for a number: a session of the account, or one of its
// apps.
type guesser struct {
	account  assurance.AccountID
	app      *directory.Credential // nil for a session
	protocol string
	source   netip.Addr
	heard    bool // all of the log was heard
}

// budget is what a wrong number is charged to, and why none may be tried.
func (a *Approvals) budget(ctx context.Context, r store.Reader, g guesser) (b throttle.Budget, over string, err error) {
	var app assurance.CredentialID
	if g.app != nil {
		app = g.app.ID
	}
	return a.throttle.Numbers(ctx, r, g.account, app, g.heard)
}

// under finds what waits under a number. The budget is asked first, so
// that a right guess after too many wrong ones finds nothing either.
func (a *Approvals) under(ctx context.Context, actor audit.Actor, g guesser, typed string) (w Waiting, err error) {
	number, err := readNumber(typed)
	if err != nil {
		return Waiting{}, err
	}
	err = a.throttle.Confirm(ctx, func(heard bool) (err error) {
		g.heard = heard
		w, err = a.find(ctx, actor, g, number)
		return err
	})
	return w, err
}

func (a *Approvals) find(ctx context.Context, actor audit.Actor, g guesser, number string) (Waiting, error) {
	_, over, err := a.budget(ctx, a.db, g)
	if err != nil {
		return Waiting{}, err
	}
	if over == "" {
		row, err := a.rows.scan(ctx, a.db.QueryRow(ctx, `select `+approvalColumns+` from approval where account = $1 and number = $2 and state = 'waiting'`,
			int64(g.account), a.rows.find(g.account, number)))
		if err == nil && a.now().Before(row.expires) {
			return row.body.Waiting, nil
		}
		if err != nil && failure.ClassOf(err) != failure.NotFound {
			return Waiting{}, err
		}
	}
	return Waiting{}, a.db.Change(ctx, actor, func(tx *store.Tx) error { return a.wrong(ctx, tx, g) })
}

// readNumber takes six digits, with spaces or hyphens between them.
func readNumber(typed string) (string, error) {
	number := strings.NewReplacer(" ", "", "-", "").Replace(typed)
	if len(number) != approvalDigits || strings.Trim(number, "0123456789") != "" {
		return "", failure.New(failure.Invalid, "The number has six digits.")
	}
	return number, nil
}

// wrong spends a guess and records it. An app that guessed too often is
// switched off like any other authenticator.
func (a *Approvals) wrong(ctx context.Context, tx *store.Tx, g guesser) error {
	account, err := a.people.Get(ctx, tx, g.account)
	if err != nil {
		return err
	}
	b, over, err := a.budget(ctx, tx, g)
	if err != nil {
		return err
	}
	tx.Record(g.entry(account, "approval.wrong-number", audit.Refused, "wrong"))
	if err := tally(ctx, tx, account.ID, promptWrong, a.now()); err != nil {
		return err
	}
	if over != "" {
		return store.Keep(failure.Refuse(over, "There were too many wrong numbers. Wait a while."))
	}
	if err := a.throttle.Charge(ctx, tx, &b); err != nil {
		return err
	}
	if g.app != nil && b.Wrong(g.app.ID) >= throttle.WrongNumbers {
		if err := a.disable(ctx, tx, g, account); err != nil {
			return err
		}
	}
	return store.Keep(noApproval)
}

// entry writes down what came of a number.
func (g guesser) entry(account directory.Account, event, outcome, reason string) audit.Entry {
	return audit.Entry{Event: event, Outcome: outcome, Reason: reason, Account: int64(account.ID), AccountName: account.Name,
		Application: audit.Self, Protocol: g.protocol, Source: audit.AddressText(g.source), Detail: map[string]string{}}
}

// disable takes an app out of use until it is bound anew (SP 800-63B-4 section
// 3.2.2), and tells its owner: whoever has its key looks for numbers with it.
func (a *Approvals) disable(ctx context.Context, tx *store.Tx, g guesser, account directory.Account) error {
	c, was, err := a.owners.switchOff(ctx, tx, account, g.app.ID)
	if err != nil || !was {
		return err
	}
	en := g.entry(account, "credential.disabled", audit.OK, "too-many-wrong-answers")
	en.Detail["authenticator"] = c.Kind + "/" + strconv.FormatInt(int64(c.ID), 10)
	tx.Record(en)
	return a.owners.tell(ctx, tx, account, noticeDisabled(a.kinds[g.app.Kind].Describe().Title))
}
