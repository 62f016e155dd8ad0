package admin

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
	"countersign/internal/ticket"
)

// Account is an account as administrators see it.
type Account struct {
	Name       string   `json:"name"`
	Display    string   `json:"display"`
	Mail       string   `json:"mail,omitempty"`
	Kind       string   `json:"kind"`
	State      string   `json:"state"`
	Groups     []string `json:"groups"`
	Privileged bool     `json:"privileged"`
	Dormant    bool     `json:"dormant"`
	// AtRisk is since when: its owner said that a sign-in was not theirs.
	AtRisk  time.Time `json:"at_risk,omitzero"`
	Created time.Time `json:"created"`
	Used    time.Time `json:"used,omitzero"`
	// Kinds are the kinds of its active authenticators.
	Kinds []string `json:"authenticators"`
	// TwoFactors says that they are enough for two factors.
	TwoFactors bool `json:"two_factors"`
}

func (a *Admin) account(ctx context.Context, r store.Reader, d directory.Account) (Account, error) {
	out := Account{Name: d.Name, Display: d.Display, Kind: d.Kind, State: d.State, Groups: d.Groups, Privileged: d.Privileged,
		Dormant: d.Idle(a.now()) > a.dormant, AtRisk: d.Risk, Created: d.Created, Used: d.Used, Kinds: []string{}}
	if out.Groups == nil {
		out.Groups = []string{}
	}
	mails, err := a.people.Mails(ctx, r, d.ID)
	if err != nil {
		return out, err
	}
	out.Mail = strings.Join(mails, ", ")
	credentials, err := a.credentials.All(ctx, r, d.ID)
	if err != nil {
		return out, err
	}
	for _, c := range credentials {
		if c.Status == directory.CredentialActive && !slices.Contains(out.Kinds, c.Kind) {
			out.Kinds = append(out.Kinds, c.Kind)
		}
	}
	out.TwoFactors = assurance.TwoFactors().Met(directory.CouldShow(credentials, a.now()), a.now())
	return out, nil
}

// AccountCreate makes an account without any access.
type AccountCreate struct {
	Name    string   `json:"name" arg:"" help:"The account's name, as the person types it."`
	Display string   `json:"display,omitempty" help:"What the person is called."`
	Mail    string   `json:"mail,omitempty" help:"Where notices go."`
	Kind    string   `json:"kind,omitempty" help:"person, or service for a program." default:"person" enum:"person,service"`
	Groups  []string `json:"groups,omitempty" name:"group" help:"A group it is in from the start; give it again for more."`
}

func (c *AccountCreate) Action() string { return "account.create" }
func (c *AccountCreate) Object() string {
	kind, groups := c.Kind, "in no group"
	if kind == "" {
		kind = directory.Person
	}
	if len(c.Groups) > 0 {
		groups = "in groups " + Listed(c.Groups)
	}
	what := Called(text.Name(kind)+" "+text.Name(c.Name), c.Display)
	if c.Mail != "" {
		what += ", mail " + text.Name(c.Mail)
	}
	return what + ", " + groups
}

func (c *AccountCreate) Do(ctx context.Context, a *Admin, g signin.Grant) (any, error) {
	if c.Kind != "" && c.Kind != directory.Person && c.Kind != directory.Service {
		return nil, failure.New(failure.Invalid, "The kind of an account is person or service.")
	}
	var out Account
	var made directory.Account
	err := a.Change(ctx, g, "account.created", nil, &made, func(tx *store.Tx) error {
		err := a.mayGiveAgain(ctx, tx, g, c.Name)
		if err != nil {
			return err
		}
		made, err = a.people.Create(ctx, tx, directory.NewAccount{Name: c.Name, Display: c.Display, Kind: c.Kind, Mail: c.Mail})
		if err != nil {
			return err
		}
		for _, name := range c.Groups {
			group, err := a.groups.Find(ctx, tx, name)
			if err != nil {
				return failure.At("groups", err)
			}
			if err := a.PersonMust(ctx, tx, g.Account(), group.Privileged); err != nil {
				return err
			}
			if err := a.groups.AddMember(ctx, tx, group, made); err != nil {
				return err
			}
		}
		if made, err = a.people.Get(ctx, tx, made.ID); err != nil {
			return err
		}
		out, err = a.account(ctx, tx, made)
		return err
	})
	return out, err
}

