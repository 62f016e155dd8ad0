package signin

import (
	"context"

	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
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

// advance checks the answers, books them, decides, and writes all of it in one
// transaction. It returns the step that follows.
func (e *Engine) advance(ctx context.Context, at *attempt, t turn) (Step, error) {
	var err error
	if t.app, err = e.judge.application(ctx, at.Application); err != nil {
		return e.deny(ctx, at, failure.ReasonOf(err), err)
	}
	if t.held, err = e.heldBy(ctx, at); err != nil {
		return Step{}, err
	}
	if len(t.answers) == 0 {
		return e.unanswered(ctx, at, t)
	}
	if err := e.runSlow(ctx, at, &t); err != nil {
		return Step{}, err
	}
	var step Step
	err = e.DB.Change(ctx, at.actor(), func(tx *store.Tx) error {
		next := at.clone()
		var err error
		step, err = e.book(ctx, tx, next, t)
		return err
	})
	return step, err
}

// unanswered decides without an answer. Asking a first question grants nothing
// and changes nothing that matters, so it costs no audit entry.
func (e *Engine) unanswered(ctx context.Context, at *attempt, t turn) (Step, error) {
	answered, err := e.elsewhere.answered(ctx, at)
	if err != nil {
		return Step{}, err
	}
	d, err := e.judge.decide(ctx, e.DB, at, t.app, t.held)
	if err != nil {
		return Step{}, err
	}
	var step Step
	run := func(tx *store.Tx) error {
		next := at.clone()
		reason, err := e.elsewhere.take(ctx, tx, next)
		if err != nil {
			return err
		}
		if reason != "" {
			step = next.denied(reason)
			return e.end(ctx, tx, next, reason)
		}
		d, err := e.judge.decide(ctx, tx, next, t.app, t.held)
		if err != nil {
			return err
		}
		step, err = e.follow(ctx, tx, next, d)
		return err
	}
	if !answered && (d.state == Ask || d.state == Granted && at.browser()) {
		err = e.DB.Housekeep(ctx, "attempt.ask", run)
	} else {
		err = e.DB.Change(ctx, at.actor(), run)
	}
	return step, err
}

// runSlow checks what is slow, one after the other, and stops at the first that
// is wrong: the rest would be refused anyway.
func (e *Engine) runSlow(ctx context.Context, at *attempt, t *turn) error {
	t.slow = map[int]*question{}
	for i, answer := range t.answers {
		shaped, _, err := e.examiner.shaped(at, answer, t.opening)
		if err != nil {
			return err
		}
		if !e.examiner.anySlow(shaped) {
			continue
		}
		kinds, err := e.examiner.aimed(ctx, e.DB, at, answer, t.opening)
		if err != nil {
			return err
		}
		if len(kinds) != 1 || e.kinds[kinds[0]] == nil || !e.kinds[kinds[0]].Describe().Slow {
			continue
		}
		q, err := e.examiner.checkSlow(ctx, at, kinds[0], answer)
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

// book settles every answer in turn and then follows the decision.
func (e *Engine) book(ctx context.Context, tx *store.Tx, at *attempt, t turn) (Step, error) {
	var partial string
	for i, answer := range t.answers {
		v, account, err := e.bookOne(ctx, tx, at, t, i, answer)
		if err != nil {
			return Step{}, err
		}
		if !v.ok && !v.partial {
			return e.followWrong(ctx, tx, at, t, v, account)
		}
		if v.partial {
			partial = v.kind
		}
		tx.Record(at.accepted(account, v))
	}
	d, err := e.judge.decide(ctx, tx, at, t.app, t.held)
	if err != nil {
		return Step{}, err
	}
	if partial != "" && d.state == Ask {
		d.partial = partial
	}
	return e.follow(ctx, tx, at, d)
}

// bookOne settles one answer with whichever authenticator it is for.
func (e *Engine) bookOne(ctx context.Context, tx *store.Tx, at *attempt, t turn, i int, answer prompt.Answer) (verdict, directory.Account, error) {
	if q := t.slow[i]; q != nil {
		v, err := e.examiner.settle(ctx, tx, at, q)
		return v, q.account, err
	}
	kinds, err := e.examiner.aimed(ctx, tx, at, answer, t.opening)
	if err != nil {
		return verdict{}, directory.Account{}, err
	}
	v := verdict{reason: "not-asked"}
	var account directory.Account
	questions, err := e.examined(ctx, tx, at, kinds, answer)
	for i := 0; i < len(questions) && err == nil; i++ {
		account = questions[i].account
		v, err = e.examiner.settle(ctx, tx, at, questions[i])
	}
	return v, account, err
}

// examined compares an answer with every kind that it may be for. Only the kind
// that it is right for is left, so that a code of one device is no wrong answer
// to another. Where it is wrong for all, each is charged; what they share was
// read before any charge, and so counts one wrong answer and not several.
func (e *Engine) examined(ctx context.Context, tx *store.Tx, at *attempt, kinds []string, answer prompt.Answer) ([]*question, error) {
	var out []*question
	for _, kind := range kinds {
		q, err := e.examiner.prepare(ctx, tx, at, kind, answer)
		if err != nil {
			return nil, err
		}
		if q.how != nil {
			if err := q.check(ctx, e.examiner, at); err != nil {
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

// followWrong ends the attempt where wrong answers cannot be mended in place,
// and asks again where they can.
func (e *Engine) followWrong(ctx context.Context, tx *store.Tx, at *attempt, t turn, v verdict, account directory.Account) (Step, error) {
	en := at.entry(account, "answer.refused", "refused", v.reason)
	en.Detail["authenticator"] = v.kind
	if v.detail != "" {
		en.Detail["detail"] = v.detail
	}
	if !at.browser() || at.Tries >= e.Limits.Tries {
		en.Event = "signin.refused"
		tx.Record(en)
		if len(at.Evidence) > 0 {
			if err := e.factorMissing(ctx, tx, at, account, v.reason); err != nil {
				return Step{}, err
			}
		}
		return at.denied(v.reason), e.attempts.forget(ctx, tx, at)
	}
	tx.Record(en)
	d, err := e.judge.decide(ctx, tx, at, t.app, t.held)
	if err != nil {
		return Step{}, err
	}
	step, err := e.follow(ctx, tx, at, d)
	if step.State == Ask {
		step.Again, step.Public = true, bland
	}
	step.Reason = v.reason
	return step, err
}

// follow turns a decision into the step, and writes what the step needs.
func (e *Engine) follow(ctx context.Context, tx *store.Tx, at *attempt, d decision) (Step, error) {
	step := Step{State: d.state, Attempt: at.ID, Deadline: at.Deadline}
	switch d.state {
	case Granted:
		if !at.browser() {
			g, err := e.grant(ctx, tx, at, d)
			step.Grant = g
			return step, err
		}
		at.Asked = nil
	case Ask:
		prompts, err := e.ask(ctx, tx, at, d)
		if err != nil {
			return Step{}, err
		}
		if step.Prompts = prompts; len(prompts) == 0 {
			step = at.denied("nothing-to-ask")
			return step, e.end(ctx, tx, at, "nothing-to-ask")
		}
		if elsewhereOnly(at, prompts) {
			step.State = Wait
		}
	default:
		step.State, step.Public, step.Reason = Denied, d.public, d.reason
		if step.Public == "" {
			step.Public = bland
		}
		if err := e.end(ctx, tx, at, d.reason); err != nil {
			return Step{}, err
		}
		return step, nil
	}
	if err := e.attempts.save(ctx, tx, at); err != nil {
		return Step{}, err
	}
	step.Ticket = at.ticket()
	return step, nil
}

// ask puts the questions of a decision and remembers their memos.
func (e *Engine) ask(ctx context.Context, tx *store.Tx, at *attempt, d decision) ([]prompt.Prompt, error) {
	at.Asked = nil
	var out []prompt.Prompt
	for _, kind := range d.kinds {
		if kind == Elsewhere {
			p, offered, err := e.elsewhere.ask(ctx, tx, at)
			if err != nil {
				return nil, err
			}
			if offered {
				out = append(out, p)
			}
			continue
		}
		q := question{credentials: d.credentials[kind], kind: kind}
		p, memo, err := e.kinds[kind].Ask(q.comparable(), e.Now())
		if err != nil {
			return nil, err
		}
		if kind == d.partial {
			p.Label, p.Hint = "The next code", "That code was right. To be sure, wait for the next one and type it."
		}
		at.Asked = append(at.Asked, asked{Kind: kind, Memo: memo})
		out = append(out, p)
	}
	return out, nil
}
