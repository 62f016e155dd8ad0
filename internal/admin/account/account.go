// Package account is the commands about accounts.
//
// It owns what administrators are shown of an account, and what keeps one from being
// switched off, on or away, or ends by itself. Accounts are rows of directory, and what else is kept of one is
// told to forget it by each room that keeps it. Its one invariant: nobody is switched off or
// removed without whom nobody could administer, and nobody switches themselves.
package account

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/guard"
	"countersign/internal/admin/pass"
	"countersign/internal/application"
	"countersign/internal/approval"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/linked"
	"countersign/internal/protocol"
	"countersign/internal/recovery"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
	"countersign/internal/ticket"
)

// Commands are those about accounts, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Changes[Create]("Create an account. It has no authenticator and no access until somebody else issues a pass.", Account{}).
			Telling("account.created", "{by} made the account {who}"),
		admin.Looks[Stage]("Send a part of a file of accounts; it changes nothing before account.import.", Staged{}),
		admin.Looks[Preview]("Say what importing the sent file of accounts would do: what is made, changed and left, and what is wrong, by line.", Outcome{}),
		admin.Changes[Import]("Make the accounts of a sent file, part by part, each part whole or not at all.", Outcome{}).
			AlsoDoing("account.create", "group.member.add").
			Telling("account.imported", "{by} imported {detail.count} accounts, part {detail.part}").
			Telling("account.changed-by-import", "{by} added {who} to {detail.groups} by a file"),
		admin.Looks[List]("List accounts by name.", Page{}).AlsoLent(),
		admin.Looks[Show]("Show one account with its authenticators and sessions.", Detail{}).AlsoLent(),
		admin.Changes[Suspend]("Suspend an account: it gets nothing and its sessions end.", Account{}).AlsoLent().
			Telling("account.suspended", "{by} suspended {who}: {detail.reason}"),
		admin.Changes[ClearRisk]("Say that an account is at risk no more, whose owner reported a sign-in.", Account{}).
			Telling("account.risk-cleared", "{by} said that {who} is at risk no more: {detail.reason}"),
		admin.Changes[Open]("Forget wrong answers, so that authenticators that were closed by them are open again.", Account{}).AlsoLent().
			Telling("account.opened", "{by} forgot the wrong answers for {who}: {detail.reason}"),
		admin.Changes[Resume]("Resume a suspended or dormant account.", Account{}).AlsoLent().
			Telling("account.resumed", "{by} resumed {who}: {detail.reason}"),
		admin.Changes[SetEnd]("Say when an account ends: from then on it gets nothing. Never takes its end away.", Account{}).
			Telling("account.end-set", "{by} set the end of {who} to {detail.ends}: {detail.reason}"),
		admin.Changes[Rename]("Give an account another name. The old one still leads to it, and is nobody else's.", Account{}).
			Telling("account.renamed", "{by} renamed {detail.before} to {detail.after}: {detail.reason}"),
		admin.Changes[SetDisplay]("Change what people call an account.", Account{}).
			Telling("account.display-set", "{by} changed what {who} is called, from “{detail.before}” to “{detail.after}”: {detail.reason}"),
		admin.Changes[SetMail]("Replace the mail addresses of an account. The old ones and the new one are told.", Account{}).
			Telling("account.mail-set", "{by} changed the mail address of {who} from {detail.before} to {detail.after}: {detail.reason}"),
		admin.Changes[SetExternal]("Say by which identifier a provisioning client, a service account, knows an account. Its key does it for itself.", Account{}).
			Telling("account.external-set", "{by} knows {who} by the identifier “{detail.external}”"),
		admin.Looks[Links]("List to whom an account is linked at applications that name people by identifiers of their own.", []Link{}),
		admin.Changes[LinkTo]("Link an account to somebody whom an application names, such as a person of a tenant of Entra: its second factor is theirs from then on.", Link{}).
			Telling("account.linked", "{by} linked {who} to {detail.identifier} at {detail.application}: {detail.reason}"),
		admin.Changes[Unlink]("Take the link of an account away.", map[string]string{}).
			Telling("account.unlinked", "{by} took away the link of {who} to {detail.identifier} at {detail.application}: {detail.reason}"),
		admin.Changes[Remove]("Remove an account for good; what the log says of it stays.", map[string]string{}).
			Telling("account.removed", "{by} removed the account {who} for good"),
	}
}

