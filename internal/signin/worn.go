package signin

import (
	"context"
	"strconv"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/language"
	"countersign/internal/store"
	"countersign/internal/throttle"
	"countersign/internal/ticket"
)

// wornOut tells of what a wrong answer has done to its budgets: that the authenticator
// is closed to this side, and before that its owner, once strangers make it slow.
func (x *examiner) wornOut(ctx context.Context, tx *store.Tx, at *attempt, q *candidate) error {
	for _, w := range x.throttle.WornOut(&q.budget) {
		var err error
		if w.Closed {
			err = x.close(ctx, tx, at, q, w)
		} else {
			err = x.tellGuessed(ctx, tx, at, q, noticeSlowed(q.how.Describe().Title))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// close writes down that an authenticator is closed to a side, and tells its owner.
func (x *examiner) close(ctx context.Context, tx *store.Tx, at *attempt, q *candidate, w throttle.Wear) error {
	if err := x.throttle.Close(ctx, tx, q.account.ID); err != nil {
		return err
	}
	en := at.entry(q.account, "credential.closed", audit.OK, "too-many-wrong-answers")
	en.Detail["authenticator"] = q.kind + "/" + strconv.FormatInt(int64(w.Credential), 10)
	en.Detail["to"] = w.Side.Words()
	tx.Record(en)
	return x.tellGuessed(ctx, tx, at, q, noticeClosed(q.how.Describe().Title, w.Side))
}

// tellGuessed tells an owner of guesses, once in a day for each authenticator and what
// became of it, with a link that makes a browser one of theirs.
func (x *examiner) tellGuessed(ctx context.Context, tx *store.Tx, at *attempt, q *candidate, n notice) error {
	told, err := x.owners.notified(ctx, tx, q.account, n, day)
	if err != nil || told {
		return err
	}
	n.body = language.Say("%s\nThe last wrong answer came %s.\n", n.body, fromWhere(at))
	if q.budget.Side() == throttle.Stranger || q.budget.Side() == throttle.Gateway {
		n.body = language.Say("%s\nWhere you were let in before, in the browsers that you signed in with, and with a passkey you can sign in as always.\n", n.body)
	}
	if x.openAt != "" && q.budget.Side() != throttle.InBrowser {
		code, err := x.tickets.IssueTx(ctx, tx, ticket.Spec{Kind: openingKind, Owner: int64(q.account.ID), Lifetime: openingLife})
		if err != nil {
			return err
		}
		n.body = language.Say("%sTo sign in from anywhere else, open this link first, in the browser that you want to use, within seven days:\n\n%s\n\n"+
			"It lets nobody in. It tells us that this browser is yours, so that you need not wait behind whoever guesses. Do not pass it on.\n", n.body, x.openAt+"?code="+code)
	}
	return x.owners.tell(ctx, tx, q.account, n)
}

// fromWhere says where an attempt comes from, for people to read.
func fromWhere(at *attempt) language.Sentence {
	switch {
	case at.Source.IsValid():
		return language.Say("from %s", audit.AddressText(at.Source))
	case at.Partner != "":
		return language.Say("by %s, which does not tell from where", at.Partner)
	}
	return language.Say("from an unknown address")
}

// reopen opens what is closed of an account, because two factors were shown just now.
func (m *grants) reopen(ctx context.Context, tx *store.Tx, at *attempt, account directory.Account) error {
	if !assurance.TwoFactors().Met(at.Evidence, m.now()) {
		return nil
	}
	if is, err := m.throttle.IsClosed(ctx, tx, account.ID); err != nil || !is {
		return err
	}
	if err := m.throttle.Open(ctx, tx, account.ID); err != nil {
		return err
	}
	return tx.Record(at.entry(account, "credential.opened", audit.OK, "two-factors"))
}

// OpenTx forgets all that was guessed wrong at an account's authenticators, inside a
// change that records it.
func (e *Engine) OpenTx(ctx context.Context, tx *store.Tx, account assurance.AccountID) error {
	return e.throttle.Open(ctx, tx, account)
}

// ClosedOf says what too many wrong answers have closed of an account, and to whom.
func (e *Engine) ClosedOf(ctx context.Context, r store.Reader, account assurance.AccountID) ([]string, error) {
	credentials, err := e.credentials.All(ctx, r, account)
	if err != nil {
		return nil, err
	}
	var all []assurance.CredentialID
	kinds := map[assurance.CredentialID]string{}
	for _, c := range credentials {
		how := e.kinds[c.Kind]
		if how == nil || !how.Describe().Guessable || c.Status != directory.CredentialActive {
			continue
		}
		kinds[c.ID] = c.Kind + "/" + strconv.FormatInt(int64(c.ID), 10)
		all = append(all, c.ID)
	}
	closed, err := e.throttle.ClosedOf(ctx, r, account, all)
	var out []string
	for _, w := range closed {
		out = append(out, kinds[w.Credential]+" for "+w.Side.Words())
	}
	return out, err
}
