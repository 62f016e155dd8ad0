package signin

import (
	"countersign/internal/assurance"
	"countersign/internal/store"
)

// asks are what booking answers is about to read, so that it is read with the begin of the
// transaction. It is a guess at what will be asked, and decides nothing.
func (x *examiner) asks(at *attempt, t submission) []store.Ask {
	if !x.db.ReadsAhead() {
		return nil
	}
	if q := t.ahead[0]; q != nil {
		if q.account.ID == 0 {
			return nil
		}
		asks := x.people.AheadUnchanged(q.account.ID)
		switch {
		case q.charged && (q.result.OK || q.result.Partial):
			asks = append(asks, x.throttle.AheadOfRefund(q.budget))
		case q.charged:
			asks = append(asks, x.throttle.AheadOfBook())
		}
		return asks
	}
	if kinds, _ := x.candidatesByForm(at, t.answers[0], t.opening); len(kinds) == 0 {
		return nil // it was not asked
	}
	return x.comparing(at)
}

// comparing is what is read of whoever an attempt is about, to compare an answer with.
func (x *examiner) comparing(at *attempt) []store.Ask {
	switch {
	case at.Account != 0:
		return append(x.people.AheadOf(at.Account), x.throttle.Ahead(at.requester(), at.Account, ""))
	}
	asks, spelling := x.people.Ahead(at.Name)
	if spelling == "" {
		return nil
	}
	return append(asks, x.throttle.Ahead(at.requester(), 0, spelling))
}

// deciding is what a decision about an account is about to read.
func (j *judge) deciding(account assurance.AccountID) []store.Ask {
	if account == 0 {
		return nil
	}
	return j.accounts.people.AheadOf(account)
}
