// Package enrollment adds, removes and names authenticators.
//
// It owns the guardrails of ATT&CK T1098.005: nothing is added or removed
// without a Grant for exactly that, every change is told to all addresses of
// the account, and a new authenticator is in quarantine for what is privileged.
// It does not decide who may (signin does) and knows no particular
// authenticator (they are handed in). Its one invariant: enrolling adds no
// evidence, because owning a new key is not having used it.
//
// It is in pieces, by who uses them: [Enrollments] adds, [Changes] is what owners do with
// what they have and [PINs] what stands in front of it, [AppPasswords] makes what devices come with,
// [Listing] tells; [Endings], [Passes],
// [Keys] and [Notices] are for changes of other rooms.
package enrollment

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/notify"
	"countersign/internal/outbox"
	"countersign/internal/prompt"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/throttle"
	"countersign/internal/ticket"
)

// Actions that a Grant must name. Their object is the kind to enroll, or the
// number of the authenticator.
const (
	Enroll = "authenticator.enroll"
	Remove = "authenticator.remove"
	Rename = "authenticator.rename"
	SetPIN = "authenticator.pin"
)

// Parts are what Enrollments are made of.
type Parts struct {
	DB          *store.DB
	Accounts    *directory.Accounts
	Credentials *directory.Credentials
	// Strangers counts what is refused to whoever has shown nothing.
	Strangers *signin.Strangers
	// Outbox takes the notices to people.
	Outbox *notify.Outbox
	// Tries count the replies to an offer.
	Tries    *throttle.Tries
	Tickets  *ticket.Tickets
	Sessions *session.Endings
	// Authenticators are all kinds; those that are Enrollers can be enrolled.
	Authenticators []authenticator.Authenticator
	// NewPass makes a temporary access pass: what the person types, and what is
	// kept.
	NewPass func(now time.Time, lifetime time.Duration) (string, authenticator.Enrolled, error)
	// NewKey makes an automation key in the same way.
	NewKey func(t KeyTerms) (string, authenticator.Enrolled, error)
	// NewAppPassword makes an app password in the same way.
	NewAppPassword func(application, service string) (string, authenticator.Enrolled, error)
	// PINs are what stands in front of codes.
	PINs PINKinds
	// Messages carries codes to what is enrolled by them.
	Messages *outbox.Messages
	// Spare refuses what would leave nobody who could administer.
	Spare func(ctx context.Context, r store.Reader, l signin.Loss) error
	// KeepsOut says whether a loss leaves its account with nothing to sign in with.
	KeepsOut func(ctx context.Context, r store.Reader, l signin.Loss) (bool, error)
	// Quarantine is for how long a new authenticator cannot approve what is
	// privileged, where the account had two factors before.
	Quarantine time.Duration
	Now        func() time.Time
}

// Pieces are what enrollment is made of. Whoever puts a server together hands each caller
// the piece that it needs. Each is safe for concurrent use.
type Pieces struct {
	Enrollments *Enrollments
	Listing     *Listing
	Changes     *Changes
	Endings     *Endings
	PINs        *PINs
	Passes      *Passes
	Keys        *Keys
	Notices     *Notices
	Languages   *Languages
	// AppPasswords is for owners' own pages.
	AppPasswords *AppPasswords
}

// New makes the pieces.
func New(p Parts) Pieces {
	return Pieces{
		Enrollments: newEnrollments(p), Listing: newListing(p), Changes: newChanges(p), Endings: newEndings(p),
		PINs: newPINs(p), Passes: newPasses(p), Keys: newKeys(p), Notices: newNotices(p), Languages: newLanguages(p), AppPasswords: newAppPasswords(p),
	}
}

// teller queues a notice to every address of an account: see [Notices.Tell].
type teller func(ctx context.Context, tx *store.Tx, account directory.Account, subject, what language.Sentence) error

