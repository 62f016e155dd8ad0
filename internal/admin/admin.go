// Package admin is what administrators may do and see: one [Command] for each.
//
// It owns the list of commands, what each needs to know, and the entry that
// each leaves. It does not decide who may: a command is done only with a Grant
// that signin made for exactly its action and its object. The console, the API
// and the command line all come through [Admin.Do], which hands each to its desk: what
// the commands about one thing use, and no more. Its one invariant: no
// command changes anything without such a Grant and an entry that names it.
package admin

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/attack"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/notify"
	"countersign/internal/offline"
	"countersign/internal/policy"
	"countersign/internal/protocol"
	"countersign/internal/recovery"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/ticket"
)

// Parts are what an Admin works on.
type Parts struct {
	DB           *store.DB
	Keys         *keyring.Keyring
	Directory    *directory.Directory
	Groups       *directory.Groups
	Applications *application.Catalogue
	Enrollments  *enrollment.Enrollments
	Recoveries   recovery.Pieces
	Offline      *offline.Lists
	Sessions     *session.Sessions
	Tickets      *ticket.Tickets
	Rules        *signin.Rules
	Outbox       *notify.Outbox
	// Tokens make what hardware tokens keep, and PINs what stands in front of their codes.
	Tokens enrollment.TokenKinds
	PINs   enrollment.PINKinds
	// Forget deletes what other rooms keep of an account, when it is removed.
	Forget []func(ctx context.Context, tx *store.Tx, account assurance.AccountID) error
	// Known are the names that a policy may mention.
	Known func(ctx context.Context, r store.Reader) (policy.Known, error)
	// Protocols are those that applications can ask by.
	Protocols protocol.List
	// Engine is asked what it would decide; it is never asked for a Grant.
	Engine *signin.Engine
	// Loosened are the exceptions that the configuration makes at this moment.
	Loosened  func() []attack.Exception
	PublicURL *url.URL
	Dormant   time.Duration
	Now       func() time.Time
}

// Admin does commands.
type Admin struct {
	book
	giving
	groups       *directory.Groups
	keys         *keyring.Keyring
	applications *application.Catalogue
	enrollments  *enrollment.Enrollments
	cases        *recovery.Cases
	stops        *recovery.Stops
	owners       *recovery.Owners
	sessions     *session.Sessions
	tickets      *ticket.Tickets
	rules        *signin.Rules
	outbox       *notify.Outbox
	forget       []func(ctx context.Context, tx *store.Tx, account assurance.AccountID) error
	known        func(ctx context.Context, r store.Reader) (policy.Known, error)
	protocols    protocol.List
	loosened     func() []attack.Exception
	publicURL    *url.URL

	desks
}

// New makes an Admin.
func New(p Parts) *Admin {
	return &Admin{
		book: book{p.DB}, giving: giving{guard{p.Directory, p.Engine}, p.Dormant, p.Now}, groups: p.Groups, keys: p.Keys, applications: p.Applications, enrollments: p.Enrollments, cases: p.Recoveries.Cases, stops: p.Recoveries.Stops, owners: p.Recoveries.Owners,
		sessions: p.Sessions, tickets: p.Tickets, rules: p.Rules, outbox: p.Outbox,
		forget: p.Forget, known: p.Known, protocols: p.Protocols,
		loosened: p.Loosened, publicURL: p.PublicURL, desks: newDesks(p),
	}
}

// Command is one thing that can be asked for. Object is the exact text of what
// it is done to: what an approval names and a person reads before approving.
type Command interface {
	Action() string
	Object() string
}

// Do does a command. The grant must be for exactly its action and object; a
// grant for another is refused and audited.
func (a *Admin) Do(ctx context.Context, g signin.Grant, c Command) (any, error) {
	t, ok := a.task(c)
	if !ok {
		return nil, failure.New(failure.Internal, "a command of another room")
	}
	if !g.Covers(signin.Self, c.Action(), c.Object()) {
		err := a.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
			return tx.Record(entry(g, "admin.refused", "refused", map[string]string{"wanted": c.Action(), "granted": g.Action()}))
		})
		if err != nil {
			return nil, err
		}
		return nil, failure.Refuse("other-action", "The approval is for something else.")
	}
	answer, err := t.do(ctx, g)
	if failure.ClassOf(err) == failure.Refused {
		return nil, errors.Join(a.noteRefusal(ctx, g.Actor(), entry(g, refusedEvent, audit.Refused, nil), c, err), err)
	}
	return answer, err
}

// Sound says what is wrong with a command before anybody is asked to approve it,
// where that can be said. It changes nothing, and it is for who may do the
// command: it tells what exists.
func (a *Admin) Sound(ctx context.Context, c Command) error {
	if t, ok := a.task(c); ok && t.sound != nil {
		return t.sound(ctx)
	}
	return nil
}

