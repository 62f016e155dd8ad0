package signin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"countersign/internal/application"
	"countersign/internal/approval"
	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/language"
	"countersign/internal/notify"
	"countersign/internal/outbox"
	"countersign/internal/prompt"
	"countersign/internal/store"
	"countersign/internal/throttle"
	"countersign/internal/ticket"
)

// Parts are what an Engine is made of. Nothing keeps them as they are: whoever holds an
// Engine, or a piece of it, reaches none of them.
type Parts struct {
	DB           *store.DB
	Keys         *keyring.Keyring
	Accounts     *directory.Accounts
	Credentials  *directory.Credentials
	Milestones   *directory.Milestones
	Groups       *directory.Groups
	Applications *application.Catalogue
	Rules        *Rules
	// Authenticators in the order in which they are offered, strongest first.
	Authenticators []authenticator.Authenticator
	// Reading are the actions in Countersign itself that only look.
	Reading []string
	// Helping are those that the help desk may do as well as administrators.
	Helping []string
	// Lending are those that can be delegated to people of partners, and Mandates what was; nil is
	// nothing.
	Lending  []string
	Mandates Mandates
	// Comprising are those that do what others do, each with these others.
	Comprising map[string][]string
	// Sessions reads active sessions; nil where there are none.
	Sessions ActiveSessions
	Limits   throttle.Limits
	// Quiet are the quiet hours of accounts that have set none of their own.
	Quiet approval.QuietHours
	// SlowChecks is how many answers that are slow to check, as passwords are, are
	// checked at once; 1 unless set.
	SlowChecks int
	// OpenAt is the address of the page for links in mails about guesses, or empty.
	OpenAt string
	// ApproveAt is the address where sign-ins elsewhere are approved, as people
	// read it: "login.example.org/account/approve".
	ApproveAt string
	// Disown ends the sessions of an account and what waits for it, because its owner says in the app
	// that a sign-in was not theirs. It runs in the change that refuses it.
	Disown func(ctx context.Context, tx *store.Tx, d approval.Disowned) error
	Now    func() time.Time
	Log    *slog.Logger
	// Outbox takes the notices to people.
	Outbox *notify.Outbox
}

const day = 24 * time.Hour

// Engine decides. It is safe for concurrent use; all its state is in the store.
type Engine struct {
	db             *store.DB
	people         *directory.Accounts
	credentials    *directory.Credentials
	limits         throttle.Limits
	now            func() time.Time
	kinds          map[string]authenticator.Authenticator
	judge          *judge
	examiner       *examiner
	throttle       *throttle.Throttle
	attempts       *attempts
	sessions       *sessions
	checks         *checks
	keys           *keys
	endings        *endings
	grants         *grants
	messages       *outbox.Messages
	strangers      *Strangers
	road           *road
	elsewhere      *outOfBand
	settlements    *approval.Settlements
	codes          *sentCodes
	upkeep         *approval.Upkeep // of what is done on another device
	browsers       *browsers
	administration *administration
}

// Pieces are the engine, and what was made with it that others need: what is done on another
// device than the one that signs in, codes that are sent, and budgets. Whoever puts a server
// together hands on the one that is needed.
type Pieces struct {
	Engine    *Engine
	Prospects *Prospects
	Approvals *approval.Approvals
	Apps      *approval.Apps
	Pushes    *approval.Pushes
	Messages  *outbox.Messages
	// Strangers counts what is refused to whoever has shown nothing.
	Strangers *Strangers
	// Copies note that somebody has copied a session's cookie.
	Copies *Copies
	// Comings tells people who comes to an application as them.
	Comings *Comings
	// Tries are the budgets of what other rooms ask for.
	Tries *throttle.Tries
}

