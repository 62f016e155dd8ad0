// Package nouns puts together every command that administrators have.
//
// It owns the one list, in the order in which people read it, and gives each noun the
// handles that its commands work on. What a command does is its noun's, a folder of
// countersign/internal/admin; what all have in common is admin's. Its one invariant: each
// command of the list is done at exactly one desk.
package nouns

import (
	"context"
	"net/url"
	"slices"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/account"
	"countersign/internal/admin/administrators"
	"countersign/internal/admin/application"
	"countersign/internal/admin/audit"
	"countersign/internal/admin/authenticator"
	"countersign/internal/admin/certificate"
	"countersign/internal/admin/checklist"
	"countersign/internal/admin/connection"
	"countersign/internal/admin/coverage"
	"countersign/internal/admin/group"
	"countersign/internal/admin/hostcodes"
	"countersign/internal/admin/key"
	"countersign/internal/admin/overview"
	"countersign/internal/admin/partner"
	"countersign/internal/admin/pass"
	"countersign/internal/admin/policy"
	"countersign/internal/admin/prompts"
	"countersign/internal/admin/provisioning"
	"countersign/internal/admin/quiet"
	"countersign/internal/admin/recovery"
	"countersign/internal/admin/rollover"
	"countersign/internal/admin/session"
	"countersign/internal/admin/signal"
	"countersign/internal/admin/site"
	"countersign/internal/admin/survey"
	"countersign/internal/admin/token"
	"countersign/internal/admin/upstream"
	applications "countersign/internal/application"
	"countersign/internal/approval"
	"countersign/internal/assurance"
	"countersign/internal/attack"
	"countersign/internal/certkey"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	hosts "countersign/internal/hostcodes"
	"countersign/internal/linked"
	"countersign/internal/notify"
	"countersign/internal/oauth"
	partners "countersign/internal/partner"
	policies "countersign/internal/policy"
	"countersign/internal/protocol"
	"countersign/internal/provision"
	recoveries "countersign/internal/recovery"
	sessions "countersign/internal/session"
	signals "countersign/internal/signal"
	"countersign/internal/signin"
	"countersign/internal/signingkey"
	"countersign/internal/store"
	"countersign/internal/ticket"
	tokens "countersign/internal/token"
	upstreams "countersign/internal/upstream"
)

// Commands lists every command.
func Commands() admin.List {
	return slices.Concat(overview.Commands(), checklist.Commands(), account.Commands(), pass.Commands(), recovery.Commands(), key.Commands(), rollover.Commands(), session.Commands(), connection.Commands(),
		authenticator.Commands(), prompts.Commands(), quiet.Commands(), certificate.Commands(), token.Commands(), hostcodes.Commands(),
		group.Commands(), application.Commands(), upstream.Commands(), partner.Commands(), provisioning.Commands(), policy.Commands(), site.Commands(), coverage.Commands(), audit.Commands(), signal.Commands())
}

// Parts are what all commands work on.
type Parts struct {
	DB             *store.DB
	Accounts       *directory.Accounts
	Credentials    *directory.Credentials
	Stock          *tokens.Stock
	Files          *tokens.Files
	Hands          *tokens.Hands
	Survey         *directory.Survey
	Groups         *directory.Groups
	Externals      *directory.Externals
	Links          *linked.Links
	Applications   *applications.Catalogue
	Enrolled       enrollment.Pieces
	Recoveries     recoveries.Pieces
	HostCodes      *hosts.Lists
	Upstreams      *upstreams.Catalogue
	Elsewhere      upstreams.Pieces
	Partners       *partners.Kept
	Delegations    *partners.Delegations
	CertKeys       *certkey.Keys
	Signing        *signingkey.Keys
	Provision      provision.Pieces
	Sessions       *sessions.Sessions
	Clients        *oauth.Connections
	Connections    *protocol.Connections
	SessionEndings *sessions.Endings
	Rules          *signin.Rules
	Passes         *pass.Passes
	Invitations    *pass.Invitations
	Tickets        *ticket.Tickets
	Coverage       *coverage.Kept
	Administrators *administrators.Administrators
	Counts         *overview.Counts
	// Prospects look ahead, for who could administer without one of their authenticators.
	Prospects *signin.Prospects
	// Mailer is the mail server as it is configured at this moment; one without a Server is
	// none. MailFails says why it takes nothing now.
	Mailer    func() (notify.Mailer, error)
	MailFails func() string
	// Forget deletes what other rooms keep of an account, when it is removed.
	Forget []func(ctx context.Context, tx *store.Tx, account assurance.AccountID) error
	// Known are the names that a policy may mention.
	Known func(ctx context.Context, r store.Reader) (policies.Known, error)
	// Protocols are those that applications can ask by.
	Protocols protocol.List
	// Place is where applications meet us.
	Place protocol.Place
	// Ears know what was heard of applications.
	Ears *protocol.Ears
	// Engine is asked what it would decide; it is never asked for a Grant.
	Engine *signin.Engine
	// Reach is the most that anybody can show at an application.
	Reach     signin.Reach
	Approvals *approval.Approvals
	Pushes    *approval.Pushes
	Strangers *signin.Strangers
	// Unheard reports whether a protocol needs an address of its own that this server does not
	// listen on; nil knows of none.
	Unheard func(protocol string) bool
	// Streams and Sources are those of signals, with what sends the one and hears the other.
	Streams     *signals.Streams
	Transmitter *signals.Transmitter
	Sources     *signals.Sources
	Hearing     *signals.Hearing
	// Carriers says what is wrong with each service that takes messages to people.
	Carriers func() []string
	// Loosened are the exceptions that the configuration makes at this moment.
	Loosened  func() []attack.Exception
	PublicURL *url.URL
	// CardsURL is where smart cards are shown; nil for nowhere.
	CardsURL *url.URL
	Dormant  time.Duration
	Now      func() time.Time
}

