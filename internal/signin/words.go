// Package signin is the engine: the one road to yes.
//
// It owns the Attempt, the Step and the Grant; guess budgets, single use,
// decoys and deadlines; and the audit entry of every decision. It does not know
// any protocol, any page or any particular authenticator: protocols hand in a
// [Request] and switch on the [Step], authenticators are handed in. Its
// neighbours are policy (how much is demanded) and assurance (what is missing).
//
// Its one invariant: nothing outside this package can make a [Grant], and every
// verb that gives one ends in the same private function, decide.
package signin

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"countersign/internal/approval"
	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/policy"
	"countersign/internal/prompt"
)

// Self is the name of the built-in application that is Countersign's own
// portal, console and admin API.
const Self = audit.Self

// OutOfBand is the kind of a prompt that is answered on another device.
const OutOfBand = approval.OutOfBand

// Approve is the action of approving a sign-in elsewhere, and SetQuiet that of setting one's
// own quiet hours.
const Approve, SetQuiet = approval.Approve, approval.SetQuiet

// SignIn is the action of an ordinary sign-in. An empty Request.Action means it.
const SignIn = approval.SignIn

// CommandLine is the action of a command line that signs in as its person.
const CommandLine = "command-line.sign-in"

// Recover is the action of asking to get back in by two codes. What it leads to is a
// recovery that waits, not a session.
const Recover = "account.recover"

// AnyMethod is the method of a request that an application may take for one of
// any method: policy demands what the strictest of them would.
const AnyMethod = policy.AnyMethod

// AnyPath is the path of a request that programs may read in several ways: policy denies it
// where a rule would depend on the path.
const AnyPath = policy.AnyPath

// Request says who wants what, by which protocol, from where. A protocol fills
// in what it saw and nothing that it concluded.
type Request struct {
	// Application is the name of what is to be signed in to; unknown names are
	// refused. Action and Object are what is to be done: "account.create" and
	// the exact text that the person approves. The Grant serves only them.
	Application    string
	Action, Object string
	// Name is who they claim to be, as typed; empty when not asked yet.
	Name string
	// Session is the secret of an active session, or empty. The engine reads
	// for itself what the session holds.
	Session string
	// Source is the address of the person (not of a proxy or of equipment,
	// where the protocol can tell); zero when unknown.
	Source netip.Addr
	// Browser is what the browser keeps since somebody was let in there
	// ([Engine.Remember]), or empty.
	Browser string `json:",omitempty"`
	// Protocol is the channel's word: "browser", "forward-auth", "radius".
	Protocol string
	// Medium is what the protocol can play.
	Medium prompt.Medium
	// Method and Path are the HTTP request's, for policy; else empty. The method
	// is AnyMethod where the request names a second one, the path AnyPath where it has no
	// one reading.
	Method, Path string
	// Raise is a client's wish that can only raise what policy demands, or nil.
	Raise *assurance.Requirement
	// Since is a client's wish that nothing counts which was shown before that moment;
	// zero is no wish. So somebody who has a session proves again all that is demanded.
	Since time.Time
	// Opening are answers that came with the request, in order: a typed
	// password, a code. An Answer whose Authenticator is AnyCode goes to
	// whichever code the account has.
	Opening []prompt.Answer
	// CodeAlone says that the protocol asks for a code and nothing before it, because
	// whatever asks has checked that already. Everywhere else a code counts only
	// once what stands before it was right. It says something of Opening alone.
	CodeAlone bool `json:"-"`
	// Partner is the equipment or client that asks ("nas-7"), for the audit log
	// and, where set, bound to the attempt: an Answer must come by the same.
	Partner string
	// Reading is what a person reads of Action and Object where they approve them on
	// another device; nil shows the two. It decides nothing, and one that is of something
	// else is not shown. It is kept with what waits for that approval alone.
	Reading *prompt.Reading `json:"-"`
	// Carries is how many octets the protocol can carry of a ticket, where that is
	// fewer than a cookie.
	Carries int `json:"-"`
}

// AnyCode in Answer.Authenticator stands for any typed code that the account
// has enrolled.
const AnyCode = "code"

