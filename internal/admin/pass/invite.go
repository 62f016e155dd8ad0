package pass

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/guard"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
)

// inviteDesk is where people are invited.
type inviteDesk struct {
	admin.Book
	guard.Giving
	guard       guard.Guard
	db          store.Reader
	people      *directory.Accounts
	credentials *directory.Credentials
	invitations *Invitations
	now         func() time.Time
}

// Whom names whom a command is for: one account, or several, which one approval is for.
type Whom struct {
	Account         string   `json:"account" arg:"" help:"Whom it is for; never yourself."`
	Also            []string `json:"also,omitempty" arg:"" optional:"" help:"Further accounts, 500 in all at most."`
	admin.AuditText `embed:""`
}

func (c *Whom) About() *string  { return &c.Account }
func (c *Whom) names() []string { return append([]string{c.Account}, c.Also...) }
func (c *Whom) whom() string    { return c.OfAll(c.Account, c.Also) }

// Invite sends people an invitation by mail.
type Invite struct {
	Whom `embed:""`
	// Hours is how long the link is good.
	Hours int    `json:"hours,omitempty" name:"lifetime" aliases:"hours" type:"hours" help:"Hours that the link is good: 24 when left out, 168 at most." said:"How long the link is good, such as 12h or 3d: 24h when left out, 7d at most."`
	Note  string `json:"note,omitempty" help:"Why, for the log."`
}

// Mails reports whether this server had a mail server when it started. Without a server, as
// where commands are only described, there is none.
func (i *Invitations) Mails() bool { return i != nil && i.mails }

func (c *Invite) Action() string { return "pass.invite" }
func (c *Invite) Object() string {
	return admin.WithReason(fmt.Sprintf("%s by mail, for %d hours", c.whom(), hours(c.Hours, MailLife)), c.Note)
}

func hours(n int, usual time.Duration) int {
	if n == 0 {
		return int(usual / time.Hour)
	}
	return n
}

// Preflight says that there is no mail, and for whom it is for nothing.
func (c *Invite) Preflight(ctx context.Context, a *inviteDesk) error {
	if _, err := c.life(a); err != nil {
		return err
	}
	_, err := a.all(ctx, a.db, c.names(), true)
	return err
}

func (c *Invite) life(a *inviteDesk) (time.Duration, error) {
	if !a.invitations.mails {
		return 0, failure.New(failure.Conflict, "No mail is sent here: set mail in the configuration of the server, or print letters, with pass letter.")
	}
	return life(c.Hours, MailLife, MostMailLife)
}

func life(n int, usual, most time.Duration) (time.Duration, error) {
	l := time.Duration(hours(n, usual)) * time.Hour
	if n < 0 || l > most {
		return 0, failure.At("hours", failure.New(failure.Invalid, "An invitation is good for 1 to %d hours.", int(most/time.Hour)))
	}
	return l, nil
}

func (c *Invite) Do(ctx context.Context, a *inviteDesk, g signin.Grant) (any, error) {
	out := []Invitation{}
	l, err := c.life(a)
	if err != nil {
		return nil, err
	}
	err = a.ChangeEach(ctx, g, "invitation.sent", map[string]string{"note": c.Note}, func(tx *store.Tx) ([]directory.Account, error) {
		out = out[:0] // of a try that collided with another
		all, err := a.mayInvite(ctx, tx, g, c.names(), true)
		if err != nil {
			return nil, err
		}
		for _, d := range all {
			k, _, err := a.invitations.issueTx(ctx, tx, issue{to: d, mail: d.Mail, by: g.Name(), life: l})
			if err == nil {
				err = a.invitations.mailTx(ctx, tx, d, k)
			}
			if err != nil {
				return nil, admin.AboutOne(d.Name, len(all)-1, err)
			}
			out = append(out, a.invitations.told(d, k, nil))
		}
		return all, nil
	})
	return Sent{len(out), out}, err
}

// Sent are the invitations that were sent.
type Sent struct {
	Count       int          `json:"count"`
	Invitations []Invitation `json:"invitations"`
}