// Enrollments takes what people set up, and what is handed to them.
type Enrollments struct {
	db          *store.DB
	people      *directory.Accounts
	credentials *directory.Credentials
	strangers   *signin.Strangers
	tries       *throttle.Tries
	tickets     *ticket.Tickets
	kind        func(kind string) authenticator.Authenticator // nil where there is none
	describe    func(c directory.Credential) Authenticator
	messages    *outbox.Messages
	endings     *Endings
	tell        teller
	quarantine  time.Duration
	now         func() time.Time
}

func newEnrollments(p Parts) *Enrollments {
	return &Enrollments{db: p.DB, people: p.Accounts, credentials: p.Credentials, strangers: p.Strangers, tries: p.Tries, tickets: p.Tickets,
		kind: kindList(p.Authenticators).of, describe: newListing(p).Describe, messages: p.Messages, endings: newEndings(p), tell: newNotices(p).Tell,
		quarantine: p.Quarantine, now: p.Now}
}

// Offer is what a page shows so that the person can enroll.
type Offer struct {
	Kind    string
	Prompt  prompt.Prompt
	Ticket  string // goes back to Finish; secret
	Expires time.Time
	// Ripe is from when on it would count for what is privileged, if it were set up now; zero
	// for at once.
	Ripe time.Time
}

// pending is what waits for the person's reply, sealed behind the ticket.
type pending struct {
	begun
	Kind    string
	Memo    authenticator.Memo
	Prompt  prompt.Prompt
	Attempt string
	Expires time.Time
	// First says that the account never had two factors, or gave them up, so that what
	// is enrolled now needs no quarantine.
	First bool
}

// codeLife is how long an enrollment may take (SP 800-63B-4 section 4.1.2.2:
// ten minutes at most).
const codeLife = 10 * time.Minute

const ticketKind = "enroll"

// Begin offers an authenticator of this kind. The grant must be for exactly
// this.
func (e *Enrollments) Begin(ctx context.Context, g signin.Grant, kind string) (Offer, error) {
	how, ok := e.kind(kind).(authenticator.Enroller)
	if !ok {
		return Offer{}, failure.New(failure.Invalid, "There is no authenticator of kind %q to set up.", clip(kind, 40))
	}
	if !g.Covers(signin.Self, Enroll, kind) {
		return Offer{}, failure.Refuse("other-action", "This needs a separate, recent sign-in.")
	}
	person, first, err := e.person(ctx, e.db, g.Account(), kind)
	if err != nil {
		return Offer{}, err
	}
	p, memo, err := how.Offer(person, e.now())
	if err != nil {
		return Offer{}, err
	}
	if err := e.openBinding(ctx, how, person, kind, memo); err != nil {
		return Offer{}, err
	}
	expires := e.now().Add(codeLife)
	b, err := json.Marshal(pending{begun: begunBy(g), Kind: kind, Memo: memo, Prompt: p, Attempt: g.Attempt(), Expires: expires, First: first})
	if err != nil {
		return Offer{}, err
	}
	secret, err := e.tickets.Issue(ctx, ticket.Spec{Kind: ticketKind, Owner: int64(g.Account()), Payload: b, Lifetime: codeLife})
	return Offer{Kind: kind, Prompt: p, Ticket: secret, Expires: expires, Ripe: e.ripe(first)}, err
}

// Resume shows an offer again, after a reload or a refused reply.
func (e *Enrollments) Resume(ctx context.Context, g signin.Grant, secret string) (Offer, error) {
	p, err := e.pending(ctx, g, secret)
	return Offer{Kind: p.Kind, Prompt: p.Prompt, Ticket: secret, Expires: p.Expires, Ripe: e.ripe(p.First)}, err
}

// ripe is until when what is set up now is in quarantine. What is first is in none.
func (e *Enrollments) ripe(first bool) time.Time {
	if first {
		return time.Time{}
	}
	return e.now().Add(e.quarantine)
}

func (e *Enrollments) pending(ctx context.Context, g signin.Grant, secret string) (pending, error) {
	var p pending
	t, err := e.tickets.Peek(ctx, ticketKind, secret)
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(t.Payload, &p); err != nil {
		return p, err
	}
	return p, p.continued(g)
}

// begun says who began what a ticket keeps, and in which session.
type begun struct {
	Account assurance.AccountID
	Session string
}