// Parts are what the commands work on.
type Parts struct {
	DB          *store.DB
	Accounts    *directory.Accounts
	Credentials *directory.Credentials
	Groups      *directory.Groups
	Externals   *directory.Externals
	Links       *linked.Links
	// Applications and Protocols say by what an application knows people.
	Applications *application.Catalogue
	Protocols    protocol.List
	Engine       *signin.Engine
	Pushes       *approval.Pushes
	Listing      *enrollment.Listing
	Notices      *enrollment.Notices
	Passes       *enrollment.Passes
	Invitations  *pass.Invitations
	Sessions     *session.Sessions
	Endings      *session.Endings
	// Devices ends app passwords.
	Devices *enrollment.Endings
	Tickets *ticket.Tickets
	Stops   *recovery.Stops
	// Forget deletes what other rooms keep of an account, when it is removed.
	Forget  []func(ctx context.Context, tx *store.Tx, account assurance.AccountID) error
	Dormant time.Duration
	Now     func() time.Time
}

// Desks are where the commands are done.
func Desks(p Parts) []admin.Desk {
	b, m, s := admin.NewBook(p.DB), guard.New(p.Accounts, p.Engine), shown{p.Accounts, p.Credentials, p.Invitations, p.Dormant, p.Now}
	ids, under := identifiers{p.Accounts, p.Externals}, underWay{p.Endings, p.Stops, p.Passes, p.Invitations, p.Devices}
	return []admin.Desk{
		admin.At(&makeDesk{b, m, s, again{p.Accounts}, p.Groups, ids}),
		admin.At(&externalDesk{b, m, s, ids}),
		admin.At(&linkDesk{b, m, p.DB, p.Accounts, p.Links, p.Applications, p.Protocols}),
		admin.At(&readDesk{s, p.DB, p.Engine, p.Pushes, p.Listing, p.Sessions}),
		admin.At(&openDesk{b, m, s, p.Engine}),
		admin.At(&stateDesk{b, m, s, p.DB, under}),
		admin.At(&editDesk{b, m, s, again{p.Accounts}, p.DB, p.Engine, p.Notices, under}),
		admin.At(&importDesk{b, m, p.DB, p.Accounts, p.Groups, again{p.Accounts}, p.Tickets, s}),
		admin.At(&removeDesk{b, m, p.Accounts, p.Endings, p.Forget, p.DB}),
	}
}

// shown is how an account is shown.
type shown struct {
	people      *directory.Accounts
	credentials *directory.Credentials
	invitations *pass.Invitations
	dormant     time.Duration
	now         func() time.Time
}

// makeDesk is where accounts are made.
type makeDesk struct {
	admin.Book
	guard.Guard
	shown
	again  again
	groups *directory.Groups
	ids    identifiers
}

// readDesk is where accounts are looked at.
type readDesk struct {
	shown
	db       store.Reader
	engine   *signin.Engine
	pushes   *approval.Pushes
	listing  *enrollment.Listing
	sessions *session.Sessions
}

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
	// Ends is from when on it gets nothing; Ended says that this is now.
	Ends  time.Time `json:"ends,omitzero"`
	Ended bool      `json:"ended,omitempty"`
	// AtRisk is since when: its owner said that a sign-in was not theirs.
	AtRisk  time.Time `json:"at_risk,omitzero"`
	Created time.Time `json:"created"`
	Used    time.Time `json:"used,omitzero"`
	// Kinds are the kinds of its active authenticators.
	Kinds []string `json:"authenticators"`
	// TwoFactors says that they are enough for two factors.
	TwoFactors bool `json:"two_factors"`
	// Invitation is the newest one that it has, for as long as it is shown.
	Invitation *pass.Invitation `json:"invitation,omitempty"`
}

