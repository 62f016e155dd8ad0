package signin

import (
	"context"
	"slices"
	"strconv"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/store"
	"countersign/internal/throttle"
	"countersign/internal/ticket"
)

// candidate is one answer on its way to one kind of authenticator: whose it
// would be, what it is compared with and who pays for a wrong one.
type candidate struct {
	answer      prompt.Answer
	kind        string
	how         authenticator.Authenticator
	account     directory.Account // zero for nobody
	credentials []directory.Credential
	all         []directory.Credential // the account's, in every state, if they were read
	budget      throttle.Budget        // without subjects where nothing can be guessed

	tx      *store.Tx // that it was prepared in, or nil
	refusal string    // refused without a check, for this reason
	charged bool      // the budget was spent before the check
	result  authenticator.Result
}

// examiner takes answers: whose they would be, whether they are right, and what
// a right or a wrong one changes.
type examiner struct {
	db          *store.DB
	people      *directory.Accounts
	credentials *directory.Credentials
	accounts    accounts
	owners      owners
	now         func() time.Time
	kinds       map[string]authenticator.Authenticator
	order       []authenticator.Authenticator // as they are offered
	setting     *setting
	digits      map[string]bool // kinds whose answers are digits
	throttle    *throttle.Throttle
	tickets     *ticket.Tickets
	openAt      string // see Parts.OpenAt
	// charging and hashing are the lines for slow checks.
	charging, hashing *throttle.Queue
}

func newExaminer(p Parts, j *judge, g *throttle.Throttle, t *ticket.Tickets) (*examiner, error) {
	digits, err := ofDigits(p.Authenticators, p.Now())
	if err != nil {
		return nil, err
	}
	return &examiner{db: p.DB, people: p.Accounts, credentials: p.Credentials, accounts: p.accounts(), owners: p.owners(), now: p.Now, kinds: j.kinds, order: p.Authenticators, setting: j.setting,
		digits: digits, throttle: g, tickets: t, openAt: p.OpenAt,
		// One more is charged than are hashed, so that the next is ready; and one more
		// of each that may go before it.
		charging: throttle.NewQueue(max(1, p.SlowChecks)+3, 1), hashing: throttle.NewQueue(p.SlowChecks, 0)}, nil
}

// prepare finds out whom an answer of this kind belongs to. Nothing about an
// unknown name differs but that there is nothing to compare with.
func (x *examiner) prepare(ctx context.Context, r store.Reader, at *attempt, kind string, answer prompt.Answer) (*candidate, error) {
	q := &candidate{answer: answer, kind: kind, how: x.kinds[kind]}
	q.tx, _ = r.(*store.Tx)
	if q.how == nil {
		q.refusal = "unknown-kind"
		return q, nil
	}
	account, err := x.whose(ctx, r, at, q)
	if err != nil {
		return nil, err
	}
	q.account = account
	if account.ID != 0 && q.credentials == nil {
		if q.all, err = x.accounts.credentialsOf(ctx, r, at, account.ID); err != nil {
			return nil, err
		}
		for _, c := range q.all {
			if c.Kind == kind && c.Status == directory.CredentialActive {
				q.credentials = append(q.credentials, c)
			}
		}
	}
	if q.restrictFirst(at); q.refusal != "" || !q.how.Describe().Guessable {
		return q, nil
	}
	q.budget, q.refusal, err = x.throttle.Read(ctx, r, at.requester(), q.target())
	if q.tx != nil && at.seen.tx == q.tx {
		at.seen.place = q.budget.Place()
	}
	return q, err
}

// whose returns the account that an answer is about: fixed by evidence, named
// by the answer itself, or named by what was typed. Nobody is no error.
func (x *examiner) whose(ctx context.Context, r store.Reader, at *attempt, q *candidate) (directory.Account, error) {
	account, err := x.claimed(ctx, r, at)
	if err != nil {
		return directory.Account{}, err
	}
	d, ok := q.how.(authenticator.Discoverer)
	if !ok || at.Account != 0 {
		return account, nil
	}
	handle, ok := d.Discover(q.answer)
	if !ok {
		return account, nil
	}
	all, err := x.credentials.AllOfHolder(ctx, r, q.kind, handle)
	if err != nil {
		return directory.Account{}, err
	}
	i := slices.IndexFunc(all, func(c directory.Credential) bool { return c.Kind == q.kind && c.Handle == handle })
	if i < 0 {
		return directory.Account{}, nil
	}
	c := all[i]
	if at.Name != "" && account.ID != c.Account {
		q.refusal = "other-account"
		return account, nil
	}
	if q.tx == nil && c.Status == directory.CredentialActive { // current reads whose it is, and whether these are still all
		q.credentials, q.all = []directory.Credential{c}, all
		return directory.Account{ID: c.Account}, nil
	}
	account, err = x.people.Get(ctx, r, c.Account)
	if err == nil && q.tx != nil {
		at.seen = seen{tx: q.tx, name: at.Name, account: account, credentials: all, known: true}
		err = q.tx.About(int64(account.ID))
	}
	return account, err
}

