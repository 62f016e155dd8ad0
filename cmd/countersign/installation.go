package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"countersign/internal/admin"
	"countersign/internal/admin/administrators"
	logs "countersign/internal/admin/audit"
	"countersign/internal/admin/coverage"
	"countersign/internal/admin/nouns"
	"countersign/internal/admin/pass"
	ways "countersign/internal/admin/recovery"
	"countersign/internal/admin/setup"
	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/attack"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/accesspass"
	"countersign/internal/authenticator/apikey"
	"countersign/internal/authenticator/slowhash"
	"countersign/internal/config"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/incident"
	"countersign/internal/keyring"
	"countersign/internal/notify"
	"countersign/internal/offline"
	"countersign/internal/policy"
	"countersign/internal/protocol"
	"countersign/internal/protocol/forwardauth"
	"countersign/internal/protocol/radius"
	"countersign/internal/pushkey"
	"countersign/internal/recovery"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/ticket"
	"countersign/internal/web/api"
	"countersign/internal/web/app"
	"countersign/internal/web/challenge"
	"countersign/internal/web/console"
	"countersign/internal/web/look"
	"countersign/internal/web/portal"
)

// installation is a Countersign, put together and not yet serving.
type installation struct {
	db             *store.DB
	keys           *keyring.Keyring
	protocols      protocol.List
	engine         *signin.Engine
	outbox         *notify.Outbox
	admin          *admin.Admin
	setup          *setup.Setup
	passes         *pass.Passes
	coverage       *coverage.Kept
	administrators *administrators.Administrators
	byMachine      *ways.Local
	sessions       *session.Sessions
	endings        *session.Endings
	handovers      *session.Handovers
	errands        *session.Errands
	tickets        *ticket.Tickets
	radius         *radius.Server
	pusher         *pusher
	api            *api.API
	routes         []look.Route // of the pages, with what each demands
	handler        http.Handler
	kinds          kindList
	rooms          []inspector // that keep rows

	people      *directory.Accounts
	credentials *directory.Credentials
	hardware    *directory.Tokens
	groups      *directory.Groups
	rules       *signin.Rules
	catalogue   *application.Catalogue
	enrolled    enrollment.Pieces
	recoveries  recovery.Pieces
	incidents   *incident.Incidents
	publicURL   *url.URL
	recovery    func() config.LocalRecovery
	version     string
}

// databaseFile is the SQLite database in the data folder.
const databaseFile = "countersign.db"

// rememberedFolder is what a server knows of its database, outside of it.
const rememberedFolder = "remembered"

func assemble(ctx context.Context, s settings) (*installation, error) {
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return nil, err
	}
	root, err := rootKey(s.folder, databaseFile)
	if err != nil {
		return nil, err
	}
	dsn := s.database
	if dsn == "" {
		dsn = filepath.Join(s.folder, databaseFile)
	}
	db, err := store.Open(ctx, store.Options{DSN: dsn, Driver: s.driver, Now: s.now, Log: s.log, Remember: filepath.Join(s.folder, rememberedFolder)})
	if err != nil {
		return nil, err
	}
	keys, err := openKeys(ctx, db, root)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	in := &installation{db: db, keys: keys}
	if err := in.build(ctx, s); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return in, nil
}