func begunBy(g signin.Grant) begun { return begun{g.Account(), g.Session()} }

// continued refuses whoever goes on with what another account or session began.
func (b begun) continued(g signin.Grant) error {
	if g.Application() != signin.Self || b != begunBy(g) {
		return failure.Refuse("other-session", "That was begun in another session; begin again.")
	}
	return nil
}

// person gathers what an authenticator may know of who enrolls, and whether the
// account never had two factors, or gave them up: to somebody who lost them to an
// attack what is new is new.
func (e *Enrollments) person(ctx context.Context, r store.Reader, id assurance.AccountID, kind string) (authenticator.Person, bool, error) {
	a, err := e.people.Get(ctx, r, id)
	if err != nil {
		return authenticator.Person{}, false, err
	}
	if err := a.Out(e.now()); err != nil {
		return authenticator.Person{}, false, err
	}
	rows, err := e.credentials.All(ctx, r, id)
	if err != nil {
		return authenticator.Person{}, false, err
	}
	mails, err := e.people.Mails(ctx, r, id)
	if err != nil {
		return authenticator.Person{}, false, err
	}
	p := authenticator.Person{Account: id, UserHandle: a.Handle, Name: a.Name, Display: a.Display, Mails: mails}
	for _, c := range rows {
		if c.Status == directory.CredentialActive && c.Kind == kind {
			p.Existing = append(p.Existing, authenticator.Credential{ID: c.ID, Account: id, Kind: kind, Label: c.Label, State: c.State, Handle: c.Handle, Created: c.Created})
		}
	}
	return p, directory.LacksTwoFactors(rows, e.now()), nil
}

// maxTries is how many replies one offer takes.
const maxTries = 5

// triesKept is how long tries are counted: longer than an offer is good.
const triesKept = time.Hour

// Finish takes the person's reply to an offer and keeps the authenticator. The
// grant is any current one of the same person in the same session. A reply that
// was understood and not accepted is an Invalid failure with a sentence on how
// to mend it, and the offer stands, five times.
func (e *Enrollments) Finish(ctx context.Context, g signin.Grant, secret string, answer prompt.Answer, label string) (Authenticator, error) {
	p, err := e.pending(ctx, g, secret)
	if err != nil {
		return Authenticator{}, err
	}
	if err := e.spendTry(ctx, p, secret); err != nil {
		return Authenticator{}, err
	}
	a := e.kind(p.Kind)
	how := a.(authenticator.Enroller)
	person, _, err := e.person(ctx, e.db, p.Account, p.Kind)
	if err != nil {
		return Authenticator{}, err
	}
	if _, ok := how.(authenticator.Binder); ok { // never what the browser says of the device
		if answer.Data, err = e.proposed(ctx, how, p); err != nil {
			return Authenticator{}, err
		}
	}
	enrolled, err := how.Accept(ctx, person, p.Memo, answer, e.now())
	var refused *authenticator.Refused
	if errors.As(err, &refused) {
		return Authenticator{}, e.refused(ctx, g, p, refused)
	}
	var another *authenticator.Another
	if errors.As(err, &another) {
		return Authenticator{}, e.another(ctx, g, p, secret, another)
	}
	if err != nil {
		return Authenticator{}, err
	}
	c := directory.Credential{Account: p.Account, Kind: p.Kind, Label: CleanLabel(label, enrolled.Label), Handle: enrolled.Handle, Traits: enrolled.Traits, State: enrolled.State}
	c.Quarantine = e.ripe(p.First)
	err = e.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		if _, err := e.tickets.TakeTx(ctx, tx, ticketKind, secret); err != nil {
			return err
		}
		c, err = e.keep(ctx, tx, g, p, c, enrolled)
		return err
	})
	if err != nil {
		return Authenticator{}, err
	}
	return e.describe(c), nil
}

