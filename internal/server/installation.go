// Package server puts a Countersign together and serves it.
//
// It owns the lists of what a server is made of (kinds.go, protocols.go), the settings that a
// configuration means, the listeners, the local socket, what is done from time to time
// (sweeping, inspecting, sending), and the demonstration. It decides nothing and knows no
// command line. Its neighbours are cli, which starts it, and every room, which it makes. Its
// invariant: what is listed here is all that there is, and no room finds another but by what
// it was handed here.
package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"

	"countersign/internal/admin"
	"countersign/internal/admin/administrators"
	logs "countersign/internal/admin/audit"
	"countersign/internal/admin/coverage"
	"countersign/internal/admin/nouns"
	"countersign/internal/admin/overview"
	"countersign/internal/admin/pass"
	ways "countersign/internal/admin/recovery"
	"countersign/internal/admin/setup"
	"countersign/internal/application"
	"countersign/internal/approval"
	"countersign/internal/assurance"
	"countersign/internal/attack"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/accesspass"
	"countersign/internal/authenticator/apikey"
	"countersign/internal/authenticator/apppassword"
	"countersign/internal/authenticator/slowhash"
	"countersign/internal/certkey"
	"countersign/internal/clientaddr"
	"countersign/internal/config"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/events"
	"countersign/internal/hostcodes"
	"countersign/internal/incident"
	"countersign/internal/keyring"
	"countersign/internal/linked"
	samlmetadata "countersign/internal/metadata"
	"countersign/internal/notify"
	"countersign/internal/oauth"
	"countersign/internal/participant"
	"countersign/internal/partner"
	"countersign/internal/policy"
	"countersign/internal/protocol"
	"countersign/internal/protocol/oidc"
	"countersign/internal/protocol/registration"
	"countersign/internal/protocol/scim"
	"countersign/internal/protocol/signals"
	"countersign/internal/provision"
	"countersign/internal/pushkey"
	"countersign/internal/recovery"
	"countersign/internal/rootkey"
	"countersign/internal/session"
	"countersign/internal/signal"
	"countersign/internal/signin"
	"countersign/internal/signingkey"
	"countersign/internal/store"
	"countersign/internal/ticket"
	hardware "countersign/internal/token"
	"countersign/internal/upstream"
	"countersign/internal/web/api"
	"countersign/internal/web/app"
	"countersign/internal/web/challenge"
	"countersign/internal/web/console"
	"countersign/internal/web/look"
	"countersign/internal/web/portal"
)

// Installation is a Countersign, put together and not yet serving. It is for who serves it
// and for tests, which are the only ones that may import this room.
type Installation struct {
	DB             *store.DB
	Keys           *keyring.Keyring
	protocols      protocol.List
	ears           *protocol.Ears
	services       []service // of the protocols, in the list's order
	Engine         *signin.Engine
	outbox         *notify.Outbox
	carriers       carriers
	Delivery       *events.Delivery
	Admin          *admin.Admin
	Setup          *setup.Setup
	Passes         *pass.Passes
	Invitations    *pass.Invitations
	coverage       *coverage.Kept
	Administrators *administrators.Administrators
	Counts         *overview.Counts
	byMachine      *ways.Local
	Sessions       *session.Sessions
	Endings        *session.Endings
	Handovers      *session.Handovers
	continuations  *session.Continuations
	Tickets        *ticket.Tickets
	Participants   *participant.Participants
	Provision      provision.Pieces
	CertKeys       *certkey.Keys
	Grants         *oauth.Grants
	connections    *protocol.Connections
	Signing        *signingkey.Keys
	Waiting        *oauth.Devices
	Pusher         *Pusher
	API            *api.API
	SCIM           *scim.Server
	Registration   *registration.Server
	Signals        signal.Pieces
	SignalServer   *signals.Server
	Routes         []look.Route // of the pages, with what each demands
	Handler        http.Handler
	kinds          KindList
	rooms          []inspector // that keep rows

	Accounts    *directory.Accounts
	Credentials *directory.Credentials
	Hardware    *hardware.Stock
	Groups      *directory.Groups
	Externals   *directory.Externals
	Links       *linked.Links
	Rules       *signin.Rules
	Catalogue   *application.Catalogue
	Upstreams   *upstream.Catalogue
	Metadata    *samlmetadata.Kept
	Elsewhere   upstream.Pieces
	Partners    *partner.Kept
	Delegations *partner.Delegations
	SignIn      signin.Pieces
	Enrolled    enrollment.Pieces
	Recoveries  recovery.Pieces
	Incidents   *incident.Incidents
	publicURL   *url.URL
	// organisation is whose installation it is, for mails; it may be empty.
	organisation string
	listening    atomic.Pointer[map[string]protocol.Sockets]
	Recovery     func() config.LocalRecovery
	version      string
}