// claimed returns who the attempt is about so far; nobody is no error.
func (x *examiner) claimed(ctx context.Context, r store.Reader, at *attempt) (directory.Account, error) {
	account, err := x.accounts.person(ctx, r, at)
	if failure.ClassOf(err) == failure.NotFound {
		return directory.Account{}, nil
	}
	return account, err
}

// check runs the authenticator, unless the question is refused already. A
// refused slow one still takes its time, so that a lock cannot be told from a
// wrong answer.
func (q *candidate) check(ctx context.Context, x *examiner, at *attempt) error {
	known := q.comparable()
	if q.refusal != "" {
		if !q.how.Describe().Slow {
			return nil
		}
		known = nil
	}
	r, err := q.how.Check(ctx, known, at.memo(q.kind), q.answer, x.now())
	q.result = r
	return err
}

// comparable hands the credentials to the authenticator with their failures.
func (q *candidate) comparable() []authenticator.Credential {
	out := allGiven(q.credentials)
	for i, c := range q.credentials {
		if out[i].Failures = q.budget.Wrong(c.ID); q.charged {
			out[i].Failures--
		}
	}
	return out
}

// target is what a question is compared with.
func (q *candidate) target() throttle.Target {
	t := throttle.Target{Account: q.account.ID, Spelling: q.account.Spelling(), Kind: q.kind, Credentials: make([]assurance.CredentialID, len(q.credentials))}
	for i, c := range q.credentials {
		t.Credentials[i] = c.ID
	}
	return t
}

// shown is the credential that the result names; the zero one for none.
func (q *candidate) shown() directory.Credential {
	for _, c := range q.credentials {
		if c.ID == q.result.Credential {
			return c
		}
	}
	return directory.Credential{}
}

// checkSigned checks what nobody can guess, and so costs no budget.
func (x *examiner) checkSigned(ctx context.Context, at *attempt, kind string, answer prompt.Answer) (*candidate, error) {
	q, err := x.prepare(ctx, x.db, at, kind, answer)
	if err != nil {
		return nil, err
	}
	return q, q.check(ctx, x, at)
}

// checkSlow does what must not hold up a transaction: when it is its turn it
// spends the budget, in a transaction of its own, and then hashes.
func (x *examiner) checkSlow(ctx context.Context, at *attempt, kind string, answer prompt.Answer) (*candidate, error) {
	address, err := x.placeOf(ctx, at)
	if err != nil {
		return nil, err
	}
	address = address.Arrived(time.Now())
	leave, err := x.charging.Enter(ctx, address)
	if err != nil {
		return nil, err
	}
	defer leave()
	var q *candidate
	err = x.throttle.Confirm(ctx, func(heard bool) error {
		at.heard = at.heard || heard
		return x.db.HousekeepAhead(ctx, "guess.spend", x.comparing(at), func(tx *store.Tx) error {
			var err error
			q, err = x.prepare(ctx, tx, at, kind, answer)
			if err != nil || q.refusal != "" {
				return err
			}
			q.charged = true
			return x.throttle.Hold(ctx, tx, &q.budget)
		})
	})
	if err != nil {
		return nil, err
	}
	done, err := x.hashing.Enter(ctx, address)
	if err != nil {
		return nil, err
	}
	defer done()
	return q, q.check(ctx, x, at)
}

// placeOf is the place of an attempt in the admission queue for slow checks.
func (x *examiner) placeOf(ctx context.Context, at *attempt) (throttle.Position, error) {
	p, err := x.throttle.Position(ctx, x.db, at.origin())
	if err != nil || at.Browser == "" || p.Known() {
		return p, err
	}
	account, err := x.accounts.person(ctx, x.db, at)
	if failure.ClassOf(err) == failure.NotFound {
		return p, nil
	}
	if err == nil && x.throttle.Remembers(at.Browser, account.ID) {
		p = p.AsKnown()
	}
	return p, err
}

// verdict is what became of one answer.
type verdict struct {
	ok, partial    bool
	kind           string
	reason, detail string
}

// settle books what a check found, in the transaction that will also hold the
// decision: the once-key is spent, state and evidence are kept, or a wrong
// guess is charged.
func (x *examiner) settle(ctx context.Context, tx *store.Tx, at *attempt, q *candidate) (verdict, error) {
	r := q.result
	v := verdict{kind: q.kind, reason: q.refusal, detail: r.Detail}
	if q.refusal == "" && (r.OK || r.Partial) {
		fresh, err := x.credentials.Spend(ctx, tx, onceOf(r), x.now())
		if err != nil {
			return v, err
		}
		switch {
		case !fresh:
			v.reason = "replayed"
		case at.Account != 0 && at.Account != q.account.ID:
			v.reason = "other-account"
		default:
			v.ok, v.partial = r.OK, r.Partial
			return v, x.keep(ctx, tx, at, q)
		}
	}
	if q.refusal == "" && r.Used {
		// It may have been used before: then there is nothing left to use up.
		if _, err := x.credentials.Spend(ctx, tx, onceOf(r), x.now()); err != nil {
			return v, err
		}
		if err := x.rewrite(ctx, tx, at, q); err != nil {
			return v, err
		}
	}
	if v.reason == "" {
		v.reason = r.Reason
	}
	if v.reason == "" {
		v.reason = "wrong"
	}
	return v, x.miss(ctx, tx, at, q)
}