func (in *installation) build(ctx context.Context, s settings) error {
	if s.protocols == nil {
		s.protocols = protocols()
	}
	in.protocols = s.protocols
	var err error
	if in.kinds, err = allKinds(s, in.keys); err != nil {
		return err
	}
	in.publicURL, in.recovery, in.version = s.publicURL, s.recovery, s.version
	kinds, tokens := in.kinds.here(), in.kinds.tokens()
	of := directory.Parts{DB: in.db, Keys: in.keys}
	in.people, in.groups, in.credentials, in.hardware = directory.NewAccounts(of), directory.NewGroups(of), directory.NewCredentials(of), directory.NewTokens(of)
	milestones, bound := directory.NewMilestones(of), directory.NewBinding(of)
	var catalogue *application.Catalogue
	known := func(ctx context.Context, r store.Reader) (policy.Known, error) {
		return vocabulary{in.groups, catalogue, in.kinds, in.protocols}.names(ctx, r)
	}
	rules := signin.NewRules(in.db, in.keys, known, s.log)
	lists := offline.New(offline.Parts{DB: in.db, Keys: in.keys})
	old, err := unbound(ctx, bound, s.log)
	if err != nil {
		return err
	}
	if err := old.bind(ctx, in.keys.Bind, bound.Bind, rules.Bind, lists.Bind,
		func(ctx context.Context) error { return application.Bind(ctx, in.db, in.keys) },
		func(ctx context.Context) error { return recovery.Bind(ctx, in.db, in.keys) },
	); err != nil {
		return err
	}
	if catalogue, err = application.Open(ctx, in.db, in.keys); err != nil {
		return err
	}
	in.rules, in.catalogue = rules, catalogue
	in.tickets = ticket.New(ticket.Parts{DB: in.db, Keys: in.keys, Now: s.now})
	kept := session.Parts{DB: in.db, Keys: in.keys, Tickets: in.tickets, Limits: s.sessions, Now: s.now}
	in.sessions = session.New(kept)
	in.endings, in.handovers, in.errands = session.NewEndings(in.sessions), session.NewHandovers(in.sessions, in.tickets), session.NewErrands(kept, in.sessions)
	rules.Watch()
	in.rooms = append(in.rooms, in.keys, directory.NewInspection(of), rules, catalogue, in.sessions, in.tickets)
	limits, err := s.limits.Check()
	if err != nil {
		return err
	}
	var incidents *incident.Incidents
	disown := func(ctx context.Context, tx *store.Tx, d signin.Disowned) error {
		_, err := incidents.ReportIn(ctx, tx, incident.Reported{Account: d.Account, Entry: d.Entry})
		return err
	}
	if in.outbox, err = notify.NewOutbox(in.db, in.keys, s.now); err != nil {
		return err
	}
	in.engine, err = signin.New(signin.Parts{DB: in.db, Keys: in.keys, Accounts: in.people, Credentials: in.credentials, Milestones: milestones, Groups: in.groups, Applications: catalogue, Rules: rules,
		Authenticators: kinds, Reading: nouns.Commands().Reading(), Helping: nouns.Commands().Helping(), Standing: in.sessions, Limits: limits, Quiet: s.quiet, SlowChecks: slowhash.Slots(), ApproveAt: s.publicURL.Host + "/account/approve", OpenAt: s.publicURL.String() + challenge.OpenPath, Disown: disown, Now: s.now, Log: s.log, Outbox: in.outbox})
	if err != nil {
		return err
	}
	enrolled := enrollment.New(enrollment.Parts{DB: in.db, Accounts: in.people, Credentials: in.credentials, Strangers: in.engine.Strangers, Tries: in.engine.Tries, Outbox: in.outbox, Tickets: in.tickets, Sessions: in.endings,
		Authenticators: kinds, NewPass: accesspass.Issue, NewKey: newKey, PINs: pinKinds{tokens, pinKeys{in.keys}, s.pinDigits}, Messages: in.engine.Messages, Spare: in.engine.SpareAdministration, Quarantine: limits.Quarantine, Now: s.now})
	wait := recovery.WaitDefault
	if s.wait != nil {
		wait = *s.wait
	}
	recoveries, err := recovery.New(recovery.Parts{DB: in.db, Keys: in.keys, Accounts: in.people, Credentials: in.credentials, Groups: in.groups, Endings: enrolled.Endings, Passes: enrolled.Passes, Tickets: in.tickets, Outbox: in.outbox, Tries: in.engine.Tries,
		EndSessions: in.endings.EndAllIn, PublicURL: s.publicURL, Mails: s.mails, Wait: wait, Dormant: limits.Dormant, Now: s.now})
	if err != nil {
		return err
	}
	incidents = incident.New(incident.Parts{DB: in.db, Accounts: in.people, Credentials: in.credentials, Groups: in.groups, Sessions: in.endings, Notices: enrolled.Notices, Recoveries: recoveries.Stops, Spare: in.engine.SpareAdministration, Now: s.now})
	in.enrolled, in.recoveries, in.incidents = enrolled, recoveries, incidents
	in.rooms = append(in.rooms, recoveries.Cases, recoveries.Requests, lists)
	pushes, err := pushkey.Open(ctx, in.db, in.keys)
	if err != nil {
		return err
	}
	if in.pusher, err = newPusher(in, s, pushes.Key()); err != nil {
		return err
	}
	in.rooms = append(in.rooms, pushes)
	in.passes = pass.NewPasses(enrolled.Passes, in.tickets, s.publicURL, s.now)
	in.coverage = coverage.NewKept(in.db, in.keys, catalogue)
	in.administrators = administrators.New(administrators.Parts{DB: in.db, Accounts: in.people, Engine: in.engine, Outbox: in.outbox, PublicURL: s.publicURL, Dormant: limits.Dormant, Now: s.now})
	in.setup = setup.New(setup.Parts{DB: in.db, Accounts: in.people, Milestones: milestones, Groups: in.groups, Rules: rules, Tickets: in.tickets, Passes: in.passes, Now: s.now})
	in.byMachine = ways.NewLocal(ways.Parts{DB: in.db, Accounts: in.people, Credentials: in.credentials, Groups: in.groups, Endings: enrolled.Endings, Notices: enrolled.Notices, Now: s.now}, in.passes)
	in.admin = nouns.New(nouns.Parts{DB: in.db, Accounts: in.people, Credentials: in.credentials, Stock: in.hardware, Survey: directory.NewSurvey(of), Groups: in.groups, Applications: catalogue, Enrolled: enrolled, Recoveries: recoveries, Offline: lists, Passes: in.passes, Coverage: in.coverage, Administrators: in.administrators, Tokens: tokens, PINs: pinKinds{tokens, pinKeys{in.keys}, s.pinDigits},
		Sessions: in.sessions, SessionEndings: in.endings, Tickets: in.tickets, Rules: rules, Forget: in.forgetting(), Known: known, Protocols: s.protocols, Engine: in.engine,
		Loosened: func() []attack.Exception { return append(loosened(in.recovery), hurried(wait)...) }, PublicURL: s.publicURL, Dormant: limits.Dormant, Now: s.now})
	if err := errors.Join(old.bind(ctx, in.engine.Bind, in.outbox.Bind, in.coverage.Bind), old.end(ctx)); err != nil {
		return err
	}
	in.rooms = append(in.rooms, in.engine, in.outbox, in.coverage)
	if err := in.setup.Install(ctx); err != nil {
		return err
	}
	in.radius, err = radius.New(radius.Parts{Engine: in.engine, Applications: catalogue, Now: s.now})
	if err != nil {
		return err
	}
	door := forwardauth.New(forwardauth.Parts{Engine: in.engine, Handovers: in.handovers, Errands: in.errands, Applications: catalogue, Proxies: s.proxies, PublicURL: s.publicURL, Now: s.now, Log: s.log})
	in.handler, err = in.pages(s, door)
	return err
}