// book writes down what commands do, as they do it.
type book struct{ db *store.DB }

// change runs a change as the grant's account and records the command.
func (a book) change(ctx context.Context, g signin.Grant, event string, detail map[string]string, about *directory.Account, fn func(tx *store.Tx) error) error {
	return a.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		en := entry(g, event, "ok", detail)
		if about != nil {
			en.Account, en.AccountName = int64(about.ID), about.Name
		}
		return tx.Record(en)
	})
}

func entry(g signin.Grant, event, outcome string, detail map[string]string) audit.Entry {
	en := audit.Entry{Event: event, Outcome: outcome, Application: signin.Self, Protocol: g.Protocol(), Source: g.SourceText(), Action: g.Action(), Attempt: g.Attempt(), Detail: whole("object", g.Object())}
	for k, v := range detail {
		en.Detail[k] = v
	}
	return en
}

// whole writes a text into as many details as it takes, so that the log holds all of
// what was approved.
func whole(name, s string) map[string]string {
	out := map[string]string{name: ""}
	for i := 1; s != ""; i++ {
		piece := s
		if len(piece) > audit.MaxValue {
			piece = strings.ToValidUTF8(piece[:audit.MaxValue-8], "")
		}
		key := name
		if i > 1 {
			key = fmt.Sprintf("%s-%d", name, i)
		}
		out[key], s = piece, s[len(piece):]
	}
	return out
}

// Spec describes one command, for the API, its document and the command line.
type Spec struct {
	Action  string
	Summary string
	// Reads says that it changes nothing.
	Reads bool
	New   func() Command
}

