// Package portal is a person's own pages: their authenticators, sessions and
// history.
//
// It owns no rule. Each change is an action that the engine is asked for, and
// enrollment does it; where a fresh proof is missing, the browser is sent to the
// sign-in pages and comes back to the same act. Its one invariant: nothing is
// shown or changed but the signed-in person's own.
package portal

import (
	"embed"
	"net/http"
	"slices"

	logs "countersign/internal/admin/audit"
	"countersign/internal/admin/setup"
	"countersign/internal/approval"
	"countersign/internal/assurance"
	"countersign/internal/enrollment"
	"countersign/internal/incident"
	"countersign/internal/language"
	"countersign/internal/protocol"
	"countersign/internal/recovery"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/web/challenge"
	"countersign/internal/web/look"
)

//go:embed templates
var files embed.FS

// Parts are what the pages work on.
type Parts struct {
	Browser     challenge.Browser
	Look        *look.Look
	Prospects   *signin.Prospects
	Approvals   *approval.Approvals
	Pushes      *approval.Pushes
	Sessions    *session.Sessions
	Endings     *session.Endings
	Enrollments *enrollment.Enrollments
	Listing     *enrollment.Listing
	Changes     *enrollment.Changes
	PINs        *enrollment.PINs
	Cases       *recovery.Cases
	Stops       *recovery.Stops
	Incidents   *incident.Incidents
	Setup       *setup.Setup
	Log         *logs.Log
	Doors       *protocol.Doors
	Connections *protocol.Connections
	// AppPasswords makes what devices come with.
	AppPasswords *enrollment.AppPasswords
	Languages    *enrollment.Languages
}

// Portal serves the pages.
type Portal struct {
	frame     *frame
	doors     *applications
	connected *connected
	prospects *signin.Prospects
	approvals *approvals
	history   *history
	offers    *offers
	pins      *pins
	devices   *devices
	pushes    *approval.Pushes
	sessions  *session.Sessions
	endings   *session.Endings
	changes   *enrollment.Changes
	cases     *recovery.Cases
	stops     *recovery.Stops
	incidents *incident.Incidents
	setup     *setup.Setup
	languages *enrollment.Languages
}

// New prepares the pages.
func New(p Parts) *Portal {
	fr := &frame{browser: p.Browser, look: p.Look, listing: p.Listing, pages: p.Look.Load(files)}
	return &Portal{
		frame: fr, doors: &applications{fr, p.Doors}, connected: &connected{fr, p.Connections}, prospects: p.Prospects, approvals: &approvals{fr, p.Approvals}, history: &history{fr, p.Log}, offers: &offers{fr, p.Prospects, p.Enrollments}, pins: &pins{fr, p.PINs}, devices: &devices{fr, p.Doors, p.AppPasswords},
		pushes: p.Pushes, sessions: p.Sessions, endings: p.Endings, changes: p.Changes, cases: p.Cases, stops: p.Stops, incidents: p.Incidents, setup: p.Setup, languages: p.Languages,
	}
}