// AccountList lists accounts whose name contains a text.
type AccountList struct {
	Query string `json:"query,omitempty" arg:"" optional:"" help:"Only names that contain this."`
	State string `json:"state,omitempty" help:"Only those that are suspended, dormant, at-risk, or without-two-factors."`
	After string `json:"after,omitempty" help:"Go on after this name."`
	Limit int    `json:"limit,omitempty" help:"How many: 50 when left out, 500 at most."`
}

// AccountPage is one page of accounts; Next is empty on the last.
type AccountPage struct {
	Accounts []Account `json:"accounts"`
	Next     string    `json:"next,omitempty"`
}

func (c *AccountList) Action() string { return "account.list" }
func (c *AccountList) Object() string { return "" }

func (c *AccountList) Do(ctx context.Context, a *Admin, _ signin.Grant) (any, error) {
	limit := c.Limit
	if limit <= 0 || limit > 500 {
		limit = 50
	}
	rows, err := a.people.ListOf(ctx, a.db, directory.Which{Query: c.Query, State: c.State, Woken: a.now().Add(-a.dormant)}, c.After, limit+1)
	if err != nil {
		return nil, err
	}
	page := AccountPage{Accounts: []Account{}}
	for i, d := range rows {
		if i == limit {
			page.Next = rows[limit-1].Name
			break
		}
		acc, err := a.account(ctx, a.db, d)
		if err != nil {
			return nil, err
		}
		page.Accounts = append(page.Accounts, acc)
	}
	return page, nil
}

// AccountShow shows one account.
type AccountShow struct {
	Name string `json:"name" arg:"" help:"The account."`
}

// AccountDetail is one account with what hangs from it.
type AccountDetail struct {
	Account
	Authenticators []enrollment.Authenticator `json:"enrolled"`
	Sessions       []session.Session          `json:"sessions"`
	// Closed is what too many wrong answers closed, and to whom.
	Closed []string `json:"closed,omitempty"`
	// Quiet are the quiet hours that the owner has set, or empty.
	Quiet string `json:"quiet_hours,omitempty"`
}

func (c *AccountShow) Action() string { return "account.show" }
func (c *AccountShow) Object() string { return "" }

func (c *AccountShow) Do(ctx context.Context, a *Admin, _ signin.Grant) (any, error) {
	d, err := a.people.Find(ctx, a.db, c.Name)
	if err != nil {
		return nil, err
	}
	var out AccountDetail
	if out.Account, err = a.account(ctx, a.db, d); err != nil {
		return nil, err
	}
	if out.Authenticators, err = a.listing.List(ctx, d.ID); err != nil {
		return nil, err
	}
	if out.Sessions, err = a.sessions.List(ctx, d.ID); err != nil {
		return out, err
	}
	if out.Closed, err = a.engine.ClosedOf(ctx, a.db, d.ID); err != nil {
		return out, err
	}
	hours, own, err := a.engine.Pushes.QuietOf(ctx, d.ID)
	if own {
		out.Quiet = hours.String()
	}
	return out, err
}

// AccountSuspend switches an account off.
type AccountSuspend struct {
	Name   string `json:"name" arg:"" help:"The account."`
	Reason string `json:"reason,omitempty" help:"Why, for the log."`
	Told   `embed:""`
}

func (c *AccountSuspend) Action() string { return "account.suspend" }
func (c *AccountSuspend) About() *string { return &c.Name }
func (c *AccountSuspend) Object() string { return WithReason(c.Of(c.Name), c.Reason) }

// sound says that somebody would be missed.
func (c *AccountSuspend) Sound(ctx context.Context, a *Admin) error {
	return a.Spare(ctx, a.db, c.Name, signin.Suspended)
}