// Commands lists every command. The API's routes, the OpenAPI document and the
// policy's known actions are made from this one list.
func Commands() []Spec {
	return []Spec{
		{"overview.show", "Count accounts that need attention, and say how far the audit log is signed.", true, func() Command { return &OverviewShow{} }},
		{"account.create", "Create an account. It has no authenticator and no access until somebody else issues a pass.", false, func() Command { return &AccountCreate{} }},
		{"account.list", "List accounts by name.", true, func() Command { return &AccountList{} }},
		{"account.show", "Show one account with its authenticators and sessions.", true, func() Command { return &AccountShow{} }},
		{"account.suspend", "Suspend an account: it gets nothing and its sessions end.", false, func() Command { return &AccountSuspend{} }},
		{"account.clear-risk", "Say that an account is at risk no more, whose owner reported a sign-in.", false, func() Command { return &AccountClearRisk{} }},
		{"account.open", "Forget wrong answers, so that authenticators that were closed by them are open again.", false, func() Command { return &AccountOpen{} }},
		{"account.resume", "Resume a suspended or dormant account.", false, func() Command { return &AccountResume{} }},
		{"account.remove", "Remove an account for good; what the log says of it stays.", false, func() Command { return &AccountRemove{} }},
		{"pass.issue", "Issue a temporary access pass to somebody else.", false, func() Command { return &PassIssue{} }},
		{"recovery.list", "List recoveries of accounts, newest first.", true, func() Command { return &RecoveryList{} }},
		{"recovery.open", "Begin a recovery for the person who reads you the number in their browser.", false, func() Command { return &RecoveryOpen{} }},
		{"recovery.confirm", "Confirm a recovery as the second person, so that nobody has to wait.", false, func() Command { return &RecoveryConfirm{} }},
		{"recovery.stop", "Stop a recovery that is under way.", false, func() Command { return &RecoveryStop{} }},
		{"key.issue", "Issue an automation key to a service account, for some actions from some networks.", false, func() Command { return &KeyIssue{} }},
		{"session.end", "End one or all sessions of an account.", false, func() Command { return &SessionEnd{} }},
		{"authenticator.revoke", "Revoke somebody's authenticator, or an automation key.", false, func() Command { return &AuthenticatorRevoke{} }},
		{"prompts.show", "Count the requests to approve sign-ins elsewhere, by day and by what became of them.", true, func() Command { return &PromptsShow{} }},
		{"quiet.clear", "Take away the quiet hours that somebody has set, so that everybody's count.", false, func() Command { return &QuietClear{} }},
		{"certificate.assign", "Make a card's certificate an authenticator of somebody else's.", false, func() Command { return &CertificateAssign{} }},
		{"token.list", "List hardware tokens by serial number.", true, func() Command { return &TokenList{} }},
		{"token.stage", "Send a part of a token file; it changes nothing before token.import.", true, func() Command { return &TokenStage{} }},
		{"token.preview", "Say what importing the sent token file would do.", true, func() Command { return &TokenPreview{} }},
		{"token.import", "Put the tokens of a sent file into stock: all of them, or none.", false, func() Command { return &TokenImport{} }},
		{"token.assign", "Make a token from stock an authenticator of somebody else's.", false, func() Command { return &TokenAssign{} }},
		{"token.resync", "Put a token right by two of its codes in a row.", false, func() Command { return &TokenResync{} }},
		{"token.pin", "Give somebody's token a new first PIN, which its owner must change, or take the PIN away.", false, func() Command { return &TokenPIN{} }},
		{"token.lost", "Switch off a token that its owner cannot find.", false, func() Command { return &TokenLost{} }},
		{"token.return", "Take a token back from its owner.", false, func() Command { return &TokenReturn{} }},
		{"token.revoke", "End a token for good.", false, func() Command { return &TokenRevoke{} }},
		{"offline.list", "List the lists of codes for local accounts of hosts.", true, func() Command { return &OfflineList{} }},
		{"offline.issue", "Make a list of codes for a local account of a host. It is shown once.", false, func() Command { return &OfflineIssue{} }},
		{"offline.reconcile", "Take over which codes were used on a host while it could not ask.", false, func() Command { return &OfflineReconcile{} }},
		{"offline.revoke", "Forget a list of codes of a host.", false, func() Command { return &OfflineRevoke{} }},
		{"group.list", "List groups.", true, func() Command { return &GroupList{} }},
		{"group.show", "Show a group and its members.", true, func() Command { return &GroupShow{} }},
		{"group.create", "Create a group.", false, func() Command { return &GroupCreate{} }},
		{"group.remove", "Remove a group that is empty and that the policy does not mention.", false, func() Command { return &GroupRemove{} }},
		{"group.member.add", "Add an account to a group.", false, func() Command { return &MemberAdd{} }},
		{"group.member.remove", "Remove an account from a group.", false, func() Command { return &MemberRemove{} }},
		{"application.list", "List applications.", true, func() Command { return &ApplicationList{} }},
		{"application.show", "Show an application with its settings; secrets are hidden.", true, func() Command { return &ApplicationShow{} }},
		{"application.set", "Add or change an application.", false, func() Command { return &ApplicationSet{} }},
		{"application.remove", "Remove an application.", false, func() Command { return &ApplicationRemove{} }},
		{"policy.show", "Show the policy in force, or an older version of it.", true, func() Command { return &PolicyShow{} }},
		{"policy.check", "Check a policy document without saving it, and run its tests.", true, func() Command { return &PolicyCheck{} }},
		{"policy.test", "Run the tests that the policy in force, or a document, holds.", true, func() Command { return &PolicyTest{} }},
		{"policy.explain", "Say what an account would have to show for something, why, and whether it could.", true, func() Command { return &PolicyExplain{} }},
		{"policy.diff", "Say whom a document, or an older version, would let in, keep out, or ask for less or more.", true, func() Command { return &PolicyDiff{} }},
		{"policy.versions", "List the saved versions of the policy.", true, func() Command { return &PolicyVersions{} }},
		{"policy.change", "Save a policy document and put it in force.", false, func() Command { return &PolicyChange{} }},
		{"coverage.show", "Show how far each row of ATT&CK's M1032 holds here, and what leaves a gap.", true, func() Command { return &CoverageShow{} }},
		{"coverage.declare", "Declare that there is nothing here for a row to be about, until a day.", false, func() Command { return &CoverageDeclare{} }},
		{"coverage.withdraw", "Take such a declaration back.", false, func() Command { return &CoverageWithdraw{} }},
		{"drill.record", "Hand in the signed report of a drill.", false, func() Command { return &DrillRecord{} }},
		{"audit.search", "Search the audit log, newest first.", true, func() Command { return &AuditSearch{} }},
		{"audit.checkpoint", "Sign a checkpoint of the log, to be kept elsewhere.", true, func() Command { return &AuditCheckpoint{} }},
		{"audit.alarms", "List what was changed in the database from outside, and was seen by nobody yet.", true, func() Command { return &AuditAlarms{} }},
		{"audit.seen", "Say that somebody has dealt with the alarms of the database.", false, func() Command { return &AuditSeen{} }},
	}
}

// Find returns the command that does the action, and false if none does.
func Find(action string) (Spec, bool) {
	all := Commands()
	i := slices.IndexFunc(all, func(s Spec) bool { return s.Action == action })
	if i < 0 {
		return Spec{}, false
	}
	return all[i], true
}

// Helping lists the actions that the help desk may do as well as administrators.
func Helping() []string { return []string{"recovery.list", "recovery.open", "recovery.stop"} }

// Reading lists the actions that only look. Policy lets the session cover them.
func Reading() []string {
	var out []string
	for _, s := range Commands() {
		if s.Reads {
			out = append(out, s.Action)
		}
	}
	return out
}
