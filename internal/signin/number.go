package signin

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/store"
)

// guesser is who looks for a number: a session of the account, or one of its
// apps.
type guesser struct {
	account  assurance.AccountID
	app      *directory.Credential // nil for a session
	protocol string
	source   netip.Addr
}

// wrongNumbers is after how many wrong numbers in a row an app is switched off.
// Whoever types them has its key and has unlocked it.
const wrongNumbers = 10

// budget is what a wrong number is charged to, and why none may be tried. The
// account's budget for numbers is one of its own, so that nobody who guesses its
// password keeps its owner from approving.
func (a *Approvals) budget(ctx context.Context, r store.Reader, g guesser) (b budget, over string, err error) {
	b.subjects = []subject{{key: "number/" + strconv.FormatInt(int64(g.account), 10), window: time.Hour, limit: a.rows.limits.PerAccount, reason: "account-budget"}}
	if g.app != nil {
		b.subjects = append(b.subjects, subject{key: credentialKey(g.app.ID), credential: g.app.ID, limit: wrongNumbers, reason: "disabled"})
	}
	if err := a.guesses.loadSubjects(ctx, r, b.subjects); err != nil {
		return b, "", err
	}
	return b, a.guesses.judge(&b), nil
}

// under finds what waits under a number. The budget is asked first, so
// that a right guess after too many wrong ones finds nothing either.
func (a *Approvals) under(ctx context.Context, actor audit.Actor, g guesser, typed string) (Waiting, error) {
	number, err := readNumber(typed)
	if err != nil {
		return Waiting{}, err
	}
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
	account, err := a.directory.Get(ctx, tx, g.account)
	if err != nil {
		return err
	}
	at := &attempt{Request: Request{Application: Self, Action: SignIn, Protocol: g.protocol, Source: g.source, Name: account.Name}, Account: account.ID}
	b, over, err := a.budget(ctx, tx, g)
	if err != nil {
		return err
	}
	tx.Record(at.entry(account, "approval.wrong-number", "refused", "wrong"))
	if err := tally(ctx, tx, account.ID, promptWrong, a.now()); err != nil {
		return err
	}
	if over != "" {
		return store.Keep(failure.Refuse(over, "There were too many wrong numbers. Wait a while."))
	}
	if err := a.guesses.charge(ctx, tx, &b); err != nil {
		return err
	}
	if g.app != nil && b.subjects[len(b.subjects)-1].count >= wrongNumbers {
		q := &question{account: account, kind: g.app.Kind, how: a.examiner.kinds[g.app.Kind]}
		if err := a.examiner.disable(ctx, tx, at, q, g.app.ID); err != nil {
			return err
		}
	}
	return store.Keep(noApproval)
}