// New makes an Engine. It refuses limits that pass a ceiling and two
// authenticators of one kind. Each piece is given what it uses and keeps it to itself.
func New(p Parts) (Pieces, error) {
	var err error
	if p.Limits, err = p.Limits.Check(); err != nil {
		return Pieces{}, err
	}
	e := &Engine{db: p.DB, people: p.Accounts, credentials: p.Credentials, limits: p.Limits, now: p.Now, attempts: &attempts{db: p.DB, keys: p.Keys, now: p.Now},
		sessions: &sessions{p.Sessions}, strangers: newStrangers(p.DB, p.Now)}
	if e.kinds, err = byKind(p.Authenticators); err != nil {
		return Pieces{}, err
	}
	e.judge = newJudge(p, e.kinds)
	if e.throttle, err = throttle.New(p.DB, p.Keys, p.Limits, p.Now); err != nil {
		return Pieces{}, err
	}
	tickets := ticket.New(ticket.Parts{DB: p.DB, Keys: p.Keys, Now: p.Now})
	if e.examiner, err = newExaminer(p, e.judge, e.throttle, tickets); err != nil {
		return Pieces{}, err
	}
	e.browsers = &browsers{db: p.DB, people: p.Accounts, tickets: tickets, throttle: e.throttle}
	e.administration = &administration{credentials: p.Credentials, milestones: p.Milestones, groups: p.Groups, judge: e.judge, dormant: p.Limits.Dormant, now: p.Now}
	e.checks = &checks{db: p.DB, judge: e.judge, sessions: e.sessions, cache: &grantCache{view: p.DB.View()}, copies: &Copies{db: p.DB, owners: p.owners(), now: p.Now}, now: p.Now}
	made := Pieces{Engine: e, Prospects: &Prospects{p.DB.View(), e.judge, e.administration}, Strangers: e.strangers, Copies: e.checks.copies, Comings: newComings(p), Tries: e.throttle.Tries()}
	if err := e.makePieces(p, &made); err != nil {
		return Pieces{}, err
	}
	e.lead(p)
	return made, nil
}

// lead makes the road, and where it ends.
func (e *Engine) lead(p Parts) {
	e.endings = &endings{db: p.DB, people: p.Accounts, owners: p.owners(), throttle: e.throttle, attempts: e.attempts, strangers: e.strangers, now: p.Now}
	e.grants = &grants{people: p.Accounts, throttle: e.throttle, now: p.Now}
	e.road = &road{db: p.DB, limits: p.Limits, now: p.Now, kinds: e.kinds, judge: e.judge, examiner: e.examiner, throttle: e.throttle, attempts: e.attempts, sessions: e.sessions,
		elsewhere: e.elsewhere, codes: e.codes, strangers: e.strangers, endings: e.endings, grants: e.grants}
	e.keys = &keys{db: p.DB, examiner: e.examiner, judge: e.judge, endings: e.endings, road: e.road, now: p.Now}
}

// makePieces makes what is done on another device, and adds it to what was made.
func (e *Engine) makePieces(p Parts, made *Pieces) error {
	var err error
	if e.messages, err = outbox.New(outbox.Parts{DB: p.DB, Keys: p.Keys, Accounts: p.Accounts, Now: p.Now, Log: p.Log}); err != nil {
		return err
	}
	e.codes = &sentCodes{kinds: e.kinds, messages: e.messages, now: p.Now}
	owners := p.owners()
	there, err := approval.New(approval.Parts{DB: p.DB, Keys: p.Keys, Accounts: p.Accounts, Credentials: p.Credentials, Throttle: e.throttle, Limits: p.Limits, Kinds: e.kinds,
		Quiet: p.Quiet, ApproveAt: p.ApproveAt, Disown: p.Disown, Now: p.Now, Log: p.Log, SwitchOff: owners.switchOff, Bars: e.judge.setting.bars,
		CountStranger: e.strangers.Count, RecordStranger: e.strangers.record,
		Tell: func(ctx context.Context, tx *store.Tx, account directory.Account, subject, body language.Sentence) error {
			return owners.tell(ctx, tx, account, notice{subject, body})
		}})
	if err != nil {
		return err
	}
	made.Approvals, made.Apps, made.Pushes, made.Messages = there.Approvals, there.Apps, there.Pushes, e.messages
	e.settlements, e.upkeep = there.Settlements, there.Upkeep
	e.elsewhere = &outOfBand{reader: p.DB.View(), accounts: p.accounts(), rules: p.Rules, reading: p.Reading, approveAt: p.ApproveAt, now: p.Now, kinds: e.kinds,
		requests: there.Requests, pushes: there.Pushes, throttle: e.throttle}
	return nil
}