// Letter makes invitations to be printed. Their codes are shown once and kept nowhere.
type Letter struct {
	Whom  `embed:""`
	Hours int    `json:"hours,omitempty" name:"lifetime" aliases:"hours" type:"hours" help:"Hours that the letter is good: 168 when left out, 504 at most." said:"How long the link is good, such as 12h or 3d: 7d when left out, 21d at most."`
	Note  string `json:"note,omitempty" help:"How the letter reaches its owner, for the log."`
}

// Printed is the letter to one person.
type Printed struct {
	Account string    `json:"account"`
	Display string    `json:"display,omitempty"`
	Code    string    `json:"code"`
	Link    string    `json:"link"`
	Expires time.Time `json:"expires"`
}

// Letters are letters to be printed.
type Letters struct {
	// Where is the address at which the code is typed.
	Where   string    `json:"where"`
	Letters []Printed `json:"letters"`
}

func (c *Letter) Action() string { return "pass.letter" }
func (c *Letter) Object() string {
	return admin.WithReason(fmt.Sprintf("%s on paper, for %d hours", c.whom(), hours(c.Hours, LetterLife)), c.Note)
}

// Preflight says for whom it is for nothing.
func (c *Letter) Preflight(ctx context.Context, a *inviteDesk) error {
	if _, err := life(c.Hours, LetterLife, MostLetterLife); err != nil {
		return err
	}
	_, err := a.all(ctx, a.db, c.names(), false)
	return err
}

func (c *Letter) Do(ctx context.Context, a *inviteDesk, g signin.Grant) (any, error) {
	out := Letters{Where: a.invitations.publicURL.JoinPath("invited").String(), Letters: []Printed{}}
	l, err := life(c.Hours, LetterLife, MostLetterLife)
	if err != nil {
		return nil, err
	}
	err = a.ChangeEach(ctx, g, "invitation.printed", map[string]string{"note": c.Note}, func(tx *store.Tx) ([]directory.Account, error) {
		out.Letters = out.Letters[:0] // of a try that collided with another
		all, err := a.mayInvite(ctx, tx, g, c.names(), false)
		if err != nil {
			return nil, err
		}
		for _, d := range all {
			k, code, err := a.invitations.issueTx(ctx, tx, issue{to: d, by: g.Name(), life: l})
			if err != nil {
				return nil, admin.AboutOne(d.Name, len(all)-1, err)
			}
			out.Letters = append(out.Letters, Printed{Account: d.Name, Display: d.Display, Code: code, Link: a.invitations.link(code), Expires: k.Expires})
		}
		return all, nil
	})
	return out, err
}

// Uninvite ends invitations, and the passes that came of them.
type Uninvite struct {
	Whom   `embed:""`
	Reason string `json:"reason,omitempty" help:"Why, for the log."`
}

func (c *Uninvite) Action() string { return "pass.uninvite" }
func (c *Uninvite) Object() string { return admin.WithReason("invitation of "+c.whom(), c.Reason) }

func (c *Uninvite) Do(ctx context.Context, a *inviteDesk, g signin.Grant) (any, error) {
	ended := 0
	err := a.ChangeEach(ctx, g, "invitation.revoked", map[string]string{"reason": c.Reason}, func(tx *store.Tx) ([]directory.Account, error) {
		all, err := a.all(ctx, tx, c.names(), false)
		if err != nil {
			return nil, err
		}
		for _, d := range all {
			if err := a.guard.PersonMust(ctx, tx, g.Account(), d.Guarded()); err != nil {
				return nil, admin.AboutOne(d.Name, len(all)-1, err)
			}
			was, err := a.invitations.EndTx(ctx, tx, d.ID)
			if err == nil && !was {
				err = failure.New(failure.NotFound, "There is no invitation.")
			}
			if err != nil {
				return nil, admin.AboutOne(d.Name, len(all)-1, err)
			}
		}
		ended = len(all)
		return all, nil
	})
	return map[string]int{"revoked": ended}, err
}

// Invitees lists invitations by account.
type Invitees struct {
	State string `json:"state,omitempty" help:"Only those that are invited, opened, done or expired."`
	After int64  `json:"after,omitempty" help:"Go on after this number, as the page before said."`
	Limit int    `json:"limit,omitempty" help:"How many are looked at: 100 when left out, 1000 at most."`
}