// DatabaseFile is the SQLite database in the data folder.
const DatabaseFile = "countersign.db"

// RememberedFolder is what a server knows of its database, outside of it.
const RememberedFolder = "remembered"

// Assemble opens the database and the keys of the data folder, which it makes the first time,
// and puts all rooms together. Where it fails nothing is left open.
func Assemble(ctx context.Context, s Settings) (*Installation, error) {
	if err := os.MkdirAll(s.Folder, 0o700); err != nil {
		return nil, err
	}
	root, err := rootkey.FindOrMake(s.Folder, DatabaseFile)
	if err != nil {
		return nil, err
	}
	dsn := s.Database
	if dsn == "" {
		dsn = filepath.Join(s.Folder, DatabaseFile)
	}
	db, err := store.Open(ctx, store.Options{DSN: dsn, Driver: s.Driver, Now: s.Now, Log: s.Log, Remember: filepath.Join(s.Folder, RememberedFolder)})
	if err != nil {
		return nil, err
	}
	keys, err := rootkey.OpenKeys(ctx, db, root)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if err := checkDemonstration(ctx, db, s.Demo); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	in := &Installation{DB: db, Keys: keys}
	if err := in.build(ctx, s); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return in, nil
}

func (in *Installation) build(ctx context.Context, s Settings) error {
	if s.Protocols == nil {
		s.Protocols = Protocols()
	}
	in.protocols, in.ears = s.Protocols, protocol.NewEars()
	var err error
	in.Upstreams, in.Partners = upstream.NewCatalogue(in.DB, in.Keys), partner.NewKept(in.DB, in.Keys)
	in.Metadata = samlmetadata.New(samlmetadata.Parts{DB: in.DB, Keys: in.Keys, Now: s.Now, Log: s.Log})
	if in.kinds, err = Kinds(s, in.Keys, in.Upstreams); err != nil {
		return err
	}
	in.publicURL, in.organisation, in.Recovery, in.version = s.PublicURL, s.Organisation, s.Recovery, s.Version
	kinds, tokens := in.kinds.here(), in.kinds.Tokens()
	of := directory.Parts{DB: in.DB, Keys: in.Keys}
	in.Externals = directory.NewExternals(of)
	in.Accounts, in.Groups, in.Credentials = directory.NewAccounts(of), directory.NewGroups(of), directory.NewCredentials(of)
	milestones, bound := directory.NewMilestones(of), directory.NewBinding(of)
	var catalogue *application.Catalogue
	known := func(ctx context.Context, r store.Reader) (policy.Known, error) {
		return vocabulary{in.Groups, catalogue, in.kinds, in.protocols}.names(ctx, r)
	}
	rules := signin.NewRules(in.DB, in.Keys, known, s.Log)
	lists := hostcodes.New(hostcodes.Parts{DB: in.DB, Keys: in.Keys})
	old, err := unbound(ctx, bound, s.Log)
	if err != nil {
		return err
	}
	if err := old.bind(ctx, in.Keys.Bind, bound.Bind, rules.Bind, lists.Bind,
		func(ctx context.Context) error { return application.Bind(ctx, in.DB, in.Keys) },
		func(ctx context.Context) error { return recovery.Bind(ctx, in.DB, in.Keys) },
	); err != nil {
		return err
	}
	if catalogue, err = application.Open(ctx, in.DB, in.Keys); err != nil {
		return err
	}
	in.Rules, in.Catalogue = rules, catalogue
	in.Tickets = ticket.New(ticket.Parts{DB: in.DB, Keys: in.Keys, Now: s.Now})
	kept := session.Parts{DB: in.DB, Keys: in.Keys, Tickets: in.Tickets, Limits: s.Sessions, Now: s.Now}
	in.Sessions = session.New(kept)
	in.Endings, in.Handovers, in.continuations = session.NewEndings(in.Sessions), session.NewHandovers(in.Sessions, in.Tickets), session.NewContinuations(kept, in.Sessions)
	rules.Watch()
	in.Participants = participant.New(participant.Parts{DB: in.DB, Keys: in.Keys, Tickets: in.Tickets, Now: s.Now})
	in.CertKeys = certkey.New(certkey.Parts{DB: in.DB, Keys: in.Keys, Purposes: append(s.Protocols.Keys(), upstream.Keys()), Subject: s.PublicURL.Hostname(), Now: s.Now})
	in.rooms = append(in.rooms, in.Keys, directory.NewInspection(of), rules, catalogue, in.Sessions, in.Tickets, in.Participants, in.CertKeys, in.Upstreams, in.Metadata, in.Partners)
	limits, err := s.Limits.Check()
	if err != nil {
		return err
	}
	var incidents *incident.Incidents
	disown := func(ctx context.Context, tx *store.Tx, d approval.Disowned) error {
		_, err := incidents.ReportTx(ctx, tx, incident.Reported{Account: d.Account, Entry: d.Entry})
		return err
	}
	if in.outbox, err = notify.NewOutbox(in.DB, in.Keys, s.Now); err != nil {
		return err
	}
	in.outbox.Speaking(s.Languages)
	in.carriers = newCarriers(in.DB, s.Log)
	in.openClients(s.Now)
	connections := oauth.NewConnections(in.Grants)
	in.Endings.Tells(func(ctx context.Context, tx *store.Tx, account assurance.AccountID, number string) error {
		return errors.Join(connections.SessionEndedTx(ctx, tx, account, number), in.Participants.SessionEndedTx(ctx, tx, account, number))
	})
	openSignals(in, s)
	in.SignIn, err = signin.New(signin.Parts{DB: in.DB, Keys: in.Keys, Accounts: in.Accounts, Credentials: in.Credentials, Milestones: milestones, Groups: in.Groups, Applications: catalogue, Rules: rules,
		Authenticators: kinds, Reading: nouns.Commands().Reading(), Helping: nouns.Commands().Helping(), Lending: nouns.Commands().Lent(), Mandates: in.Partners, Comprising: nouns.Commands().Comprising(), Sessions: in.Grants, Limits: limits, Quiet: s.Quiet, SlowChecks: slowhash.Slots(), ApproveAt: s.PublicURL.Host + "/account/approve", OpenAt: s.PublicURL.String() + challenge.OpenPath, Disown: disown, Now: s.Now, Log: s.Log, Outbox: in.outbox})
	if err != nil {
		return err
	}
	in.SignIn.Messages.Speaking(s.Languages)
	in.Engine = in.SignIn.Engine
	in.Waiting = oauth.NewDevices(oauth.Parts{DB: in.DB, Keys: in.Keys, Tickets: in.Tickets, Tries: in.SignIn.Tries, Now: s.Now}, in.Grants)
	pins := pinKinds{tokens, pinKeys{in.Keys}, s.PINDigits}
	enrolled := enrollment.New(enrollment.Parts{DB: in.DB, Accounts: in.Accounts, Credentials: in.Credentials, Strangers: in.SignIn.Strangers, Tries: in.SignIn.Tries, Outbox: in.outbox, Tickets: in.Tickets, Sessions: in.Endings,
		Authenticators: kinds, NewPass: accesspass.Issue, NewKey: newKey, NewAppPassword: newAppPassword, PINs: pins, Messages: in.SignIn.Messages, Spare: in.Engine.SpareAdministration, KeepsOut: in.SignIn.Prospects.KeepsOut, Quarantine: limits.Quarantine, Now: s.Now})
	in.Elsewhere = upstream.New(upstream.Parts{DB: in.DB, Accounts: in.Accounts, Credentials: in.Credentials, Catalogue: in.Upstreams, Notices: enrolled.Notices, Endings: enrolled.Endings, Tickets: in.Tickets, CertKeys: in.CertKeys, Metadata: in.Metadata, PublicURL: s.PublicURL, Dormant: limits.Dormant, Now: s.Now, Log: s.Log})
	in.Delegations = partner.New(partner.Parts{DB: in.DB, Kept: in.Partners, Accounts: in.Accounts, Groups: in.Groups, People: directory.NewPartners(of), Notices: enrolled.Notices, Passes: enrolled.Passes, Sessions: in.Endings, Now: s.Now})
	in.Hardware = hardware.NewStock(in.DB, in.Keys)
	hands := hardware.NewHands(hardware.Parts{Stock: in.Hardware, Accounts: in.Accounts, Credentials: in.Credentials, Enrollments: enrolled.Enrollments, Endings: enrolled.Endings, Notices: enrolled.Notices, Kinds: tokens, PINs: pins, Spare: in.Engine.SpareAdministration, Now: s.Now})
	in.rooms = append(in.rooms, in.Hardware)
	wait := recovery.WaitDefault
	if s.Wait != nil {
		wait = *s.Wait
	}
	recoveries, err := recovery.New(recovery.Parts{DB: in.DB, Keys: in.Keys, Accounts: in.Accounts, Credentials: in.Credentials, Groups: in.Groups, Endings: enrolled.Endings, Passes: enrolled.Passes, Tickets: in.Tickets, Outbox: in.outbox, Tries: in.SignIn.Tries,
		EndSessions: in.Endings.EndAllTx, PublicURL: s.PublicURL, Mails: s.Mails, Wait: wait, Dormant: limits.Dormant, Now: s.Now})
	if err != nil {
		return err
	}
	incidents = incident.New(incident.Parts{DB: in.DB, Accounts: in.Accounts, Credentials: in.Credentials, Groups: in.Groups, Sessions: in.Endings, Endings: enrolled.Endings, Notices: enrolled.Notices, Recoveries: recoveries.Stops, Spare: in.Engine.SpareAdministration, Now: s.Now})
	in.Enrolled, in.Recoveries, in.Incidents = enrolled, recoveries, incidents
	in.Links = linked.New(linked.Parts{DB: in.DB, Accounts: in.Accounts, Externals: in.Externals, Tell: in.tellOwner, Now: s.Now})
	in.rooms = append(in.rooms, recoveries.Cases, recoveries.Requests, lists)
	pushes, err := pushkey.Open(ctx, in.DB, in.Keys)
	if err != nil {
		return err
	}
	if in.Pusher, err = newPusher(in, s, pushes.Key()); err != nil {
		return err
	}
	in.rooms = append(in.rooms, pushes)
	in.Provision = provision.New(provision.Parts{DB: in.DB, Keys: in.Keys, Accounts: in.Accounts, Groups: in.Groups, Roll: directory.NewRoll(of), Applications: catalogue, MayUse: in.SignIn.Prospects.MayUse, Now: s.Now, Log: s.Log})
	in.rooms = append(in.rooms, in.Provision.Worker)
	if in.Delivery, err = in.delivery(s); err != nil {
		return err
	}
	in.rooms = append(in.rooms, in.Delivery)
	in.Passes = pass.NewPasses(enrolled.Passes, in.Tickets, s.PublicURL, s.Now)
	in.Invitations = pass.NewInvitations(pass.Parts{DB: in.DB, Keys: in.Keys, Accounts: in.Accounts, Credentials: in.Credentials, Tickets: in.Tickets, Outbox: in.outbox, Notices: enrolled.Notices, Passes: in.Passes, PublicURL: s.PublicURL, Mails: s.Mails, Dormant: limits.Dormant, Now: s.Now})
	in.coverage = coverage.NewKept(in.DB, in.Keys, catalogue)
	in.Administrators = administrators.New(administrators.Parts{DB: in.DB, Accounts: in.Accounts, Engine: in.Engine, Outbox: in.outbox, PublicURL: s.PublicURL, Dormant: limits.Dormant, Now: s.Now})
	in.Counts = overview.NewCounts(in.DB, s.Now)
	in.Setup = setup.New(setup.Parts{DB: in.DB, Accounts: in.Accounts, Milestones: milestones, Groups: in.Groups, Rules: rules, Tickets: in.Tickets, Passes: in.Passes, Now: s.Now})
	in.byMachine = ways.NewLocal(ways.Parts{DB: in.DB, Accounts: in.Accounts, Credentials: in.Credentials, Groups: in.Groups, Endings: enrolled.Endings, Sessions: in.Endings, Notices: enrolled.Notices, Now: s.Now}, in.Passes)
	given := oauth.NewConnections(in.Grants)
	in.connections = protocol.NewConnections(protocol.NewDoors(in.SignIn.Prospects, catalogue, in.protocols, in.publicURL), given, in.Participants, in.Sessions)
	in.Admin = nouns.New(nouns.Parts{DB: in.DB, Approvals: in.SignIn.Approvals, Pushes: in.SignIn.Pushes, Strangers: in.SignIn.Strangers, Accounts: in.Accounts, Credentials: in.Credentials, Survey: directory.NewSurvey(of), Groups: in.Groups, Externals: in.Externals, Applications: catalogue, Links: in.Links, Enrolled: enrolled, Recoveries: recoveries, HostCodes: lists, CertKeys: in.CertKeys, Provision: in.Provision, Signing: in.Signing, Passes: in.Passes, Invitations: in.Invitations, Tickets: in.Tickets, Coverage: in.coverage, Administrators: in.Administrators, Counts: in.Counts, Prospects: in.SignIn.Prospects, Mailer: in.mailer(s.Mail), MailFails: in.carriers.mail.says, Stock: in.Hardware, Files: hardware.NewFiles(in.Hardware, in.Tickets, tokens), Hands: hands,
		Upstreams: in.Upstreams, Elsewhere: in.Elsewhere, Partners: in.Partners, Delegations: in.Delegations,
		Sessions: in.Sessions, Clients: given, Connections: in.connections, SessionEndings: in.Endings, Rules: rules, Forget: in.forgetting(), Known: known, Protocols: s.Protocols, Place: protocol.Place{Public: s.PublicURL, Ask: protocol.AskAt(s.Listen, s.PublicURL), TLS: s.TLS, Sockets: in.socketsOf}, Ears: in.ears, Engine: in.Engine, Reach: signin.ReachOf(kinds, s.Now),
		Unheard: in.unheard, Carriers: func() []string { return saysOf(in) }, Streams: in.Signals.Streams, Transmitter: in.Signals.Transmitter, Sources: in.Signals.Sources, Hearing: in.Signals.Hearing, Loosened: func() []attack.Exception { return append(loosened(in.Recovery), hurried(wait)...) }, PublicURL: s.PublicURL, CardsURL: s.Cards.address(), Dormant: limits.Dormant, Now: s.Now})
	if err := errors.Join(old.bind(ctx, in.Engine.Bind, in.outbox.Bind, in.coverage.Bind), old.end(ctx)); err != nil {
		return err
	}
	in.rooms = append(in.rooms, in.Engine, in.outbox, in.coverage)
	if err := in.Setup.Install(ctx); err != nil {
		return err
	}
	if err := in.Delivery.Begin(ctx); err != nil {
		return err
	}
	clients := clientaddr.NewReader(s.Proxies, s.Now, s.Log)
	clients.HandedOn(s.CertificateHeader)
	l, err := look.New(look.Options{Secure: s.PublicURL.Scheme == "https", Organisation: s.Organisation, Brand: s.Brand, Kinds: in.kinds.words(), Now: s.Now, Languages: s.Languages, Log: s.Log})
	if err != nil {
		return err
	}
	if err := in.openProtocols(protocol.Parts{Pages: protocolPages(l), Locales: l, Engine: in.Engine, Applications: catalogue, Handovers: in.Handovers, Continuations: in.continuations, Sessions: in.Sessions, Endings: in.Endings, Tickets: in.Tickets, Grants: in.Grants, Signing: in.Signing, Waiting: in.Waiting, Comings: in.SignIn.Comings, Links: in.Links, Abroad: s.Abroad, Method: in.kinds.method, Participants: in.Participants, Requests: participant.NewRequests(in.Keys, s.Now), CertKeys: in.CertKeys, Metadata: in.Metadata, Clients: clients, PublicURL: s.PublicURL, Mutual: s.Mutual, Now: s.Now, Log: s.Log, Ears: in.ears}); err != nil {
		return err
	}
	in.Handler, err = in.pages(s, l, clients)
	return err
}