// Reply answers a Step of State Ask.
type Reply struct {
	Answer prompt.Answer
	// Source and Partner are where the answer came from. A Partner other than
	// the attempt's refuses.
	Source  netip.Addr
	Partner string
	// Reading is that of the request, as [Request.Reading] has it: an attempt does not
	// carry it.
	Reading *prompt.Reading
}

// State is what a protocol switches on.
type State int

const (
	// Denied is the zero State.
	Denied State = iota
	// Ask wants an answer to any one of Prompts.
	Ask
	// Wait means that something is happening elsewhere: Look again.
	Wait
	// Granted is yes.
	Granted
)

func (s State) String() string {
	return [...]string{"denied", "ask", "wait", "granted"}[s]
}

// Step is the engine's answer to every verb.
type Step struct {
	State State
	// Prompts are alternatives, the best first; at least one when State is Ask.
	// For Wait it is the one that says what to do elsewhere.
	Prompts []prompt.Prompt
	// Ticket goes back with the next verb. Each is good for one Answer; Look and
	// Claim do not use it up. It is secret.
	Ticket string
	// Grant is set when State is Granted and the medium is not a browser.
	// Browsers Claim it instead.
	Grant Grant
	// Again is set when State is Ask because the last answer was not accepted.
	// Public is one bland sentence for the person, for Denied and Again.
	Again  bool
	Public string
	// Person is the name of who has shown something, here or in the session; empty for
	// whoever has shown nothing. Partly says that one factor was shown in this attempt, and
	// is not enough.
	Person string
	Partly bool
	// Attempt is the correlation id that the audit log carries, also for
	// equipment's own logs. It is not secret. Reason is the audit log's word
	// for a denial; it never goes to the person.
	Attempt, Reason string
	// Deadline is when the attempt ends by itself.
	Deadline time.Time

	said language.Sentence // what Public was made of
}

// Sentence is Public for whoever reads it in another language.
func (s Step) Sentence() language.Sentence {
	if s.said.String() == s.Public {
		return s.said
	}
	return language.Say(s.Public)
}

// says sets Public.
func (s *Step) says(said language.Sentence) { s.said, s.Public = said, said.String() }

// Refusal is a denied step as an error, for what cannot go on.
func (s Step) Refusal() error {
	said := s.Sentence()
	return &failure.Error{Class: failure.Refused, Reason: s.Reason, Public: s.Public, Format: said.Format, Args: said.Args}
}

// wishes reports whether a request wants more than policy. Nothing is remembered of one.
func (r *Request) wishes() bool { return r.Raise != nil || !r.Since.IsZero() }

// Held is what an active session holds.
type Held struct {
	Account assurance.AccountID
	// Number is what people and the audit log call the session.
	Number string
	// Own is the number of the session for one host, where it hangs from Number's.
	Own      string
	Evidence []assurance.Evidence
	// Expires is when the session ends, if nothing ends it before.
	Expires time.Time
	// Bound says that it is bound to the device that it is used from, and Binding that it may be
	// so in a moment. Lapses is when what the browser brought is no longer enough; zero is never.
	Bound, Binding bool
	Lapses         time.Time
}

// OtherDevice is the reason of the failure for a session that is bound to another device.
const OtherDevice = "other-device"

// sessionTopic begins the feed's word for a session that ended, by its number.
const sessionTopic = "session/"

// ActiveSessions reads active sessions: those that are neither ended nor expired. The
// session room fulfils it, so that a protocol hands over a reference and never evidence.
type ActiveSessions interface {
	// Active returns what the session of this secret holds. A session that is unknown,
	// ended or expired is a Refused failure. So is one that is bound to another device: of
	// that [OtherDevice] is the reason, and Account, Number and Own say whose it is.
	Active(ctx context.Context, secret string) (Held, error)
}

// Grant is the yes. Only the engine fills it. The zero Grant panics when read,
// so that a forgotten check fails loudly and never grants.
type Grant struct{ g *grant }