// byKind are authenticators by their kind. It refuses two of one kind.
func byKind(all []authenticator.Authenticator) (map[string]authenticator.Authenticator, error) {
	kinds := map[string]authenticator.Authenticator{}
	for _, a := range all {
		kind := a.Describe().Kind
		if _, twice := kinds[kind]; twice {
			return nil, fmt.Errorf("signin: two authenticators of kind %q", kind)
		}
		kinds[kind] = a
	}
	return kinds, nil
}

// bland is the one sentence for every refusal before a person has proved who
// they are: it tells nothing about names, passwords or locks.
const bland = "That did not work. Check what you typed and try again; if it keeps failing, ask your administrator."

// Begin starts an attempt and goes as far as the request's opening answers
// lead. The Step says what is missing. An error is a breakdown, and refuses.
func (e *Engine) Begin(ctx context.Context, r Request) (Step, error) {
	if r.Action == "" {
		r.Action = SignIn
	}
	r = bounded(r, e.kinds)
	at := &attempt{ID: newID(), Request: r, Created: e.now(), Deadline: e.now().Add(e.limits.Attempt)}
	at.Opening, at.Session = nil, ""
	if at.Action == Recover && !e.RecoversByCodes() {
		return e.endings.deny(ctx, at, "nothing-to-ask", nil) // before a saved code is used up for nothing
	}
	if r.Session != "" {
		held, err := e.held(ctx, r)
		switch {
		case err == nil:
			at.Account, at.SessionNumber, at.Session = held.Account, held.Number, r.Session
		case failure.ClassOf(err) != failure.Refused:
			return Step{}, err
		}
	}
	return e.road.advance(ctx, at, submission{answers: r.Opening, opening: true})
}

// held is what the session of a secret holds. That of an account that has ended is over:
// whoever sits there now is not kept from signing in.
func (e *Engine) held(ctx context.Context, r Request) (Held, error) {
	h, err := e.sessions.active(ctx, r.Session)
	if failure.ReasonOf(err) == OtherDevice {
		if broken := e.checks.copies.Note(ctx, h, r); broken != nil {
			return Held{}, broken
		}
	}
	if err != nil {
		return Held{}, err
	}
	if a, err := e.people.Get(ctx, e.db, h.Account); err == nil && a.Ended(e.now()) {
		return Held{}, failure.Refuse("no-session", bland)
	}
	return h, nil
}

// Answer takes a reply to a Step of State Ask. Once something was shown a ticket is
// good for one Answer; a used, unknown or late one, or one that another partner
// brings, is Denied.
func (e *Engine) Answer(ctx context.Context, ticket string, reply Reply) (Step, error) {
	reply.Answer = plain(reply.Answer, e.kinds)
	at, err := e.attempts.read(ctx, e.db, ticket)
	switch {
	case err != nil:
	case e.examiner.takesTime(at, reply):
		at, err = e.attempts.take(ctx, ticket)
	default:
		at.unused = at.handle != nil
	}
	if err != nil {
		return e.endings.strayTicket(reply, err)
	}
	step, err := e.answer(ctx, at, reply)
	if errors.Is(err, errUsedTicket) {
		return e.endings.strayTicket(reply, err)
	}
	return step, err
}

// takesTime reports whether a reply is worked on in more than one transaction, so
// that its ticket is taken before. Any other's is taken with what comes of it.
func (x *examiner) takesTime(at *attempt, reply Reply) bool {
	kinds, _ := x.candidatesByForm(at, reply.Answer, false)
	return looksElsewhere(at, reply.Answer) ||
		slices.ContainsFunc(kinds, func(kind string) bool { return x.kinds[kind] != nil && x.kinds[kind].Describe().Slow })
}