func (a shown) of(ctx context.Context, r store.Reader, d directory.Account) (Account, error) {
	out := Account{Name: d.Name, Display: d.Display, Kind: d.Kind, State: d.State, Groups: d.Groups, Privileged: d.Privileged,
		Dormant: d.Idle(a.now()) > a.dormant, Ends: d.Ends, Ended: d.Ended(a.now()), AtRisk: d.Risk, Created: d.Created, Used: d.Used, Kinds: []string{}}
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
	one, there, err := a.invitations.Of(ctx, r, d, credentials)
	if there {
		out.Invitation = &one
	}
	return out, err
}

// Create makes an account without any access.
type Create struct {
	Name    string   `json:"name" arg:"" help:"The account's name, as the person types it."`
	Display string   `json:"display,omitempty" help:"What the person is called."`
	Mail    string   `json:"mail,omitempty" help:"Where notices go."`
	Kind    string   `json:"kind,omitempty" help:"person, or service for a program." default:"person" enum:"person,service"`
	Ends    string   `json:"ends,omitempty" help:"From when on it gets nothing: after 10m, 24h or 90d, or at a moment such as 2026-12-31T18:00:00Z. Never when left out."`
	Groups  []string `json:"groups,omitempty" name:"group" help:"A group it is in from the start; give it again for more."`
	// External is only for a service account that makes it, see [SetExternal].
	External string `json:"external,omitempty" kong:"-" help:"By which identifier the service account whose key this is knows it (SCIM externalId)."`
}

// Tell says what stands where something was left out.
func (c *Create) Tell(_ context.Context, _ *makeDesk, s *admin.Sheet) error {
	s.Says("kind", cmp.Or(c.Kind, directory.Person))
	s.Says("ends", cmp.Or(c.Ends, never))
	if len(c.Groups) == 0 {
		s.Says("groups", "none")
	}
	return nil
}

func (c *Create) Action() string { return "account.create" }
func (c *Create) Object() string {
	kind, groups := c.Kind, "in no group"
	if kind == "" {
		kind = directory.Person
	}
	if len(c.Groups) > 0 {
		groups = "in groups " + admin.Listed(c.Groups)
	}
	what := admin.Called(text.Name(kind)+" "+text.Name(c.Name), c.Display)
	if c.Mail != "" {
		what += ", mail " + text.Name(c.Mail)
	}
	if c.Ends != "" {
		groups += ", " + end(c.Ends).words()
	}
	if c.External != "" {
		groups += ", known to the client by " + text.Quote(c.External)
	}
	return what + ", " + groups
}

func (c *Create) Do(ctx context.Context, a *makeDesk, g signin.Grant) (any, error) {
	if c.Kind != "" && c.Kind != directory.Person && c.Kind != directory.Service {
		return nil, failure.New(failure.Invalid, "The kind of an account is person or service.")
	}
	ends, err := end(c.Ends).from(a.now())
	if err != nil {
		return nil, err
	}
	var detail map[string]string
	if !ends.IsZero() {
		detail = map[string]string{"ends": logged(ends)}
	}
	var out Account
	var made directory.Account
	err = a.Change(ctx, g, "account.created", detail, &made, func(tx *store.Tx) error {
		var err error
		if made, err = c.make(ctx, tx, a, g, ends); err != nil {
			return err
		}
		out, err = a.of(ctx, tx, made)
		return err
	})
	return out, err
}

// make makes the account, with its groups and what the client calls it.
func (c *Create) make(ctx context.Context, tx *store.Tx, a *makeDesk, g signin.Grant, ends time.Time) (directory.Account, error) {
	if err := a.again.may(ctx, tx, g, "name", c.Name); err != nil {
		return directory.Account{}, err
	}
	made, err := a.people.Create(ctx, tx, directory.NewAccount{Name: c.Name, Display: c.Display, Kind: c.Kind, Mail: c.Mail, Ends: ends})
	if err != nil {
		return made, err
	}
	if c.External != "" {
		if _, err := a.ids.set(ctx, tx, g, made, c.External); err != nil {
			return made, err
		}
	}
	for _, name := range c.Groups {
		group, err := a.groups.Find(ctx, tx, name)
		if err != nil {
			return made, failure.At("groups", err)
		}
		if err := a.PersonMust(ctx, tx, g.Account(), group.Privileged); err != nil {
			return made, err
		}
		if err := a.groups.AddMember(ctx, tx, group, made); err != nil {
			return made, err
		}
	}
	return a.people.Get(ctx, tx, made.ID)
}

