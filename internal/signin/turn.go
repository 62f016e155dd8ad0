package signin

import (
	"context"

	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/prompt"
	"countersign/internal/store"
)

// turn is one call of the engine on one attempt: what was answered, and what
// must be known before the transaction begins.
type turn struct {
	app     application.Application
	held    []assurance.Evidence
	answers []prompt.Answer
	opening bool
	// slow are the questions that were checked outside of the transaction, by
	// the place of their answer.
	slow map[int]*question
}

// runSlow checks what is slow, one after the other, and stops at the first that
// is wrong: the rest would be refused anyway.
func (x *examiner) runSlow(ctx context.Context, at *attempt, t *turn) error {
	t.slow = map[int]*question{}
	for i, answer := range t.answers {
		shaped, _, err := x.shaped(at, answer, t.opening)
		if err != nil {
			return err
		}
		if !x.anySlow(shaped) {
			continue
		}
		kinds, err := x.aimed(ctx, x.DB, at, answer, t.opening)
		if err != nil {
			return err
		}
		if len(kinds) != 1 || x.kinds[kinds[0]] == nil || !x.kinds[kinds[0]].Describe().Slow {
			continue
		}
		q, err := x.checkSlow(ctx, at, kinds[0], answer)
		if err != nil {
			return err
		}
		t.slow[i] = q
		if q.refusal != "" || !q.result.OK && !q.result.Partial {
			return nil
		}
	}
	return nil
}

// bookOne settles one answer with whichever authenticator it is for.
func (x *examiner) bookOne(ctx context.Context, tx *store.Tx, at *attempt, t turn, i int, answer prompt.Answer) (verdict, directory.Account, error) {
	if q := t.slow[i]; q != nil {
		v, err := x.settle(ctx, tx, at, q)
		return v, q.account, err
	}
	kinds, err := x.aimed(ctx, tx, at, answer, t.opening)
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

// examined compares an answer with every kind that it may be for. Only the kind
// that it is right for is left, so that a code of one device is no wrong answer
// to another. Where it is wrong for all, each is charged; what they share was
// read before any charge, and so counts one wrong answer and not several.
func (x *examiner) examined(ctx context.Context, tx *store.Tx, at *attempt, kinds []string, answer prompt.Answer) ([]*question, error) {
	var out []*question
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
			return []*question{q}, nil
		}
		out = append(out, q)
	}
	return out, nil
}
