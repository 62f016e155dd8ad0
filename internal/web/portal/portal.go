// Package portal is a person's own pages: their authenticators, sessions and
// history.
//
// It owns no rule. Each change is an action that the engine is asked for, and
// enrollment does it; where a fresh proof is missing, the browser is sent to the
// sign-in pages and comes back to the same act. Its one invariant: nothing is
// shown or changed but the signed-in person's own.
package portal

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	logs "countersign/internal/admin/audit"
	"countersign/internal/admin/setup"
	"countersign/internal/approval"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/incident"
	"countersign/internal/prompt"
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
}

// Portal serves the pages.
type Portal struct {
	browser     challenge.Browser
	look        *look.Look
	approvals   *approval.Approvals
	pushes      *approval.Pushes
	sessions    *session.Sessions
	endings     *session.Endings
	enrollments *enrollment.Enrollments
	listing     *enrollment.Listing
	changes     *enrollment.Changes
	pins        *enrollment.PINs
	cases       *recovery.Cases
	stops       *recovery.Stops
	incidents   *incident.Incidents
	setup       *setup.Setup
	log         *logs.Log
	pages       *look.Set
}

// New prepares the pages.
func New(p Parts) *Portal {
	return &Portal{browser: p.Browser, look: p.Look, approvals: p.Approvals, pushes: p.Pushes, sessions: p.Sessions, endings: p.Endings, enrollments: p.Enrollments, listing: p.Listing, changes: p.Changes, pins: p.PINs,
		cases: p.Cases, stops: p.Stops, incidents: p.Incidents, setup: p.Setup, log: p.Log, pages: p.Look.Load(files)}
}

// Routes lists the pages with what each demands.
func (p *Portal) Routes() []look.Route {
	return []look.Route{
		{Pattern: "GET /account", Demand: look.Session(), Handler: p.home},
		{Pattern: "GET /{$}", Demand: look.Public(), Handler: func(w http.ResponseWriter, r *http.Request) error { return look.Go(w, r, "/account") }},
		{Pattern: "GET /account/history", Demand: look.Session(), Handler: p.history},
		{Pattern: "POST /account/do", Demand: look.Action("the posted one"), Handler: p.act},
		{Pattern: "POST " + continuePath, Demand: look.Action("the one that was approved"), Handler: p.resume},
		{Pattern: "GET /account/setup", Demand: look.Session(), Handler: p.offer},
		{Pattern: "POST /account/setup", Demand: look.Session(), Handler: p.finish},
		{Pattern: "GET /account/setup/card", Demand: look.Session(), Handler: p.card},
		{Pattern: "GET /account/rename", Demand: look.Session(), Handler: p.naming},
		{Pattern: "POST /account/rename", Demand: look.Action(enrollment.Rename), Handler: p.name},
		{Pattern: "GET /account/quiet", Demand: look.Session(), Handler: p.quiet},
		{Pattern: "POST /account/quiet", Demand: look.Action(signin.SetQuiet), Handler: p.setQuiet},
		{Pattern: "GET /account/pin", Demand: look.Session(), Handler: p.pin},
		{Pattern: "POST /account/pin", Demand: look.Session(), Handler: p.setPIN},
		{Pattern: "GET /account/approve", Demand: look.Session(), Handler: p.number},
		{Pattern: "POST /account/approve", Demand: look.Session(), Handler: p.found},
		{Pattern: "POST /account/refuse", Demand: look.Session(), Handler: p.refuse},
		{Pattern: "POST /account/stop-recovery", Demand: look.Session(), Handler: p.stopRecovery},
		{Pattern: "POST /account/end-session", Demand: look.Session(), Handler: p.endSession},
	}
}

// enter returns a grant for the pages. A person whose session holds only a pass
// gets one for setting up (limited), and nothing else.
func (p *Portal) enter(w http.ResponseWriter, r *http.Request) (g signin.Grant, limited, ok bool, err error) {
	step, err := p.browser.Check(r, signin.SignIn, "")
	if err != nil || step.State == signin.Granted {
		return step.Grant, false, err == nil, err
	}
	early, err := p.browser.Check(r, enrollment.Enroll, p.known())
	if err != nil || early.State == signin.Granted {
		return early.Grant, true, err == nil, err
	}
	return g, false, false, p.browser.SignIn(w, r, comeBack(r))
}