// List lists accounts that a text, a state and a group choose.
type List struct {
	Query string `json:"query,omitempty" arg:"" optional:"" help:"Only those whose name, display name or mail address contains this."`
	State string `json:"state,omitempty" help:"Only those that are suspended, dormant, ended, at-risk, or without-two-factors."`
	Group string `json:"group,omitempty" help:"Only those in this group."`
	Sort  string `json:"sort,omitempty" help:"By name, display, mail, created or used; with a - in front the other way round."`
	After string `json:"after,omitempty" help:"Go on after the account of this name."`
	Limit int    `json:"limit,omitempty" help:"How many: 50 when left out, 500 at most."`
}

// Page is one page of accounts; Next is empty on the last.
type Page struct {
	Accounts []Account `json:"accounts"`
	Next     string    `json:"next,omitempty"`
}

func (c *List) Action() string { return "account.list" }
func (c *List) Object() string { return "" }

func (c *List) Do(ctx context.Context, a *readDesk, _ signin.Grant) (any, error) {
	limit := c.Limit
	if limit <= 0 || limit > 500 {
		limit = 50
	}
	rows, err := a.people.ListOf(ctx, a.db, directory.Which{Query: c.Query, State: c.State, Group: c.Group, Sort: c.Sort, Woken: a.now().Add(-a.dormant), Now: a.now()}, c.After, limit+1)
	if err != nil {
		return nil, err
	}
	page := Page{Accounts: []Account{}}
	for i, d := range rows {
		if i == limit {
			page.Next = rows[limit-1].Name
			break
		}
		acc, err := a.of(ctx, a.db, d)
		if err != nil {
			return nil, err
		}
		page.Accounts = append(page.Accounts, acc)
	}
	return page, nil
}

// Show shows one account.
type Show struct {
	Name string `json:"name" arg:"" help:"The account."`
}

// Detail is one account with what hangs from it.
type Detail struct {
	Account
	Authenticators []enrollment.Authenticator `json:"enrolled"`
	Sessions       []session.Session          `json:"sessions"`
	// FormerNames are names that it had before, which lead to it still.
	FormerNames []string `json:"former_names,omitempty"`
	// Closed is what too many wrong answers closed, and to whom.
	Closed []string `json:"closed,omitempty"`
	// Quiet are the quiet hours that the owner has set, or empty.
	Quiet string `json:"quiet_hours,omitempty"`
	// MailOff says that this server sends no mail, so that notices to the owner wait.
	MailOff bool `json:"mail_off,omitempty"`
}

func (c *Show) Action() string { return "account.show" }
func (c *Show) Object() string { return "" }

func (c *Show) Do(ctx context.Context, a *readDesk, _ signin.Grant) (any, error) {
	d, err := a.people.Find(ctx, a.db, c.Name)
	if err != nil {
		return nil, err
	}
	var out Detail
	if out.Account, err = a.of(ctx, a.db, d); err != nil {
		return nil, err
	}
	if out.FormerNames, err = a.people.FormerNames(ctx, a.db, d); err != nil {
		return nil, err
	}
	if out.Authenticators, err = a.listing.List(ctx, d.ID); err != nil {
		return nil, err
	}
	if !out.Ended { // those of an ended account are nothing any more
		if out.Sessions, err = a.sessions.List(ctx, d.ID); err != nil {
			return out, err
		}
	}
	if out.Closed, err = a.engine.ClosedOf(ctx, a.db, d.ID); err != nil {
		return out, err
	}
	hours, own, err := a.pushes.QuietOf(ctx, d.ID)
	if own {
		out.Quiet = hours.String()
	}
	out.MailOff = !a.invitations.Mails()
	return out, err
}