// spendTry counts a reply before it is looked at.
func (e *Enrollments) spendTry(ctx context.Context, p pending, secret string) error {
	var count int
	err := e.db.Housekeep(ctx, "enroll.try", func(tx *store.Tx) (err error) {
		count, err = e.tries.Count(ctx, tx, "enroll/"+ticket.Name(secret), triesKept)
		return err
	})
	if err == nil && count > maxTries {
		return failure.Refuse("too-many-tries", "That was tried too often; begin again.")
	}
	return err
}

func (e *Enrollments) refused(ctx context.Context, g signin.Grant, p pending, r *authenticator.Refused) error {
	err := e.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		return tx.Record(audit.Entry{Event: "credential.refused", Outcome: "refused", Reason: r.Reason, Account: int64(p.Account), AccountName: g.Name(),
			Application: signin.Self, Protocol: g.Protocol(), Source: g.SourceText(), Attempt: p.Attempt, Detail: map[string]string{"authenticator": p.Kind}})
	})
	return errors.Join(err, &failure.Error{Class: failure.Invalid, Reason: r.Reason, Public: r.Public, Format: r.Said.Format, Args: r.Said.Args})
}

func (e *Enrollments) keep(ctx context.Context, tx *store.Tx, g signin.Grant, p pending, c directory.Credential, enrolled authenticator.Enrolled) (directory.Credential, error) {
	account, err := e.people.Get(ctx, tx, p.Account)
	if err != nil {
		return c, err
	}
	if err := account.Out(e.now()); err != nil {
		return c, err
	}
	if e.kind(c.Kind).Describe().Single {
		if err := e.endings.retire(ctx, tx, p.Account, c.Kind); err != nil {
			return c, err
		}
	}
	if c, err = e.credentials.Add(ctx, tx, c); err != nil {
		return c, err
	}
	// A credential made a moment ago has spent nothing before.
	if _, err := e.credentials.Spend(ctx, tx, directory.Once{Credential: c.ID, Key: enrolled.Once, Alone: true}, e.now()); err != nil {
		return c, err
	}
	en := entryOf(g, "credential.enrolled", c)
	if enrolled.Detail != "" {
		en.Detail["detail"] = enrolled.Detail
	}
	if e.kind(c.Kind).Describe().Traits.OnlyKnown() && !account.Risk.IsZero() {
		en.Detail["risk"] = "ended"
		if err := e.calm(ctx, tx, account.ID); err != nil {
			return c, err
		}
	}
	tx.Record(en)
	what := lettersNew
	if c.Traits.Has(assurance.Mailed) {
		what = lettersMailed
	}
	return c, e.tell(ctx, tx, account, language.Say("A new way to sign in was added to your account"),
		language.Say(what, language.Word(c.Label), language.Word(e.describe(c).Title), account.Name))
}

// What a new authenticator can be used for.
const (
	lettersNew    = "%q (%s) can be used to sign in as %s."
	lettersMailed = "%q (%s) can be used from tomorrow on, beside a recovery code, to get back in as %s."
)

// calm ends an account's risk: whoever set a new password knows what nobody else does.
func (e *Enrollments) calm(ctx context.Context, tx *store.Tx, id assurance.AccountID) error {
	account, err := e.people.Get(ctx, tx, id)
	if err != nil {
		return err
	}
	account.Risk = time.Time{}
	return e.people.Update(ctx, tx, account)
}

// entryOf is what the log says of a credential that its owner changed.
func entryOf(g signin.Grant, event string, c directory.Credential) audit.Entry {
	return audit.Entry{Event: event, Outcome: "ok", Account: int64(c.Account), AccountName: g.Name(), Application: signin.Self,
		Protocol: g.Protocol(), Source: g.SourceText(), Action: g.Action(), Attempt: g.Attempt(),
		Detail: map[string]string{"authenticator": c.Kind + "/" + strconv.FormatInt(int64(c.ID), 10), "label": c.Label, "traits": c.Traits.String()}}
}

// CleanLabel keeps what can be read: 60 characters at most, one line.
func CleanLabel(label, proposal string) string {
	s := strings.Join(strings.FieldsFunc(label, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.In(r, unicode.Cf) }), " ")
	if s == "" {
		s = proposal
	}
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60])
	}
	return strings.ToValidUTF8(s, "")
}

func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return s
}