func (e *Engine) answer(ctx context.Context, at *attempt, reply Reply) (Step, error) {
	if at.Partner != reply.Partner {
		return e.endings.deny(ctx, at, "other-partner", nil)
	}
	if reply.Source.IsValid() {
		at.Source = reply.Source
	}
	at.Reading = reply.Reading
	if at.Tries++; at.Tries > e.limits.Tries {
		return e.endings.deny(ctx, at, "too-many-tries", nil)
	}
	if looksElsewhere(at, reply.Answer) {
		at.Transfers = true
		return e.road.advance(ctx, at, submission{})
	}
	if e.codes.wants(at, reply.Answer) {
		at.Sending = reply.Answer.Authenticator
		return e.road.advance(ctx, at, submission{})
	}
	return e.road.advance(ctx, at, submission{answers: []prompt.Answer{reply.Answer}})
}

// Poll returns the current Step again: after a reload, or while waiting. Its
// ticket replaces those before it and uses nothing up.
func (e *Engine) Poll(ctx context.Context, ticket string) (Step, error) {
	at, err := e.attempts.read(ctx, e.db, ticket)
	if err != nil {
		return e.endings.strayTicket(Reply{}, err)
	}
	step, err := e.road.advance(ctx, at, submission{})
	if errors.Is(err, errUsedTicket) {
		return e.endings.strayTicket(Reply{}, err)
	}
	return step, err
}

// Claim turns a Step of State Granted in a browser into its Grant, once. It
// decides again over the stored evidence, so that whatever changed since then
// counts. What is claimed must be what was begun.
func (e *Engine) Claim(ctx context.Context, ticket, applicationName, action, object string) (Grant, error) {
	if action == "" {
		action = SignIn
	}
	at, err := e.attempts.read(ctx, e.db, ticket)
	if err != nil {
		return Grant{}, err
	}
	if at.handle == nil && at.Once == "" { // nothing was shown, and nothing would be claimed once
		return Grant{}, e.endings.refuse(ctx, at, "not-enough")
	}
	if at.Application != applicationName || at.Action != action || at.Object != object {
		return Grant{}, e.endings.refuse(ctx, at, "other-action")
	}
	app, err := e.judge.application(ctx, at.Application)
	if err != nil {
		return Grant{}, err
	}
	held, err := e.sessions.heldBy(ctx, at)
	if err != nil {
		return Grant{}, err
	}
	var g Grant
	err = e.db.ChangeAhead(ctx, at.actor(), e.judge.deciding(at.Account), func(tx *store.Tx) error {
		g = Grant{}
		at := at.clone()
		if err := e.attempts.drop(ctx, tx, at); err != nil {
			return err
		}
		d, err := e.judge.decide(ctx, tx, at, app, held)
		if err != nil {
			return err
		}
		if d.state != Granted {
			tx.Record(at.entry(d.account, "signin.refused", "refused", "not-enough"))
			return store.Keep(failure.Refuse("not-enough", bland))
		}
		g, err = e.grants.grant(ctx, tx, at, d)
		return err
	})
	return g, err
}

// RecoversByCodes reports whether anybody can get back in by two codes here
// ([Recover]), whatever policy says of it.
func (e *Engine) RecoversByCodes() bool { return e.judge.setting.recoversByCodes() }

// endings write down what ends without a yes.
type endings struct {
	db        *store.DB
	people    *directory.Accounts
	owners    owners
	throttle  *throttle.Throttle
	attempts  *attempts
	strangers *Strangers
	now       func() time.Time
}

// refuse records a refusal of a known attempt and returns it as a failure.
func (n *endings) refuse(ctx context.Context, at *attempt, reason string) error {
	if _, err := n.deny(ctx, at, reason, nil); err != nil {
		return err
	}
	return failure.Refuse(reason, bland)
}

// deny ends an attempt: the row goes, the entry stays.
func (n *endings) deny(ctx context.Context, at *attempt, reason string, cause error) (Step, error) {
	if cause != nil && failure.ClassOf(cause) == failure.Internal {
		return Step{}, cause
	}
	err := n.db.Change(ctx, at.actor(), func(tx *store.Tx) error {
		return n.end(ctx, tx, at, reason)
	})
	if err != nil {
		return Step{}, err
	}
	return at.denied(reason), nil
}