// forgetting are the rooms beside the directory that keep something of an account, which
// they delete when it is removed. Sessions are ended before, and stay for the log.
func (in *installation) forgetting() []func(ctx context.Context, tx *store.Tx, account assurance.AccountID) error {
	return []func(ctx context.Context, tx *store.Tx, account assurance.AccountID) error{in.engine.Forget, in.tickets.Forget, in.recoveries.Requests.Forget}
}

func (in *installation) pages(s settings, door *forwardauth.Door) (http.Handler, error) {
	l, err := look.New(look.Options{Secure: s.publicURL.Scheme == "https", Organisation: s.organisation, Kinds: in.kinds.words(), Now: s.now, Log: s.log})
	if err != nil {
		return nil, err
	}
	gesture, err := gestureOptions(in.kinds.here())
	if err != nil {
		return nil, err
	}
	browser := challenge.NewBrowser(l, in.engine, in.errands, door.Source)
	log := logs.NewLog(in.db, in.keys)
	in.api = api.New(api.Parts{Browser: browser, Look: l, Engine: in.engine, Sessions: in.sessions, Endings: in.endings, Admin: in.admin, Tickets: in.tickets, PublicURL: s.publicURL, Now: s.now, Log: s.log})
	var routes []look.Route
	routes = append(routes, in.api.Routes()...)
	routes = append(routes, challenge.New(challenge.Parts{Browser: browser, Look: l, Engine: in.engine, Sessions: in.sessions, Endings: in.endings, Errands: in.errands, Welcomes: in.passes, Setup: in.setup, Requests: in.recoveries.Requests, Openings: in.recoveries.Openings, Passes: in.recoveries.Passes, Stops: in.recoveries.Stops, Now: s.now}).Routes()...)
	routes = append(routes, portal.New(portal.Parts{Log: log, Browser: browser, Look: l, Approvals: in.engine.Approvals, Pushes: in.engine.Pushes, Sessions: in.sessions, Endings: in.endings, Enrollments: in.enrolled.Enrollments, Listing: in.enrolled.Listing, Changes: in.enrolled.Changes, PINs: in.enrolled.PINs, Cases: in.recoveries.Cases, Stops: in.recoveries.Stops, Incidents: in.incidents, Setup: in.setup}).Routes()...)
	routes = append(routes, app.New(app.Parts{Browser: browser, Look: l, Apps: in.engine.Apps, Enrollments: in.enrolled.Enrollments, PushKey: in.pusher.public, Gesture: gesture, CheckAddress: checkAddress}).Routes()...)
	routes = append(routes, console.New(console.Parts{Log: log, Browser: browser, Look: l, Admin: in.admin, Protocols: s.protocols}).Routes()...)
	in.routes = routes
	pages, err := (&look.Server{Look: l, Routes: routes}).Handler()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	door.Handle(mux)
	for _, d := range s.protocols {
		if d.Handle != nil {
			d.Handle(mux, protocol.Parts{Engine: in.engine, Applications: in.catalogue, Now: s.now})
		}
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "alive") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := in.db.Health(r.Context()); err != nil {
			s.log.Warn("not ready", "error", err)
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.Handle("/api/", in.api.Handler())
	mux.Handle("/", pages)
	return door.Before(l.Strict(mux, forwardauth.Asked, forwardauth.OnHosts...)), nil
}

func newKey(t enrollment.KeyTerms) (string, authenticator.Enrolled, error) {
	return apikey.Issue(apikey.Terms{Actions: t.Actions, Networks: t.Networks, Expires: t.Expires})
}