type grant struct {
	account     assurance.AccountID
	handle      []byte
	name        string
	display     string
	mail        string
	language    string
	groups      []string
	application string
	action      string
	object      string
	protocol    string
	source      netip.Addr
	session     string
	attempt     string
	evidence    []assurance.Evidence
	at          time.Time
	begun       time.Time
	lapses      time.Time
	mandate     Mandate // zero for our own people
}

func (g Grant) read() *grant {
	if g.g == nil {
		panic("signin: a Grant was read that nobody granted")
	}
	return g.g
}

// Account is who was granted.
func (g Grant) Account() assurance.AccountID { return g.read().account }

// Handle is what the account is called where its name is nobody's business: random octets
// that stay when the name changes, and that no other account ever has.
func (g Grant) Handle() []byte { return slices.Clone(g.read().handle) }

// Name is the account's canonical name.
func (g Grant) Name() string { return g.read().name }

// Display is the person's name for people to read; it may be empty.
func (g Grant) Display() string { return g.read().display }

// Language is the tag of the language in which the account is written to; empty is the
// installation's own.
func (g Grant) Language() string { return g.read().language }

// Mail is the first verified mail address, or empty.
func (g Grant) Mail() string { return g.read().mail }

// GroupName is a typed name of a group as Groups has it: names are told apart by
// nothing that the directory folds. One that can be no name is empty.
func GroupName(typed string) string {
	c, err := directory.Canonical(typed)
	if err != nil {
		return ""
	}
	return c
}

// Groups are the names of the account's groups, sorted.
func (g Grant) Groups() []string { return slices.Clone(g.read().groups) }

// Application is what was granted.
func (g Grant) Application() string { return g.read().application }

// Covers reports whether the grant is for exactly this action on this object.
// Everything that acts on a Grant asks, and refuses when it does not.
func (g Grant) Covers(application, action, object string) bool {
	r := g.read()
	if action == "" {
		action = SignIn
	}
	return r.application == application && r.action == action && r.object == object
}

// Action and Object are what the grant serves.
func (g Grant) Action() string { return g.read().action }

// Object is the text of what the action is done to.
func (g Grant) Object() string { return g.read().object }

// Protocol is the channel that it came by.
func (g Grant) Protocol() string { return g.read().protocol }

// Source is where the person is, as far as the protocol could tell.
func (g Grant) Source() netip.Addr { return g.read().source }

// SourceText is Source for the audit log and for people, empty when unknown.
func (g Grant) SourceText() string { return audit.AddressText(g.Source()) }

// Actor is the grant's account as the audit log names who acts.
func (g Grant) Actor() audit.Actor {
	return audit.Actor{Account: int64(g.Account()), Name: g.Name(), Via: g.Protocol()}
}

// Session is the number of the active session that it rests on, or empty.
func (g Grant) Session() string { return g.read().session }

// Attempt is the audit log's correlation id.
func (g Grant) Attempt() string { return g.read().attempt }

// Evidence is what was shown. amr, acr and auth_time are computed from it.
func (g Grant) Evidence() []assurance.Evidence { return slices.Clone(g.read().evidence) }

// Approval is what was shown for what is granted: own says that something was shown for
// exactly it, and then it is that alone. Otherwise it rides on what was shown before, the
// newest of it at the given time.
func (g Grant) Approval() (shown []assurance.Evidence, own bool, newest time.Time) {
	r := g.read()
	for _, ev := range r.evidence {
		if ev.Act != "" && ev.Act == r.action+" "+r.object {
			shown = append(shown, ev)
		}
	}
	if own = len(shown) > 0; !own {
		shown = slices.Clone(r.evidence)
	}
	for _, ev := range shown {
		if ev.Time.After(newest) {
			newest = ev.Time
		}
	}
	return shown, own, newest
}

// Time is when it was granted.
func (g Grant) Time() time.Time { return g.read().at }

// Begun is when it was first asked for, by this server's clock: before anybody was
// asked to prove themselves for it.
func (g Grant) Begun() time.Time { return g.read().begun }

// Lapses is when the evidence will cease to be enough for what was granted.
func (g Grant) Lapses() time.Time { return g.read().lapses }