// onceOf is what a result says is taken once.
func onceOf(r authenticator.Result) directory.Once {
	return directory.Once{Credential: r.Credential, Key: r.Once, Alone: r.Next == nil && !r.Exhausted}
}

// rewrite stores the next state of the credential that a result is about.
func (x *examiner) rewrite(ctx context.Context, tx *store.Tx, at *attempt, q *candidate) error {
	r, was := q.result, q.shown()
	if was.ID == 0 {
		return failure.New(failure.Internal, "%s answered with a credential that it was not given", q.kind)
	}
	if r.Next == nil && !r.Exhausted {
		return nil
	}
	all, err := x.accounts.credentialsOf(ctx, tx, at, q.account.ID)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(c directory.Credential) bool { return c.ID == was.ID })
	if i < 0 || all[i].Version != was.Version { // by another answer, since a check ahead
		return failure.New(failure.Conflict, "The authenticator was used at the same moment; try again.")
	}
	c := all[i]
	if r.Next != nil {
		c.State = r.Next
	}
	if r.Exhausted {
		c.Status = directory.CredentialUsedUp
	}
	c.Used = x.now()
	if err := x.credentials.Answered(ctx, tx, c); err != nil {
		return err
	}
	at.wrote(c)
	return nil
}

// keep stores the credential's next state and, unless more is to come, appends
// the evidence.
func (x *examiner) keep(ctx context.Context, tx *store.Tx, at *attempt, q *candidate) error {
	r := q.result
	if err := x.rewrite(ctx, tx, at, q); err != nil {
		return err
	}
	if !r.OK {
		return x.refundHalf(ctx, tx, q)
	}
	if err := x.throttle.Refund(ctx, tx, q.budget, r.Credential, q.charged); err != nil {
		return err
	}
	at.Account, at.Name = q.account.ID, q.account.Name
	at.Evidence = assurance.Append(at.Evidence, assurance.Evidence{
		Account: q.account.ID, Kind: q.kind, Credential: r.Credential, Traits: r.Traits,
		Time: x.now(), Channel: at.Protocol, Bound: r.Bound, Act: at.act(x.setting.reading), Until: r.Until,
	})
	return nil
}

// refundHalf gives a partial answer back what a slow check was charged; what
// was wrong before it stays counted until the second half is right too.
func (x *examiner) refundHalf(ctx context.Context, tx *store.Tx, q *candidate) error {
	if !q.charged {
		return nil
	}
	return x.throttle.Refund(ctx, tx, q.budget, 0, true)
}

// miss charges a wrong guess, and closes what has had too many to where they came from.
func (x *examiner) miss(ctx context.Context, tx *store.Tx, at *attempt, q *candidate) error {
	if q.refusal != "" {
		return nil
	}
	if q.charged {
		tx.AfterCommit(func() { x.throttle.Decide(q.budget) })
		if err := x.throttle.Book(ctx, tx, &q.budget); err != nil {
			return err
		}
	} else if err := x.throttle.Charge(ctx, tx, &q.budget); err != nil {
		return err
	}
	from := at.sighting()
	q.budget.Detect(tx, from)
	if q.budget.FirstOfName() && !at.tallied { // or it may have been for another authenticator of the same name
		at.tallied = true
		if err := x.throttle.Sprayed(ctx, tx, from); err != nil {
			return err
		}
	}
	return x.wornOut(ctx, tx, at, q)
}

// accepted describes a piece of evidence in the audit log.
func (at *attempt) accepted(account directory.Account, v verdict) audit.Entry {
	en := at.entry(account, "evidence.accepted", "ok", "")
	en.Detail["authenticator"] = v.kind
	if v.partial {
		en.Event, en.Reason = "evidence.half", "second-code-wanted"
	}
	if n := len(at.Evidence); n > 0 && v.ok {
		en.Detail["traits"] = at.Evidence[n-1].Traits.String()
		en.Detail["credential"] = strconv.FormatInt(int64(at.Evidence[n-1].Credential), 10)
	}
	if v.detail != "" {
		en.Detail["detail"] = v.detail
	}
	return en
}

func (at *attempt) clone() *attempt {
	c := *at
	c.Evidence = slices.Clone(at.Evidence)
	c.Asked = slices.Clone(at.Asked)
	c.handle = slices.Clone(at.handle)
	return &c
}