func (c *AccountSuspend) Do(ctx context.Context, a *Admin, g signin.Grant) (any, error) {
	return a.setState(ctx, g, c.Name, "account.suspended", c.Reason, func(d *directory.Account) error {
		if d.ID == g.Account() {
			return failure.New(failure.Refused, "You cannot suspend yourself; ask another administrator.")
		}
		d.State = directory.Suspended
		return nil
	})
}

// AccountResume switches an account on again, also one that is dormant. A
// dormant account is resumed by a second person: nobody can do it for themselves.
type AccountResume struct {
	Name   string `json:"name" arg:"" help:"The account."`
	Reason string `json:"reason,omitempty" help:"Why, for the log."`
	Told   `embed:""`
}

func (c *AccountResume) Action() string { return "account.resume" }
func (c *AccountResume) About() *string { return &c.Name }
func (c *AccountResume) Object() string { return WithReason(c.Of(c.Name), c.Reason) }

func (c *AccountResume) Do(ctx context.Context, a *Admin, g signin.Grant) (any, error) {
	return a.setState(ctx, g, c.Name, "account.resumed", c.Reason, func(d *directory.Account) error {
		if d.ID == g.Account() {
			return failure.New(failure.Refused, "Another person must do that.")
		}
		d.State = directory.Active
		if d.Idle(a.now()) > a.dormant {
			d.Used = a.now().Truncate(time.Microsecond)
		}
		return nil
	})
}

// AccountClearRisk ends the risk that an owner's report put an account at, for who
// has no password to set anew.
type AccountClearRisk struct {
	Name   string `json:"name" arg:"" help:"The account."`
	Reason string `json:"reason" required:"" help:"How you made sure that it is over, for the log."`
	Told   `embed:""`
}

func (c *AccountClearRisk) Action() string { return "account.clear-risk" }
func (c *AccountClearRisk) About() *string { return &c.Name }
func (c *AccountClearRisk) Object() string {
	return WithReason(c.Of(c.Name)+" is at risk no more", c.Reason)
}

func (c *AccountClearRisk) Do(ctx context.Context, a *Admin, g signin.Grant) (any, error) {
	return a.setState(ctx, g, c.Name, "account.risk-cleared", c.Reason, func(d *directory.Account) error {
		switch {
		case d.ID == g.Account():
			return failure.New(failure.Refused, "Another person must do that.")
		case d.Risk.IsZero():
			return failure.At("name", failure.New(failure.Conflict, "%s is not at risk.", d.Name))
		}
		d.Risk = time.Time{}
		return nil
	})
}

func (a *Admin) setState(ctx context.Context, g signin.Grant, name, event, reason string, edit func(*directory.Account) error) (any, error) {
	var out Account
	var d directory.Account
	err := a.Change(ctx, g, event, map[string]string{"reason": reason}, &d, func(tx *store.Tx) error {
		var err error
		if d, err = a.people.Find(ctx, tx, name); err != nil {
			return err
		}
		if err := a.PersonMust(ctx, tx, g.Account(), d.Privileged); err != nil {
			return err
		}
		if err := edit(&d); err != nil {
			return err
		}
		if d.State != directory.Active {
			if err := a.engine.SpareAdministration(ctx, tx, signin.Suspended(d.ID)); err != nil {
				return err
			}
		}
		if err := a.people.Update(ctx, tx, d); err != nil {
			return err
		}
		if d.State != directory.Active {
			if _, err := a.sessionEndings.EndAllIn(ctx, tx, d.ID, ""); err != nil {
				return err
			}
			if err := a.stops.CloseIn(ctx, tx, d.ID); err != nil {
				return err
			}
			if err := a.passes.EndIn(ctx, tx, d.ID); err != nil {
				return err
			}
		}
		out, err = a.account(ctx, tx, d)
		return err
	})
	return out, err
}