// known is the kind that whoever only sets up could begin with wherever they are: what is
// only known.
func (p *Portal) known() string {
	for _, k := range p.listing.Kinds() {
		if k.Known {
			return k.Kind
		}
	}
	return ""
}

// comeBack is the page to come back to when somebody has signed in; what was posted is
// not done then, because nobody was there to begin it.
func comeBack(r *http.Request) string {
	if r.Method == http.MethodGet {
		return r.URL.RequestURI()
	}
	return "/account"
}

// inside is [Portal.enter] for pages that are nothing to whoever only sets up.
func (p *Portal) inside(w http.ResponseWriter, r *http.Request) (g signin.Grant, ok bool, err error) {
	g, limited, ok, err := p.enter(w, r)
	if ok && limited {
		return g, false, failure.Refuse("limited", "Sign in first.")
	}
	return g, ok, err
}

type homeView struct {
	Limited        bool
	Administrator  bool // who must begin with a passkey
	Weaker         bool // an administrator without a passkey, whom codes let in
	Authenticators []enrollment.Authenticator
	Kinds          []enrollment.Kind
	Sessions       []session.Session
	This           string
	Ready          bool
	// Recovery is what somebody opened for this account, and is under way.
	Recovery *recovery.Case
}

func (p *Portal) home(w http.ResponseWriter, r *http.Request) error {
	g, limited, ok, err := p.enter(w, r)
	if !ok {
		return err
	}
	v := homeView{Limited: limited, Kinds: p.listing.Kinds(), This: g.Session()}
	if v.Authenticators, err = p.listing.List(r.Context(), g.Account()); err != nil {
		return err
	}
	if slices.Contains(g.Groups(), directory.Administrators) {
		if err := p.forAdministrator(r.Context(), &v); err != nil {
			return err
		}
	}
	if v.Ready, err = p.listing.TwoFactors(r.Context(), g.Account()); err != nil {
		return err
	}
	if !limited {
		if c, under, err := p.cases.UnderWay(r.Context(), g.Account()); err != nil {
			return err
		} else if under {
			v.Recovery = &c
		}
		if v.Sessions, err = p.sessions.List(r.Context(), g.Account()); err != nil {
			return err
		}
	}
	return p.render(w, r, g, "home", "Your account", v)
}

// forAdministrator offers a new administrator what the policy lets them in with:
// where it is only what cannot be phished, codes as the first thing would lock
// them out. Where codes are enough it reminds those who have no passkey. What is
// restricted counts for no administrator unless the policy is changed for it.
func (p *Portal) forAdministrator(ctx context.Context, v *homeView) error {
	codes, err := p.setup.CodesAreEnough(ctx)
	if err != nil {
		return err
	}
	has := slices.ContainsFunc(v.Authenticators, func(a enrollment.Authenticator) bool { return a.Traits.Has(assurance.PhishingResistant) })
	v.Weaker = codes && !has
	v.Kinds = slices.DeleteFunc(v.Kinds, func(k enrollment.Kind) bool { return k.Restricted })
	if v.Administrator = v.Limited && !codes; v.Administrator {
		v.Kinds = slices.DeleteFunc(v.Kinds, func(k enrollment.Kind) bool { return !k.Resistant || k.Issued })
	}
	return nil
}

func (p *Portal) render(w http.ResponseWriter, r *http.Request, g signin.Grant, template, title string, data any) error {
	return p.pages.Render(w, r, p.page(g, template, title, data))
}

// consoleOf is where somebody administers; empty is nowhere.
func consoleOf(g signin.Grant) string {
	switch {
	case slices.Contains(g.Groups(), directory.Administrators):
		return "/console"
	case slices.Contains(g.Groups(), directory.Helpdesk):
		return "/console/recoveries"
	}
	return ""
}

func (p *Portal) page(g signin.Grant, template, title string, data any) look.Page {
	links := []look.Link{{Href: "/account", Text: "Ways to sign in", Here: template == "home"}, {Href: "/account/history", Text: "History", Here: template == "history"},
		{Href: "/account/approve", Text: "Approve a sign-in", Here: template == "approve"}}
	return look.Page{Template: template, Title: title, Shape: look.Desk, Links: links,
		Person: &look.Person{Name: g.Name(), Display: g.Display(), Console: consoleOf(g)}, Data: data}
}

