package signin

import (
	"context"
	"slices"

	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/store"
)

// submission is one call of the engine on one attempt: what was answered, and what
// must be known before the transaction begins.
type submission struct {
	app     application.Application
	held    []assurance.Evidence
	answers []prompt.Answer
	opening bool
	// ahead are the questions that were checked before the transaction, by the
	// place of their answer.
	ahead map[int]*candidate
}

// checkAhead checks what need not hold up the transaction, one after the other,
// and stops at the first that is wrong: the rest would be refused anyway. That is
// what is slow, whose budget is spent first, and what nobody can guess, which has
// none.
func (x *examiner) checkAhead(ctx context.Context, at *attempt, t *submission) error {
	t.ahead = map[int]*candidate{}
	at = at.clone()
	for i, answer := range t.answers {
		at.proved = i > 0
		shaped, _ := x.candidatesByForm(at, answer, t.opening)
		if len(shaped) == 0 {
			return nil // it was not asked
		}
		if !slices.ContainsFunc(shaped, x.ahead) {
			continue
		}
		kinds, err := x.candidates(ctx, x.db, at, answer, t.opening)
		if err != nil {
			return err
		}
		if len(kinds) != 1 || !x.ahead(kinds[0]) {
			continue
		}
		check := x.checkSigned
		if x.kinds[kinds[0]].Describe().Slow {
			check = x.checkSlow
		}
		q, err := check(ctx, at, kinds[0], answer)
		if err != nil {
			return err
		}
		t.ahead[i] = q
		if q.refusal != "" || !q.result.OK && !q.result.Partial {
			return nil
		}
	}
	return nil
}

// bookOne settles one answer with whichever authenticator it is for.
func (x *examiner) bookOne(ctx context.Context, tx *store.Tx, at *attempt, t submission, i int, answer prompt.Answer) (verdict, directory.Account, error) {
	if q := t.ahead[i]; q != nil {
		current, err := x.current(ctx, tx, at, q)
		if err != nil {
			return verdict{}, directory.Account{}, err
		}
		// A slow check is not repeated here: one whose credential was changed
		// meanwhile is refused when that is written.
		if current || q.how.Describe().Slow {
			v, err := x.settle(ctx, tx, at, q)
			return v, q.account, err
		}
	}
	at.proved = i > 0 // or this would not be looked at
	kinds, err := x.candidates(ctx, tx, at, answer, t.opening)
	if err != nil {
		return verdict{}, directory.Account{}, err
	}
	v := verdict{reason: "not-asked"}
	var account directory.Account
	questions, err := x.examined(ctx, tx, at, kinds, answer)
	for i := 0; i < len(questions) && err == nil; i++ {
		account = questions[i].account
		v, err = x.settle(ctx, tx, at, questions[i])
	}
	return v, account, err
}

// ahead reports whether answers of this kind are checked before the transaction.
func (x *examiner) ahead(kind string) bool {
	how := x.kinds[kind]
	return how != nil && (how.Describe().Slow || !how.Describe().Guessable)
}

// current reads, for the rest of the transaction, whose the credential is that a
// check ahead found right, and reports whether it is still as it was then. Of one
// that was wrong it reads whose it is, for the log.
func (x *examiner) current(ctx context.Context, tx *store.Tx, at *attempt, q *candidate) (bool, error) {
	right := q.refusal == "" && (q.result.OK || q.result.Partial)
	if !right && (q.account.ID == 0 || q.account.Name != "") {
		return true, nil
	}
	account, unmoved, err := x.people.GetUnchanged(ctx, tx, q.account.ID, q.all)
	if failure.ClassOf(err) == failure.NotFound {
		return !right, nil
	}
	if err != nil {
		return false, err
	}
	if err := tx.About(int64(account.ID)); err != nil {
		return false, err
	}
	q.account = account
	if !right {
		return true, nil
	}
	at.seen = seen{tx: tx, account: account}
	if unmoved {
		at.seen.credentials, at.seen.known = q.all, true
		return true, nil
	}
	all, err := x.accounts.credentialsOf(ctx, tx, at, account.ID)
	if err != nil {
		return false, err
	}
	was := q.shown()
	return slices.ContainsFunc(all, func(c directory.Credential) bool {
		return c.ID == was.ID && c.Version == was.Version && c.Status == directory.CredentialActive
	}), nil
}

// examined compares an answer with every kind that it may be for. Only the kind
// that it is right for is left, so that a code of one device is no wrong answer
// to another. Where it is wrong for all, each is charged; what they share was
// read before any charge, and so counts one wrong answer and not several.
func (x *examiner) examined(ctx context.Context, tx *store.Tx, at *attempt, kinds []string, answer prompt.Answer) ([]*candidate, error) {
	var out []*candidate
	for _, kind := range kinds {
		q, err := x.prepare(ctx, tx, at, kind, answer)
		if err != nil {
			return nil, err
		}
		if q.how != nil {
			if err := q.check(ctx, x, at); err != nil {
				return nil, err
			}
		}
		if q.result.OK || q.result.Partial {
			return []*candidate{q}, nil
		}
		out = append(out, q)
	}
	return out, nil
}