// PassIssue issues a temporary access pass to somebody else.
type PassIssue struct {
	Account string `json:"account" arg:"" help:"Whom the pass is for; never yourself."`
	// Lifetime is in seconds, 3600 when zero, 28800 at most.
	Lifetime int    `json:"lifetime,omitempty" help:"Seconds it lives: 3600 when left out, 28800 at most."`
	Note     string `json:"note,omitempty" help:"How you made sure who it is."`
	Told     `embed:""`
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

func (c *PassIssue) Action() string { return "pass.issue" }
func (c *PassIssue) About() *string { return &c.Account }
func (c *PassIssue) Object() string {
	seconds := c.Lifetime
	if seconds == 0 {
		seconds = int(enrollment.PassDefault / time.Second)
	}
	return WithReason(fmt.Sprintf("%s for %d seconds", c.Of(c.Account), seconds), c.Note)
}

func (c *PassIssue) Do(ctx context.Context, a *Admin, g signin.Grant) (any, error) {
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
		hint, err := a.passHint(ctx, tx, d)
		if err != nil {
			return err
		}
		if err := a.stops.FinishIn(ctx, tx, d.ID); err != nil { // whose browser would end this pass by another
			return err
		}
		if pass, err = a.passIn(ctx, tx, d, time.Duration(c.Lifetime)*time.Second); err != nil {
			return err
		}
		pass.Hint = hint
		return a.notices.Tell(ctx, tx, d, "A temporary access pass was issued for your account",
			fmt.Sprintf("%s issued a pass with which %s can set up a way to sign in. It is good once.", issuer.Name, d.Name))
	})
	return pass, err
}

// passHint says what a person is asked for beside a pass. It refuses where the pass
// would lead nowhere, because nobody replaces both factors alone.
func (a *Admin) passHint(ctx context.Context, tx *store.Tx, d directory.Account) (string, error) {
	credentials, err := a.credentials.All(ctx, tx, d.ID)
	if err != nil {
		return "", err
	}
	two := assurance.TwoFactors().Met(directory.CouldShow(credentials, a.now()), a.now())
	switch beside := directory.AskedBeside(credentials, a.now(), a.now()); {
	case two:
		return fmt.Sprintf("%s has two factors set up, and is asked for them beside the pass. What is lost must be revoked first: authenticator revoke, or on the account's page.", d.Name), nil
	case beside == directory.BesideKnown:
		return fmt.Sprintf("%s has a password, and is asked for it beside the pass. If it is forgotten too, it takes a recovery that a second person confirms: recovery open --forgotten.", d.Name), nil
	case beside == directory.BesideHeld:
		return fmt.Sprintf("%s is asked beside the pass for a device that they set up before. If it is lost too, it takes a recovery that a second person confirms: recovery open --forgotten.", d.Name), nil
	case beside == directory.BesideSecond:
		return "", failure.At("account", failure.Refuse(signin.NeedsSecond, fmt.Sprintf("Nothing is left of what %s signed in with that could be asked for beside a pass, and nobody replaces all of it alone. Open a recovery instead, which a second person confirms: recovery open --forgotten.", d.Name)))
	}
	return "", nil
}

const welcomeKind = "welcome"

func (a *Admin) passIn(ctx context.Context, tx *store.Tx, d directory.Account, lifetime time.Duration) (Pass, error) {
	code, expires, err := a.passes.IssueIn(ctx, tx, d, lifetime)
	if err != nil {
		return Pass{}, err
	}
	link, err := a.tickets.IssueIn(ctx, tx, ticket.Spec{Kind: welcomeKind, Owner: int64(d.ID), Payload: []byte(d.Name + "\n" + code), Lifetime: expires.Sub(a.now())})
	if err != nil {
		return Pass{}, err
	}
	return Pass{Account: d.Name, Code: code, Link: a.publicURL.JoinPath("welcome").String() + "?code=" + link, Expires: expires}, nil
}

// Welcome returns whom a welcome link is for and the pass behind it. The link
// stays good until its pass is used.
func (a *Admin) Welcome(ctx context.Context, code string) (name, pass string, err error) {
	t, err := a.tickets.Peek(ctx, welcomeKind, code)
	if err != nil {
		return "", "", err
	}
	name, pass, _ = strings.Cut(string(t.Payload), "\n")
	return name, pass, nil
}

// SessionEnd ends sessions.
type SessionEnd struct {
	Account string `json:"account" arg:"" help:"Whose sessions."`
	// Number is the session's; all of them when empty.
	Number string `json:"number,omitempty" arg:"" optional:"" help:"Which one; all of them when left out."`
	Reason string `json:"reason,omitempty" help:"Why, for the log."`
	Told   `embed:""`
}