const offerCookie, offerLife = "countersign-offer", 10 * time.Minute

type offerView struct {
	Kind   string
	Title  string // of the kind
	Prompt prompt.Prompt
	URI    string
	Open   template.URL // the URI as a link, for who reads the page on the device
	Secret string
	Codes  []string
	Card   *look.Visit
	Shown  string // what came back from where the card was shown
}

func (p *Portal) offer(w http.ResponseWriter, r *http.Request) error { return p.showOffer(w, r, "") }

// card shows an offer with the certificate that the browser brings back, to be
// added by a form of ours.
func (p *Portal) card(w http.ResponseWriter, r *http.Request) error {
	if _, err := look.Shown(r); err != nil {
		return err
	}
	return p.showOffer(w, r, "")
}

func (p *Portal) showOffer(w http.ResponseWriter, r *http.Request, problem string) error {
	g, _, ok, err := p.enter(w, r)
	if !ok {
		return err
	}
	o, err := p.enrollments.Resume(r.Context(), g, p.look.Get(r, offerCookie))
	if err != nil {
		return err
	}
	v := offerView{Kind: o.Kind, Title: p.title(o.Kind), Prompt: o.Prompt}
	var shown struct {
		URI    string   `json:"uri"`
		Secret string   `json:"secret"`
		Codes  []string `json:"codes"`
	}
	switch {
	case o.Prompt.Kind == prompt.Certificate:
		if v.Card, err = look.VisitOf(o.Prompt); err != nil {
			return err
		}
		if v.Shown = r.Form.Get("data"); r.Method == http.MethodGet {
			a, _ := look.Shown(r)
			v.Shown = string(a.Data)
		}
	case o.Prompt.Kind != prompt.PublicKey && len(o.Prompt.Data) > 0:
		if err := json.Unmarshal(o.Prompt.Data, &shown); err != nil {
			return err
		}
		v.URI, v.Secret, v.Codes = shown.URI, shown.Secret, shown.Codes
		if strings.HasPrefix(v.URI, "otpauth://") || p.look.Options.Kinds[o.Kind].Bound {
			v.Open = template.URL(v.URI)
		}
	}
	status := 0
	if problem != "" {
		status = http.StatusBadRequest
	}
	return p.pages.Render(w, r, look.Page{Template: "offer", Title: "Set up", Shape: look.Card, Problem: problem, Status: status, Data: v})
}

// title is what people call a kind.
func (p *Portal) title(kind string) string {
	for _, k := range p.listing.Kinds() {
		if k.Kind == kind {
			return k.Title
		}
	}
	return kind
}

func (p *Portal) finish(w http.ResponseWriter, r *http.Request) error {
	g, _, ok, err := p.enter(w, r)
	if !ok {
		return err
	}
	f := r.PostForm
	a, err := p.enrollments.Finish(r.Context(), g, p.look.Get(r, offerCookie), prompt.Answer{Authenticator: f.Get("authenticator"), Text: f.Get("text"), Data: []byte(f.Get("data"))}, f.Get("label"))
	if errors.Is(err, enrollment.ErrAnother) {
		return look.Go(w, r, "/account/setup")
	}
	if failure.ClassOf(err) == failure.Invalid {
		return p.showOffer(w, r, failure.Public(err))
	}
	if err != nil {
		return err
	}
	p.look.Drop(w, offerCookie)
	return p.look.Done(w, r, "/account", "Added: "+a.Title+".")
}

// stopRecovery is for an owner who lost nothing: any session of theirs is enough.
func (p *Portal) stopRecovery(w http.ResponseWriter, r *http.Request) error {
	g, ok, err := p.inside(w, r)
	if !ok {
		return err
	}
	undone, err := p.stops.StopOwn(r.Context(), g)
	if err != nil {
		return err
	}
	return p.look.Done(w, r, "/account", undone.String()+" Your administrators were told.")
}

func (p *Portal) endSession(w http.ResponseWriter, r *http.Request) error {
	g, ok, err := p.inside(w, r)
	if !ok {
		return err
	}
	if err := p.endings.End(r.Context(), g.Actor(), g.Account(), r.PostForm.Get("number"), "ended by its owner"); err != nil {
		return err
	}
	return p.look.Done(w, r, "/account", "That session was ended.")
}