// Routes lists the pages with what each demands.
func (p *Portal) Routes() []look.Route {
	return []look.Route{
		{Pattern: "GET /account", Demand: look.Session(), Handler: p.home},
		{Pattern: "GET /{$}", Demand: look.Public(), Handler: func(w http.ResponseWriter, r *http.Request) error { return look.Go(w, r, "/account") }},
		{Pattern: "GET /account/applications", Demand: look.Session(), Handler: p.doors.show},
		{Pattern: "GET " + connectedPath, Demand: look.Session(), Handler: p.connected.show},
		{Pattern: "POST " + connectedPath + "/end", Demand: look.Session(), Handler: p.connected.end},
		{Pattern: "GET " + devicesPath, Demand: look.Session(), Handler: p.devices.show},
		{Pattern: "POST " + devicesPath, Demand: look.Action(enrollment.Enroll), Handler: p.makeAppPassword},
		{Pattern: "GET /account/history", Demand: look.Session(), Handler: p.history.show},
		{Pattern: "GET " + afterPath + "{act}", Demand: look.Public(), Handler: p.after},
		{Pattern: "POST /account/do", Demand: look.Action("the posted one"), Handler: p.act},
		{Pattern: "POST " + continuePath, Demand: look.Action("the one that was approved"), Handler: p.resume},
		{Pattern: "GET /account/setup", Demand: look.Session(), Handler: p.offers.offer},
		{Pattern: "POST /account/setup", Demand: look.Session(), Handler: p.offers.finish},
		{Pattern: "POST /account/setup/codes", Demand: look.Session(), Handler: p.offers.download},
		{Pattern: "GET /account/setup/card", Demand: look.Session(), Handler: p.offers.card},
		{Pattern: "GET /account/rename", Demand: look.Session(), Handler: p.naming},
		{Pattern: "POST /account/rename", Demand: look.Action(enrollment.Rename), Handler: p.name},
		{Pattern: "GET /account/quiet", Demand: look.Session(), Handler: p.quiet},
		{Pattern: "POST /account/quiet", Demand: look.Action(signin.SetQuiet), Handler: p.setQuiet},
		{Pattern: "GET /account/pin", Demand: look.Session(), Handler: p.pins.form},
		{Pattern: "POST /account/pin", Demand: look.Session(), Handler: p.pins.set},
		{Pattern: "GET /account/approve", Demand: look.Session(), Handler: p.approvals.number},
		{Pattern: "POST /account/approve", Demand: look.Session(), Handler: p.approvals.found},
		{Pattern: "POST /account/refuse", Demand: look.Session(), Handler: p.approvals.refuse},
		{Pattern: "POST /language", Demand: look.Public(), Handler: p.language},
		{Pattern: "POST /account/stop-recovery", Demand: look.Session(), Handler: p.stopRecovery},
		{Pattern: "POST /account/end-session", Demand: look.Session(), Handler: p.endSession},
	}
}

type homeView struct {
	Limited        bool
	Administrator  bool // who must begin with a passkey
	Weaker         bool // an administrator without a passkey, whom codes let in
	Authenticators []enrollment.Authenticator
	Kinds          []enrollment.Kind
	Cards          []card // of the kinds
	Sessions       []session.Session
	This           string
	// Ready says that what is set up is enough to sign in with, Begun that it is one of two.
	Ready, Begun bool
	// Who is whose page it is.
	Who string
	// Recovery is what somebody opened for this account, and is under way.
	Recovery *recovery.Case
}

// resistant reports whether an authenticator cannot be phished.
func resistant(a enrollment.Authenticator) bool {
	return a.Traits.Has(assurance.PhishingResistant)
}

func (p *Portal) home(w http.ResponseWriter, r *http.Request) error {
	g, limited, ok, err := p.frame.enter(w, r)
	if !ok {
		return err
	}
	v := homeView{Limited: limited, Kinds: p.frame.listing.Kinds(), This: g.Session(), Who: g.Name()}
	if v.Authenticators, err = p.frame.listing.List(r.Context(), g.Account()); err != nil {
		return err
	}
	v.Authenticators = slices.DeleteFunc(v.Authenticators, enrollment.Authenticator.AppPassword) // which have a page of their own
	if err := p.forAdministrator(r, g, &v); err != nil {
		return err
	}
	if limited {
		if err := p.onboard(r, g, &v); err != nil {
			return err
		}
	} else {
		v.more()
		if c, under, err := p.cases.UnderWay(r.Context(), g.Account()); err != nil {
			return err
		} else if under {
			v.Recovery = &c
		}
		if v.Sessions, err = p.sessions.List(r.Context(), g.Account()); err != nil {
			return err
		}
	}
	page := p.frame.page(g, "home", "Your account", v)
	if limited {
		page.Links = nil // the other pages are nothing to whoever only sets up
	}
	return p.frame.pages.Render(w, r, page)
}

// stopRecovery is for an owner who lost nothing: any session of theirs is enough.
func (p *Portal) stopRecovery(w http.ResponseWriter, r *http.Request) error {
	g, ok, err := p.frame.inside(w, r)
	if !ok {
		return err
	}
	undone, err := p.stops.StopOwn(r.Context(), g)
	if err != nil {
		return err
	}
	return p.frame.look.Done(w, r, "/account", language.Together(undone.Sentence(), language.Say("Your administrators were told.")))
}

func (p *Portal) endSession(w http.ResponseWriter, r *http.Request) error {
	g, ok, err := p.frame.inside(w, r)
	if !ok {
		return err
	}
	if err := p.endings.End(r.Context(), g.Actor(), g.Account(), r.PostForm.Get("number"), "ended by its owner"); err != nil {
		return err
	}
	return p.frame.look.Done(w, r, "/account", language.Say("That session was ended."))
}