// New makes what does them.
func New(p Parts) *admin.Admin {
	return admin.New(admin.Parts{DB: p.DB, Accounts: p.Accounts, Sessions: p.Sessions, Desks: slices.Concat(people(p), things(p), rules(p)), Titles: Commands().Title, Now: p.Now})
}

// people are the desks about accounts and what they sign in with.
func people(p Parts) []admin.Desk {
	return slices.Concat(
		account.Desks(account.Parts{DB: p.DB, Pushes: p.Pushes, Accounts: p.Accounts, Credentials: p.Credentials, Groups: p.Groups, Externals: p.Externals, Links: p.Links, Applications: p.Applications, Protocols: p.Protocols, Engine: p.Engine, Listing: p.Enrolled.Listing, Notices: p.Enrolled.Notices, Passes: p.Enrolled.Passes, Invitations: p.Invitations, Tickets: p.Tickets, Sessions: p.Sessions, Endings: p.SessionEndings, Devices: p.Enrolled.Endings, Stops: p.Recoveries.Stops, Forget: p.Forget, Dormant: p.Dormant, Now: p.Now}),
		token.Desks(token.Parts{DB: p.DB, Accounts: p.Accounts, Stock: p.Stock, Files: p.Files, Hands: p.Hands, Engine: p.Engine, PINs: p.Enrolled.PINs, Dormant: p.Dormant, Now: p.Now}),
		recovery.Desks(recovery.Parts{DB: p.DB, Accounts: p.Accounts, Groups: p.Groups, Engine: p.Engine, Notices: p.Enrolled.Notices,
			Cases: p.Recoveries.Cases, Openings: p.Recoveries.Openings, Confirmations: p.Recoveries.Confirmations, Stops: p.Recoveries.Stops, Owners: p.Recoveries.Owners, Dormant: p.Dormant, Now: p.Now}),
		pass.Desks(pass.Parts{DB: p.DB, Accounts: p.Accounts, Credentials: p.Credentials, Engine: p.Engine, Notices: p.Enrolled.Notices, Stops: p.Recoveries.Stops, Passes: p.Passes, Invitations: p.Invitations, Dormant: p.Dormant, Now: p.Now}),
		[]admin.Desk{
			key.Desk(key.Parts{DB: p.DB, Accounts: p.Accounts, Keys: p.Enrolled.Keys, Commands: Commands, Applications: p.Applications, Protocols: p.Protocols, Now: p.Now}),
			session.Desk(session.Parts{DB: p.DB, Accounts: p.Accounts, Endings: p.SessionEndings, Stops: p.Recoveries.Stops}),
			connection.Desk(connection.Parts{DB: p.DB, Accounts: p.Accounts, Connections: p.Connections, Clients: p.Clients}),
			authenticator.Desk(authenticator.Parts{DB: p.DB, Accounts: p.Accounts, Credentials: p.Credentials, Engine: p.Engine, Listing: p.Enrolled.Listing, Endings: p.Enrolled.Endings, Notices: p.Enrolled.Notices}),
			certificate.Desk(certificate.Parts{DB: p.DB, Accounts: p.Accounts, Credentials: p.Credentials, Engine: p.Engine, Enrollments: p.Enrolled.Enrollments, Listing: p.Enrolled.Listing, Dormant: p.Dormant, Now: p.Now}),
		})
}

// things are the desks about groups, applications, hosts and requests to approve.
func things(p Parts) []admin.Desk {
	return slices.Concat(
		group.Desks(groupParts(p)),
		application.Desks(applicationParts(p)),
		upstream.Desks(upstreamParts(p)),
		partner.Desks(partner.Parts{DB: p.DB, Accounts: p.Accounts, Credentials: p.Credentials, Groups: p.Groups, Applications: p.Applications, Upstreams: p.Upstreams, Kept: p.Partners, Delegations: p.Delegations, Engine: p.Engine, Commands: Commands, Now: p.Now}),
		signal.Desks(signalParts(p)),
		[]admin.Desk{
			hostcodes.Desk(hostcodes.Parts{DB: p.DB, HostCodes: p.HostCodes}),
			prompts.Desk(prompts.Parts{DB: p.DB, Accounts: p.Accounts, Approvals: p.Approvals, Now: p.Now}),
			rollover.Desk(rollover.Parts{DB: p.DB, Certs: p.CertKeys, Signing: p.Signing, Now: p.Now}),
			provisioning.Desk(provisioningParts(p)),
			quiet.Desk(quiet.Parts{DB: p.DB, Accounts: p.Accounts, Pushes: p.Pushes, Notices: p.Enrolled.Notices}),
		})
}