// devicesOf answer browsers that bind their sessions.
func devicesOf(in *Installation) protocol.Devices {
	return protocol.NewDevices(session.NewDevices(in.Sessions, in.Tickets), in.SignIn.Copies)
}

// forgetting are the rooms beside the directory that keep something of an account, which
// they delete when it is removed. Sessions are ended before, and stay for the log.
func (in *Installation) forgetting() []func(ctx context.Context, tx *store.Tx, account assurance.AccountID) error {
	return []func(ctx context.Context, tx *store.Tx, account assurance.AccountID) error{in.Engine.Forget, in.Tickets.Forget, in.Recoveries.Requests.Forget, in.Participants.Forget, in.Provision.Queue.Forget, in.Grants.Forget, in.Partners.Forget, in.Signals.Keeper.Forget}
}

func (in *Installation) pages(s Settings, l *look.Look, clients *clientaddr.Reader) (http.Handler, error) {
	gesture, err := gestureOptions(in.kinds.here())
	if err != nil {
		return nil, err
	}
	browser := challenge.NewBrowser(l, in.Engine, in.continuations, clients.Source)
	log := logs.NewLog(in.DB, in.Keys)
	in.API = api.New(api.Parts{Browser: browser, Look: l, Engine: in.Engine, Sessions: in.Sessions, Endings: in.Endings, Admin: in.Admin, Tickets: in.Tickets, PublicURL: s.PublicURL, Now: s.Now, Log: s.Log})
	in.SCIM = scim.New(scim.Parts{View: in.DB.View(), Entries: in.DB.AuditLog(), Accounts: in.Accounts, Groups: in.Groups, Roll: directory.NewRoll(directory.Parts{DB: in.DB, Keys: in.Keys}), Externals: in.Externals, Engine: in.Engine, Admin: in.Admin, Channel: api.Protocol, Source: clients.Source, PublicURL: s.PublicURL, Log: s.Log})
	in.Registration = registration.New(registration.Parts{Engine: in.Engine, Admin: in.Admin, Tickets: in.Tickets, Channel: api.Protocol, Source: clients.Source, PublicURL: s.PublicURL, Now: s.Now, Log: s.Log})
	in.SignalServer = signals.New(signals.Parts{View: in.DB.View(), Accounts: in.Accounts, Roll: directory.NewRoll(directory.Parts{DB: in.DB, Keys: in.Keys}), Streams: in.Signals.Streams, Hearing: in.Signals.Hearing, Engine: in.Engine, Admin: in.Admin, Channel: api.Protocol, Source: clients.Source, PublicURL: s.PublicURL, Keys: oidc.KeysPath, Log: s.Log})
	var routes []look.Route
	routes = append(routes, in.API.Routes()...)
	routes = append(routes, challenge.New(challenge.Parts{Browser: browser, Look: l, Engine: in.Engine, Prospects: in.SignIn.Prospects, Sessions: in.Sessions, Endings: in.Endings, Continuations: in.continuations, Welcomes: in.Passes, Invitations: in.Invitations, Setup: in.Setup, Requests: in.Recoveries.Requests, Openings: in.Recoveries.Openings, Passes: in.Recoveries.Passes, Stops: in.Recoveries.Stops, Languages: in.Enrolled.Languages, Upstreams: in.Elsewhere.Visits, Links: in.Elsewhere.Links, Devices: devicesOf(in), Left: in.left, Now: s.Now}).Routes()...)
	routes = append(routes, portal.New(portal.Parts{Log: log, Prospects: in.SignIn.Prospects, Doors: protocol.NewDoors(in.SignIn.Prospects, in.Catalogue, in.protocols, in.publicURL), Connections: in.connections, Browser: browser, Look: l, Approvals: in.SignIn.Approvals, Pushes: in.SignIn.Pushes, Sessions: in.Sessions, Endings: in.Endings, Enrollments: in.Enrolled.Enrollments, Listing: in.Enrolled.Listing, Changes: in.Enrolled.Changes, PINs: in.Enrolled.PINs, AppPasswords: in.Enrolled.AppPasswords, Cases: in.Recoveries.Cases, Stops: in.Recoveries.Stops, Incidents: in.Incidents, Setup: in.Setup, Languages: in.Enrolled.Languages}).Routes()...)
	routes = append(routes, app.New(app.Parts{Browser: browser, Look: l, Apps: in.SignIn.Apps, Enrollments: in.Enrolled.Enrollments, PushKey: in.Pusher.Public, Gesture: gesture, CheckAddress: checkAddress}).Routes()...)
	routes = append(routes, console.New(console.Parts{Log: log, Browser: browser, Look: l, Admin: in.Admin, Protocols: s.Protocols}).Routes()...)
	in.Routes = routes
	pages, err := (&look.Server{Look: l, Routes: routes}).Handler()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	in.handleProtocols(mux)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "alive") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := in.DB.Condition().Health(r.Context()); err != nil {
			s.Log.Warn("not ready", "error", err)
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.Handle("/api/", in.API.Handler())
	mux.Handle(scim.Root+"/", in.SCIM.Handler())
	mux.HandleFunc("POST "+upstream.Path+"{name}", in.Elsewhere.Visits.ByForm)
	mux.HandleFunc("GET "+upstream.Path+"{name}/metadata", in.Elsewhere.Visits.Metadata)
	in.Registration.Handle(mux)
	mux.Handle(signals.Root, in.SignalServer.Handler())
	mux.Handle(signals.Metadata, in.SignalServer.Handler())
	mux.Handle("/", pages)
	return in.strict(l.Strict, mux), nil
}

func newAppPassword(application, service string) (string, authenticator.Enrolled, error) {
	return apppassword.Issue(apppassword.Terms{Application: application, Service: service})
}

func newKey(t enrollment.KeyTerms) (string, authenticator.Enrolled, error) {
	return apikey.Issue(apikey.Terms{Actions: t.Actions, Networks: t.Networks, Expires: t.Expires})
}