func (c *SessionEnd) Action() string { return "session.end" }
func (c *SessionEnd) About() *string { return &c.Account }
func (c *SessionEnd) Object() string {
	which := "all sessions"
	if c.Number != "" {
		which = "session " + text.Name(c.Number)
	}
	return WithReason(which+" of "+c.Of(c.Account), c.Reason)
}

func (c *SessionEnd) Do(ctx context.Context, a *Admin, g signin.Grant) (any, error) {
	var d directory.Account
	ended := 0
	err := a.Change(ctx, g, "session.ended", map[string]string{"session": c.Number, "reason": c.Reason}, &d, func(tx *store.Tx) error {
		var err error
		if d, err = a.people.Find(ctx, tx, c.Account); err != nil {
			return err
		}
		if err := a.stops.FinishIn(ctx, tx, d.ID); err != nil { // else its browser would begin another
			return err
		}
		if c.Number == "" {
			ended, err = a.sessionEndings.EndAllIn(ctx, tx, d.ID, "")
			return err
		}
		there, err := a.sessionEndings.EndIn(ctx, tx, d.ID, c.Number)
		if err == nil && !there {
			return failure.New(failure.NotFound, "That session has ended already.")
		}
		ended = 1
		return err
	})
	return map[string]int{"ended": ended}, err
}

// AuthenticatorRevoke revokes somebody's authenticator.
type AuthenticatorRevoke struct {
	Account string `json:"account" arg:"" help:"Whose authenticator."`
	ID      int64  `json:"id" arg:"" help:"Its number, as account show prints it."`
	Reason  string `json:"reason,omitempty" help:"Why, for the log."`
	Told    `embed:""`
}

func (c *AuthenticatorRevoke) Action() string { return "authenticator.revoke" }
func (c *AuthenticatorRevoke) Thing(ctx context.Context, a *Admin) (string, error) {
	return a.authenticatorOf(ctx, c.Account, c.ID)
}
func (c *AuthenticatorRevoke) About() *string { return &c.Account }
func (c *AuthenticatorRevoke) Object() string {
	what := fmt.Sprintf("authenticator %d", c.ID)
	if c.What != "" {
		what += " (" + c.What + ")"
	}
	return WithReason(what+" of "+c.Of(c.Account), c.Reason)
}

// sound says that it would be missed.
func (c *AuthenticatorRevoke) Sound(ctx context.Context, a *Admin) error {
	return a.Spare(ctx, a.db, c.Account, c.loss)
}

func (c *AuthenticatorRevoke) loss(id assurance.AccountID) signin.Loss {
	return signin.Without(id, assurance.CredentialID(c.ID), signin.Everything)
}

func (c *AuthenticatorRevoke) Do(ctx context.Context, a *Admin, g signin.Grant) (any, error) {
	var d directory.Account
	err := a.Change(ctx, g, "credential.revoked", map[string]string{"authenticator": strconv.FormatInt(c.ID, 10), "reason": c.Reason}, &d, func(tx *store.Tx) error {
		var err error
		if d, err = a.people.Find(ctx, tx, c.Account); err != nil {
			return err
		}
		credential, err := a.credentials.Get(ctx, tx, d.ID, assurance.CredentialID(c.ID))
		if err != nil {
			return err
		}
		if err := a.PersonMust(ctx, tx, g.Account(), d.Privileged); err != nil {
			return err
		}
		if err := a.engine.SpareAdministration(ctx, tx, c.loss(d.ID)); err != nil {
			return err
		}
		if err := a.endings.RevokeIn(ctx, tx, &credential, directory.ByAdministrator, int64(g.Account())); err != nil {
			return err
		}
		label := credential.Label
		if credential.Lost() {
			label = "Something that is missing in the database"
		}
		return a.notices.Tell(ctx, tx, d, "A way to sign in was revoked", fmt.Sprintf("%q can no longer be used to sign in as %s.", label, d.Name))
	})
	return map[string]string{"revoked": c.Account}, err
}
