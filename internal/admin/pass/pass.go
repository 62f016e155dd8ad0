// Package pass is the commands that issue temporary access passes and invite people, and what
// such a pass is handed over by.
//
// It owns who may have one by whose hand, what is asked for beside it, the link that
// welcomes somebody, and invitations: tickets that give a pass to who opens them. What a pass shows is the engine's to judge, as everything. Its one
// invariant: nobody issues a pass for themselves.
package pass

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/guard"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/language"
	"countersign/internal/notify"
	"countersign/internal/recovery"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/ticket"
)

// Commands are those about passes, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Changes[Issue]("Issue a temporary access pass to somebody else.", Pass{}).AlsoLent().
			Telling("pass.issued", "{by} issued a temporary access pass to {who}: {detail.note}"),
		admin.Changes[Invite]("Invite somebody else, or several, by mail to set up how they sign in.", Sent{}).
			Telling("invitation.sent", "{by} invited {who} by mail: {detail.note}"),
		admin.Changes[Letter]("Make invitations to print for those who have no mail. Their codes are shown once.", Letters{}).
			Telling("invitation.printed", "{by} printed an invitation for {who}: {detail.note}"),
		admin.Changes[Uninvite]("End invitations, and the passes that came of them.", map[string]int{}).
			Telling("invitation.revoked", "{by} ended the invitation of {who}: {detail.reason}"),
		admin.Looks[Invitees]("List who is invited, and how far each is.", InviteePage{}).AlsoLent(),
	}
}

// Parts are what passes are issued with, and people invited. Mails says that there is a mail
// server; an account is dormant that was not used for so long.
type Parts struct {
	DB          *store.DB
	Keys        *keyring.Keyring
	Accounts    *directory.Accounts
	Credentials *directory.Credentials
	Tickets     *ticket.Tickets
	Outbox      *notify.Outbox
	Engine      *signin.Engine
	Notices     *enrollment.Notices
	Stops       *recovery.Stops
	Passes      *Passes
	Invitations *Invitations
	PublicURL   *url.URL
	Mails       bool
	Dormant     time.Duration
	Now         func() time.Time
}

// Desks are where the commands are done.
func Desks(p Parts) []admin.Desk {
	may := guard.New(p.Accounts, p.Engine)
	return []admin.Desk{
		admin.At(&inviteDesk{admin.NewBook(p.DB), guard.NewGiving(may, p.Dormant, p.Now), may, p.DB, p.Accounts, p.Credentials, p.Invitations, p.Now}),
		issuing(p),
	}
}

func issuing(p Parts) admin.Desk {
	return admin.At(&desk{admin.NewBook(p.DB), guard.NewGiving(guard.New(p.Accounts, p.Engine), p.Dormant, p.Now), p.Credentials, p.Notices, p.Stops, p.Passes, p.Now})
}

type desk struct {
	admin.Book
	guard.Giving
	credentials *directory.Credentials
	notices     *enrollment.Notices
	stops       *recovery.Stops
	passes      *Passes
	now         func() time.Time
}

// Issue issues a temporary access pass to somebody else.
type Issue struct {
	Account string `json:"account" arg:"" help:"Whom the pass is for; never yourself."`
	// Lifetime is in seconds, 3600 when zero, 28800 at most.
	Lifetime        int    `json:"lifetime,omitempty" type:"seconds" help:"Seconds it lives: 3600 when left out, 28800 at most." said:"How long it lives, such as 30m: 1h when left out, 8h at most."`
	Note            string `json:"note,omitempty" help:"How you made sure who it is."`
	admin.AuditText `embed:""`
}

// Pass is an issued pass. Code and Link are shown once and kept nowhere.
type Pass struct {
	Account string    `json:"account"`
	Code    string    `json:"code"`
	Link    string    `json:"link"`
	Expires time.Time `json:"expires"`
	// Hint says what else is to be done before it helps, or is empty.
	Hint string `json:"hint,omitempty"`
}

func (c *Issue) Action() string { return "pass.issue" }
func (c *Issue) About() *string { return &c.Account }
func (c *Issue) Object() string {
	return admin.WithReason(c.Of(c.Account)+" for "+admin.Span(time.Duration(c.seconds())*time.Second), c.Note)
}

// Tell says how long the pass lives.
func (c *Issue) Tell(_ context.Context, _ *desk, s *admin.Sheet) error {
	s.Says("lifetime", admin.Span(time.Duration(c.seconds())*time.Second))
	return nil
}

func (c *Issue) seconds() int {
	return cmp.Or(c.Lifetime, int(enrollment.PassDefault/time.Second))
}

func (c *Issue) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	if c.Lifetime < 0 {
		return nil, failure.New(failure.Invalid, "The lifetime is a number of seconds.")
	}
	var d directory.Account
	var pass Pass
	err := a.Change(ctx, g, "pass.issued", map[string]string{"note": c.Note}, &d, func(tx *store.Tx) error {
		issuer, to, err := a.Parties(ctx, tx, g, c.Account)
		if err != nil {
			return err
		}
		d = to
		if err := a.MayIssue(issuer, d); err != nil {
			return err
		}
		beside, err := a.hint(ctx, tx, d)
		if err != nil {
			return err
		}
		if err := a.stops.FinishTx(ctx, tx, d.ID); err != nil { // whose browser would end this pass by another
			return err
		}
		if pass, err = a.passes.In(ctx, tx, d, time.Duration(c.Lifetime)*time.Second); err != nil {
			return err
		}
		pass.Hint = beside
		return a.notices.Tell(ctx, tx, d, language.Say("A temporary access pass was issued for your account"),
			language.Say("%s issued a pass with which %s can set up a way to sign in. It is good once.", issuer.Name, d.Name))
	})
	return pass, err
}

// hint says what a person is asked for beside a pass. It refuses where the pass
// would lead nowhere, because nobody replaces both factors alone.
func (a *desk) hint(ctx context.Context, tx *store.Tx, d directory.Account) (string, error) {
	credentials, err := a.credentials.All(ctx, tx, d.ID)
	if err != nil {
		return "", err
	}
	two := assurance.TwoFactors().Met(directory.CouldShow(credentials, a.now()), a.now())
	switch beside := directory.ProofRequired(credentials, a.now(), a.now()); {
	case two:
		return fmt.Sprintf("%s has two factors set up, and is asked for them beside the pass. What is lost must be revoked first: authenticator revoke, or on the account's page.", d.Name), nil
	case beside == directory.ProofKnown:
		return fmt.Sprintf("%s has a password, and is asked for it beside the pass. If it is forgotten too, it takes a recovery that a second person confirms: recovery open --forgotten.", d.Name), nil
	case beside == directory.ProofHeld:
		return fmt.Sprintf("%s is asked beside the pass for a device that they set up before. If it is lost too, it takes a recovery that a second person confirms: recovery open --forgotten.", d.Name), nil
	case beside == directory.ProofSecondPerson:
		return "", failure.At("account", failure.Refuse(signin.NeedsSecond, fmt.Sprintf("Nothing is left of what %s signed in with that could be asked for beside a pass, and nobody replaces all of it alone. Open a recovery instead, which a second person confirms: recovery open --forgotten.", d.Name)))
	}
	return "", nil
}
