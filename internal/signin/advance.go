package signin

import (
	"context"
	"slices"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/prompt"
	"countersign/internal/store"
	"countersign/internal/throttle"
)

// road is the way of an attempt from its answers to the step that follows.
type road struct {
	db        *store.DB
	limits    throttle.Limits
	now       func() time.Time
	kinds     map[string]authenticator.Authenticator
	judge     *judge
	examiner  *examiner
	throttle  *throttle.Throttle
	attempts  *attempts
	sessions  *sessions
	elsewhere *outOfBand
	codes     *sentCodes
	strangers *Strangers
	endings   *endings
	grants    *grants
}

// advance checks the answers, books them, decides, and writes all of it in one
// transaction. It returns the step that follows.
func (y *road) advance(ctx context.Context, at *attempt, t submission) (Step, error) {
	var err error
	if t.app, err = y.judge.application(ctx, at.Application); err != nil {
		return y.endings.deny(ctx, at, failure.ReasonOf(err), err)
	}
	if t.held, err = y.sessions.heldBy(ctx, at); err != nil {
		return Step{}, err
	}
	if len(t.answers) == 0 {
		return y.unanswered(ctx, at, t)
	}
	if err := y.examiner.checkAhead(ctx, at, &t); err != nil {
		return Step{}, err
	}
	var step Step
	asks := y.examiner.asks(at, t)
	err = y.throttle.Confirm(ctx, func(heard bool) error {
		at.heard = at.heard || heard
		return y.db.ChangeAhead(ctx, at.actor(), asks, func(tx *store.Tx) error {
			next := at.clone()
			var err error
			step, err = y.book(ctx, tx, next, t)
			return err
		})
	})
	return step, err
}

// unanswered decides without an answer. Asking a first question grants nothing
// and changes nothing, so it costs neither a transaction nor an audit entry.
func (y *road) unanswered(ctx context.Context, at *attempt, t submission) (Step, error) {
	request, err := y.elsewhere.request(ctx, at)
	if err != nil {
		return Step{}, err
	}
	answered := request != nil && !request.Unanswered()
	d, err := y.judge.decide(ctx, y.db, at, t.app, t.held)
	if err != nil {
		return Step{}, err
	}
	if !y.codes.sends(at, d) {
		if step, fits, err := y.unkept(ctx, at.clone(), d); err != nil || fits {
			return step, err
		}
	}
	var step Step
	asks := !answered && !y.codes.sends(at, d) && (d.state == Ask || d.state == Granted && at.browser())
	err = y.db.Change(ctx, at.actor(), func(tx *store.Tx) error {
		if asks { // no entry, unless nothing can be asked after all
			tx.Unrecorded()
		}
		next := at.clone()
		reason, err := y.elsewhere.take(ctx, tx, next)
		if err != nil {
			return err
		}
		if reason != "" {
			step = next.denied(reason)
			return y.endings.end(ctx, tx, next, reason)
		}
		d, err := y.judge.decide(ctx, tx, next, t.app, t.held)
		if err != nil {
			return err
		}
		step, err = y.follow(ctx, tx, next, d)
		return err
	})
	return step, err
}

// unkept puts first questions, and grants what a session holds already, without writing
// anything. It reports whether the attempt fits in its ticket; of one that does not, or
// of whom nothing can be asked, nothing was done.
func (y *road) unkept(ctx context.Context, at *attempt, d decision) (step Step, fits bool, err error) {
	if !at.travels(d.state) {
		return Step{}, false, nil
	}
	step = at.stepOf(d)
	at.Asked = nil
	if d.state == Ask {
		step.Prompts, err = y.ask(ctx, nil, at, d)
		if err != nil || len(step.Prompts) == 0 {
			return Step{}, false, err
		}
	}
	step.Ticket, fits, err = y.attempts.seal(at)
	return step, fits, err
}

// book settles every answer in turn and then follows the decision.
func (y *road) book(ctx context.Context, tx *store.Tx, at *attempt, t submission) (Step, error) {
	var partial string
	for i, answer := range t.answers {
		v, account, err := y.examiner.bookOne(ctx, tx, at, t, i, answer)
		if err != nil {
			return Step{}, err
		}
		if !v.ok && !v.partial {
			return y.followWrong(ctx, tx, at, t, v, account)
		}
		if v.partial {
			partial = v.kind
		}
		tx.Record(at.accepted(account, v))
	}
	d, err := y.judge.decide(ctx, tx, at, t.app, t.held)
	if err != nil {
		return Step{}, err
	}
	if partial != "" && d.state == Ask {
		d.partial = partial
	}
	return y.follow(ctx, tx, at, d)
}