// InviteePage is a page of invitations. Next is where to go on, or 0.
type InviteePage struct {
	Invitations []Invitation `json:"invitations"`
	Next        int64        `json:"next,omitempty"`
}

func (c *Invitees) Action() string { return "pass.invitations" }
func (c *Invitees) Object() string { return "" }

func (c *Invitees) Do(ctx context.Context, a *inviteDesk, _ signin.Grant) (any, error) {
	limit := min(max(c.Limit, 0), 1000)
	if limit == 0 {
		limit = 100
	}
	all, err := a.invitations.tickets.Page(ctx, a.db, invitationKind, c.After, limit)
	if err != nil {
		return nil, err
	}
	out := InviteePage{Invitations: []Invitation{}}
	for _, t := range all {
		one, err := a.invitee(ctx, t.Owner, t.Payload)
		if failure.ClassOf(err) == failure.NotFound { // removed since
			continue
		}
		if err != nil {
			return nil, err
		}
		if c.State == "" || c.State == one.State {
			out.Invitations = append(out.Invitations, one)
		}
	}
	if len(all) == limit {
		out.Next = all[limit-1].Owner
	}
	return out, nil
}

func (a *inviteDesk) invitee(ctx context.Context, owner int64, payload []byte) (Invitation, error) {
	var k kept
	if err := json.Unmarshal(payload, &k); err != nil {
		return Invitation{}, err
	}
	d, err := a.people.Get(ctx, a.db, assurance.AccountID(owner))
	if err != nil {
		return Invitation{}, err
	}
	credentials, err := a.credentials.All(ctx, a.db, d.ID)
	return a.invitations.told(d, k, credentials), err
}

// all finds the accounts, and refuses those who can be invited to nothing: all of them at
// once, so that whoever chose them leaves them out at once.
func (a *inviteDesk) all(ctx context.Context, r store.Reader, names []string, byMail bool) ([]directory.Account, error) {
	out, err := admin.FindSeveral(ctx, r, a.people, names)
	if err != nil {
		return nil, err
	}
	var without []string
	for _, d := range out {
		if byMail && d.Mail == "" {
			without = append(without, text.Name(d.Name))
		}
	}
	if len(without) > 0 {
		shown := without[:min(len(without), 20)]
		more := ""
		if len(without) > len(shown) {
			more = fmt.Sprintf(" and %d more", len(without)-len(shown))
		}
		return nil, failure.New(failure.Conflict, "These have no mail address: %s%s. Leave them out, or print letters for them, with pass letter.", strings.Join(shown, ", "), more)
	}
	return out, nil
}

// mayInvite is all, for who may be invited by whoever does it: as for a pass, and nobody who
// is privileged, whom neither a mailbox nor the post lets in.
func (a *inviteDesk) mayInvite(ctx context.Context, tx *store.Tx, g signin.Grant, names []string, byMail bool) ([]directory.Account, error) {
	all, err := a.all(ctx, tx, names, byMail)
	if err != nil {
		return nil, err
	}
	by, err := a.people.Get(ctx, tx, g.Account())
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		if err := a.mayBeInvited(ctx, tx, by, d); err != nil {
			return nil, admin.AboutOne(d.Name, len(all)-1, err)
		}
	}
	return all, nil
}

func (a *inviteDesk) mayBeInvited(ctx context.Context, tx *store.Tx, by, d directory.Account) error {
	if err := a.MayIssue(by, d); err != nil {
		return err
	}
	if d.Guarded() {
		return failure.Refuse("privileged-invitation", "Nobody who is privileged is invited by mail or letter: issue a pass, and hand it over yourself.")
	}
	credentials, err := a.credentials.All(ctx, tx, d.ID)
	if err != nil {
		return err
	}
	if directory.ProofRequired(credentials, a.now(), a.now()) != directory.ProofNone || assurance.TwoFactors().Met(directory.CouldShow(credentials, a.now()), a.now()) {
		return failure.Refuse("set-up-already", "They have set up how they sign in. Who lost it needs a pass or a recovery.")
	}
	return nil
}