func upstreamParts(p Parts) upstream.Parts {
	return upstream.Parts{DB: p.DB, Accounts: p.Accounts, Engine: p.Engine, Upstreams: p.Upstreams, Links: p.Elsewhere.Links, Visits: p.Elsewhere.Visits, Dormant: p.Dormant, Now: p.Now}
}

func signalParts(p Parts) signal.Parts {
	return signal.Parts{DB: p.DB, Accounts: p.Accounts, Streams: p.Streams, Transmitter: p.Transmitter, Sources: p.Sources, Hearing: p.Hearing, PublicURL: p.PublicURL, Now: p.Now}
}

func provisioningParts(p Parts) provisioning.Parts {
	return provisioning.Parts{DB: p.DB, Applications: p.Applications, Groups: p.Groups, Targets: p.Provision.Targets, Queue: p.Provision.Queue, Worker: p.Provision.Worker, Now: p.Now}
}

func siteParts(p Parts, rules policy.Parts) site.Parts {
	return site.Parts{DB: p.DB, Groups: p.Groups, Applications: p.Applications,
		Group: group.NewWithin(groupParts(p)), Application: application.NewWithin(applicationParts(p)), Policy: policy.NewWithin(rules),
		Upstreams:    site.Kind{Keeper: upstream.NewWithin(upstreamParts(p)), Secret: upstreams.Secret},
		Provisioning: site.Kind{Keeper: provisioning.NewWithin(provisioningParts(p)), Secret: provisioning.Secret},
		Streams:      site.Kind{Keeper: signal.NewStreamsWithin(signalParts(p)), Secret: signal.Secret},
		Sources:      site.Kind{Keeper: signal.NewSourcesWithin(signalParts(p)), Secret: signal.Secret},
	}
}

func groupParts(p Parts) group.Parts {
	return group.Parts{DB: p.DB, Accounts: p.Accounts, Groups: p.Groups, Externals: p.Externals, Engine: p.Engine, Applications: p.Applications, Protocols: p.Protocols}
}

func applicationParts(p Parts) application.Parts {
	return application.Parts{DB: p.DB, Groups: p.Groups, Engine: p.Engine, Applications: p.Applications, Protocols: p.Protocols, PublicURL: p.PublicURL, Place: p.Place, Ears: p.Ears, Unheard: p.Unheard}
}

// rules are the desks about the policy, what it comes to, and the log.
func rules(p Parts) []admin.Desk {
	everybody := survey.New(survey.Parts{DB: p.DB, Accounts: p.Survey, Engine: p.Engine, Applications: p.Applications, Protocols: p.Protocols, Commands: Commands(), Mandates: p.Partners, Dormant: p.Dormant, Now: p.Now})
	rules := policy.Parts{DB: p.DB, Engine: p.Engine, Rules: p.Rules, Applications: p.Applications, Protocols: p.Protocols, Survey: everybody, Reach: p.Reach, Known: p.Known, Now: p.Now}
	return slices.Concat(
		policy.Desks(rules),
		coverage.Desks(coverage.Parts{DB: p.DB, Kept: p.Coverage, Rules: p.Rules, Survey: everybody, Administrators: p.Administrators, Groups: p.Groups, Mails: func() bool { return p.Recoveries.Owners.Mails() }, Reading: Commands().Reading(), Loosened: p.Loosened, PublicURL: p.PublicURL, CardsURL: p.CardsURL, Dormant: p.Dormant, Now: p.Now}),
		[]admin.Desk{
			overview.Desk(overview.Parts{DB: p.DB, Accounts: p.Accounts, Groups: p.Groups, Applications: p.Applications, Cases: p.Recoveries.Cases, Administrators: p.Administrators, Counts: p.Counts, Carriers: p.Carriers, Mails: p.Invitations.Mails(), Dormant: p.Dormant, Now: p.Now}),
			checklist.Desk(checklist.Parts{DB: p.DB, Accounts: p.Accounts, Survey: p.Survey, Applications: p.Applications, Ears: p.Ears, Administrators: p.Administrators, Prospects: p.Prospects, Listing: p.Enrolled.Listing, Mailer: p.Mailer, MailFails: p.MailFails, Now: p.Now}),
			site.Desk(siteParts(p, rules)),
			audit.Desk(audit.Parts{DB: p.DB, Accounts: p.Accounts, Strangers: p.Strangers, Now: p.Now}),
		})
}