// end records a denial in a transaction. What was right and came to nothing is
// an event of its own: the password was right and the factor is missing.
func (n *endings) end(ctx context.Context, tx *store.Tx, at *attempt, reason string) error {
	if err := n.attempts.forget(ctx, tx, at); err != nil {
		return err
	}
	var account directory.Account
	if at.Account != 0 {
		a, err := n.people.Get(ctx, tx, at.Account)
		if err != nil && failure.ClassOf(err) != failure.NotFound {
			return err
		}
		account = a
	}
	if err := n.record(tx, at, at.entry(account, "signin.refused", "refused", reason)); err != nil || len(at.Evidence) == 0 {
		return err
	}
	return n.factorMissing(ctx, tx, at, account, reason)
}

// record writes down a refusal. Of whoever has shown nothing, here or in a session,
// only so many have an entry of their own.
func (n *endings) record(tx *store.Tx, at *attempt, en audit.Entry) error {
	if at.strange() {
		return n.strangers.record(tx, en)
	}
	return tx.Record(en)
}

// strange reports whether nobody knows who is behind an attempt: nothing was shown,
// neither here nor in a session.
func (at *attempt) strange() bool {
	return len(at.Evidence) == 0 && at.SessionNumber == "" && !at.Delegated
}

func (at *attempt) denied(reason string) Step {
	return Step{State: Denied, Public: bland, Attempt: at.ID, Reason: reason}
}

// strayTicket answers a ticket that leads nowhere. Anybody can make one up, so that it
// is only counted.
func (n *endings) strayTicket(reply Reply, cause error) (Step, error) {
	if failure.ClassOf(cause) != failure.Refused {
		return Step{}, cause
	}
	reason := failure.ReasonOf(cause)
	n.strangers.Count(audit.Entry{Event: "signin.refused", Reason: reason, Source: audit.AddressText(reply.Source)})
	return Step{State: Denied, Public: bland, Reason: reason}, nil
}

// sessions read what active sessions hold.
type sessions struct{ held ActiveSessions }

func (s *sessions) active(ctx context.Context, secret string) (Held, error) {
	if s.held == nil {
		return Held{}, failure.Refuse("no-sessions", bland)
	}
	return s.held.Active(ctx, secret)
}

// heldBy reads again what the attempt's session holds. A session that ended
// meanwhile holds nothing; that it is gone is not a breakdown.
func (s *sessions) heldBy(ctx context.Context, at *attempt) ([]assurance.Evidence, error) {
	if at.Session == "" {
		return nil, nil
	}
	held, err := s.active(ctx, at.Session)
	if failure.ClassOf(err) == failure.Refused {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if held.Account != at.Account {
		return nil, nil
	}
	at.bound = held.Bound || held.Binding
	return held.Evidence, nil
}

func (at *attempt) actor() audit.Actor {
	name := at.Name
	switch {
	case name == "" && at.SessionNumber != "":
		name = "session " + at.SessionNumber
	case name == "":
		name = "somebody" // a passkey names its owner only once it is checked
	}
	return audit.Actor{Account: int64(at.Account), Name: name, Via: at.Protocol}
}

// entry writes down one decision.
func (at *attempt) entry(account directory.Account, event, outcome, reason string) audit.Entry {
	name := account.Name
	if name == "" {
		name = at.Name
	}
	en := audit.Entry{
		Event: event, Outcome: outcome, Reason: reason, Account: int64(account.ID), AccountName: name,
		Application: at.Application, Protocol: at.Protocol, Source: audit.AddressText(at.Source), Attempt: at.ID,
		Detail: map[string]string{},
	}
	if at.Action != SignIn {
		en.Action = at.Action
		en.Detail["object"] = at.Object
	}
	if at.Partner != "" {
		en.Detail["partner"] = at.Partner
	}
	if account.Partner != "" {
		en.Detail["of-partner"] = account.Partner
	}
	if at.Path != "" {
		en.Detail["path"] = at.Method + " " + at.Path
	}
	if at.SessionNumber != "" {
		en.Detail["session"] = at.SessionNumber
	}
	return en
}