// followWrong ends the attempt where wrong answers cannot be mended in place,
// and asks again where they can.
func (y *road) followWrong(ctx context.Context, tx *store.Tx, at *attempt, t submission, v verdict, account directory.Account) (Step, error) {
	en := at.entry(account, "answer.refused", "refused", v.reason)
	en.Detail["authenticator"] = v.kind
	if v.detail != "" {
		en.Detail["detail"] = v.detail
	}
	if !at.browser() || at.Tries >= y.limits.Tries {
		en.Event = "signin.refused"
		if err := y.endings.record(tx, at, en); err != nil {
			return Step{}, err
		}
		if len(at.Evidence) > 0 {
			if err := y.endings.factorMissing(ctx, tx, at, account, v.reason); err != nil {
				return Step{}, err
			}
		}
		return at.denied(v.reason), y.attempts.forget(ctx, tx, at)
	}
	if err := y.endings.record(tx, at, en); err != nil {
		return Step{}, err
	}
	d, err := y.judge.decide(ctx, tx, at, t.app, t.held)
	if err != nil {
		return Step{}, err
	}
	step, err := y.follow(ctx, tx, at, d)
	if step.State == Ask {
		step.Again, step.Public = true, bland
	}
	step.Reason = v.reason
	return step, err
}

// stepOf is what a decision comes to, before what it takes was written.
func (at *attempt) stepOf(d decision) Step {
	return Step{State: d.state, Attempt: at.ID, Deadline: at.Deadline, Person: d.account.Name,
		Partly: d.state == Ask && assurance.Union(at.Evidence)&(assurance.Known|assurance.Held) != 0}
}

// follow turns a decision into the step, and writes what the step needs.
func (y *road) follow(ctx context.Context, tx *store.Tx, at *attempt, d decision) (Step, error) {
	step := at.stepOf(d)
	switch d.state {
	case Granted:
		if !at.browser() {
			g, err := y.grants.grant(ctx, tx, at, d)
			if err == nil {
				err = y.attempts.forget(ctx, tx, at)
			}
			step.Grant = g
			return step, err
		}
		at.Asked = nil
	case Ask:
		prompts, err := y.ask(ctx, tx, at, d)
		if err != nil {
			return Step{}, err
		}
		if step.Prompts = prompts; len(prompts) == 0 {
			step = at.denied("nothing-to-ask")
			if slices.Contains(d.kinds, OutOfBand) { // nothing else is set up
				step = at.denied("approval-not-now")
				step.says(language.Say("Another sign-in waits for approval, or too many were not answered. Try again in a few minutes."))
			}
			return step, y.endings.end(ctx, tx, at, step.Reason)
		}
		if elsewhereOnly(at, prompts) {
			step.State = Wait
		}
	default:
		step.State, step.Reason = Denied, d.reason
		step.says(d.told())
		if err := y.endings.end(ctx, tx, at, d.reason); err != nil {
			return Step{}, err
		}
		return step, nil
	}
	return y.keepGoing(ctx, tx, at, step)
}

// keepGoing gives a step the ticket of its attempt: sealed where nothing was shown, or
// where the first answer was enough, and that of a row otherwise. So is what is too long
// for a ticket, if a session, evidence or a shared secret stands behind it: a stranger's
// is refused.
func (y *road) keepGoing(ctx context.Context, tx *store.Tx, at *attempt, step Step) (Step, error) {
	if once := at.Once; at.travels(step.State) {
		ticket, fits, err := y.attempts.seal(at)
		if step.Ticket = ticket; err != nil || fits {
			return step, err
		}
		at.Once = once
		if step.State == Ask && at.Account == 0 && !(at.Carries > 0 && y.strangers.roomFor(at.Partner)) {
			step = at.denied("too-long")
			step.says(language.Say("The address of the page that you want is too long. Open the first page of the site instead."))
			return step, y.endings.end(ctx, tx, at, step.Reason)
		}
	}
	if err := y.attempts.save(ctx, tx, at); err != nil {
		return Step{}, err
	}
	step.Ticket = at.ticket()
	return step, nil
}

// The hints where a second code is to show that the first was no chance hit.
const (
	nextCode        = "That code was right. To be sure, wait for the next one and type it."
	nextCodeWithPIN = "That was right. To be sure, wait for the next code and type it, behind the PIN again."
)

// ask puts the questions of a decision and remembers their memos.
func (y *road) ask(ctx context.Context, tx *store.Tx, at *attempt, d decision) ([]prompt.Prompt, error) {
	at.Asked = nil
	var out []prompt.Prompt
	for _, kind := range d.kinds {
		if kind == OutOfBand {
			p, offered, err := y.elsewhere.ask(ctx, tx, at)
			if err != nil {
				return nil, err
			}
			if offered {
				out = append(out, p)
			}
			continue
		}
		if y.codes.sender(kind) != nil && len(d.credentials[kind]) > 0 {
			p, memo, offered, err := y.codes.ask(ctx, tx, at, kind, d.credentials[kind])
			if err != nil {
				return nil, err
			}
			if offered {
				at.Asked = append(at.Asked, asked{Kind: kind, Memo: memo})
				out = append(out, p)
			}
			continue
		}
		p, memo, err := y.kinds[kind].Ask(allGiven(d.credentials[kind]), y.now())
		if err != nil {
			return nil, err
		}
		if kind == d.partial {
			p = p.Saying(language.Say("The next code"))
			p.Hint = nextCode
			if p.Kind == prompt.Secret {
				p = p.Saying(language.Say("PIN and the next code"))
				p.Hint = nextCodeWithPIN
			}
		}
		at.Asked = append(at.Asked, asked{Kind: kind, Memo: memo})
		out = append(out, p)
	}
	return out, nil
}
