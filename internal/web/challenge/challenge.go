// Package challenge is the one place that plays a Step in a browser.
//
// It owns the pages for signing in, for a welcome link and for setting up. It
// knows no protocol: a continuation says where the person was going, and they are
// sent back there when it is granted. It decides nothing. Its one invariant: an
// attempt's ticket and a session's secret are in cookies alone, never in an
// address or a page.
package challenge

import (
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"countersign/internal/admin/pass"
	"countersign/internal/admin/setup"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/prompt"
	"countersign/internal/protocol"
	"countersign/internal/recovery"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/upstream"
	"countersign/internal/web/look"
)

//go:embed templates
var files embed.FS

// Parts are what the pages are played with.
type Parts struct {
	Browser       Browser
	Look          *look.Look
	Engine        *signin.Engine
	Prospects     *signin.Prospects
	Sessions      *session.Sessions
	Endings       *session.Endings
	Continuations *session.Continuations
	Welcomes      *pass.Passes
	Invitations   *pass.Invitations
	Setup         *setup.Setup
	Languages     *enrollment.Languages
	Requests      *recovery.Requests
	Openings      *recovery.Openings
	Passes        *recovery.Passes
	Stops         *recovery.Stops
	Upstreams     *upstream.Visits
	Links         *upstream.Links
	// Devices bind sessions to browsers' devices.
	Devices protocol.Devices
	// Left is where a browser goes on when its session was ended; empty stays here.
	Left func(ctx context.Context, session string) (string, error)
	Now  func() time.Time
}

// Challenge serves the pages: what plays a Step, and the two ways that lead to one.
type Challenge struct {
	player     *player
	recoveries *recoveries
	arrivals   *arrivals
}

// New prepares the pages.
func New(p Parts) *Challenge {
	play := &player{browser: p.Browser, look: p.Look, engine: p.Engine, prospects: p.Prospects, sessions: p.Sessions, endings: p.Endings, continuations: p.Continuations, languages: p.Languages, upstreams: p.Upstreams, links: p.Links, devices: p.Devices, left: p.Left, pages: p.Look.Load(files)}
	return &Challenge{player: play, arrivals: &arrivals{player: play, welcomes: p.Welcomes, invitations: p.Invitations, settingUp: p.Setup},
		recoveries: &recoveries{player: play, requests: p.Requests, openings: p.Openings, passes: p.Passes, stops: p.Stops, now: p.Now}}
}

// player plays what the engine asks for, until there is a session.
type player struct {
	browser       Browser
	look          *look.Look
	engine        *signin.Engine
	prospects     *signin.Prospects
	sessions      *session.Sessions
	endings       *session.Endings
	continuations *session.Continuations
	languages     *enrollment.Languages
	upstreams     *upstream.Visits
	links         *upstream.Links
	devices       protocol.Devices
	left          func(ctx context.Context, session string) (string, error)
	pages         *look.Set
}

// ticketCookie holds the ticket of the attempt that a browser is in.
const ticketCookie = "countersign-attempt"

// browserCookie says that somebody was let in here; it lets nobody in.
const browserCookie = "countersign-browser"

// Routes lists the pages. All are public: they are how one comes to a session.
func (c *Challenge) Routes() []look.Route {
	return slices.Concat(c.recoveries.routes(), c.player.routes(), c.player.deviceRoutes(), c.arrivals.routes())
}

func (c *player) routes() []look.Route {
	return []look.Route{
		{Pattern: "GET /sign-in", Demand: look.Public(), Handler: c.show},
		{Pattern: "POST /sign-in", Demand: look.Public(), Handler: c.answer},
		{Pattern: "GET /sign-in/wait", Demand: look.Public(), Handler: c.wait},
		{Pattern: "GET /sign-in/card", Demand: look.Public(), Handler: c.card},
		{Pattern: "POST /sign-in/upstream", Demand: look.Public(), Handler: c.away},
		{Pattern: "GET " + upstream.Path + "{name}", Demand: look.Public(), Handler: c.back},
		{Pattern: "GET " + OpenPath, Demand: look.Public(), Handler: c.opening},
		{Pattern: "POST " + OpenPath, Demand: look.Public(), Handler: c.open},
		{Pattern: "POST /sign-out", Demand: look.Public(), Handler: c.signOut},
	}
}

// again is where an attempt begins anew for what this browser was signing in for.
const again = "/sign-in?errand=" + own

// plain is where a browser goes that was going nowhere else.
var plain = session.Continuation{Application: signin.Self, Return: "/account"}

// continuation is what this browser signs in for: what its cookie holds, and the portal where
// that is nothing of its own.
func (c *player) continuation(w http.ResponseWriter, r *http.Request) session.Continuation {
	code := c.look.Get(r, continuationCookie)
	if code == "" {
		return plain
	}
	if e, err := c.continuations.Sent(code); err == nil {
		return e
	}
	if e, err := c.browser.Kept(w, r); err == nil {
		return e
	}
	return plain
}

func (c *player) request(r *http.Request, e session.Continuation) signin.Request {
	return signin.Request{Application: e.Application, Action: e.Action, Object: e.Object, Method: e.Method, Path: e.Path, Raise: e.Raise, Since: e.Since,
		Session: c.browser.Secret(r), Source: c.browser.Source(r), Browser: c.look.Get(r, browserCookie), Protocol: cmp.Or(e.Protocol, "browser"), Medium: prompt.Browser, Reading: readingOf(e)}
}

// readingOf is what is read of a continuation; nil where there is none of exactly it.
func readingOf(e session.Continuation) *prompt.Reading {
	if !e.Reading.Of(e.Action, e.Object) {
		return nil
	}
	return e.Reading
}

// backOf is where whoever thinks better of a continuation goes to.
func backOf(e session.Continuation) string { return cmp.Or(e.Back, "/account") }

// show begins an attempt, or goes on with the one that the browser is in. Whose
// session is enough goes on at once, and nothing is written.
func (c *player) show(w http.ResponseWriter, r *http.Request) error {
	e, code := plain, r.URL.Query().Get("errand")
	if code == own {
		e, code = c.continuation(w, r), c.look.Get(r, continuationCookie)
	} else if sent, err := c.continuations.Sent(code); err == nil {
		e = sent
	} else {
		code = ""
	}
	if c.browser.Secret(r) != "" && !acts(e) {
		step, err := c.engine.Check(r.Context(), c.request(r, e))
		if err != nil {
			return err
		}
		if step.State == signin.Granted {
			return c.leave(w, r, e)
		}
		if step.State == signin.Wait {
			c.look.Set(w, continuationCookie, code, cookieLife)
			return c.awaiting(w, r)
		}
	}
	step, err := c.engine.Begin(r.Context(), c.request(r, e))
	if err != nil {
		return err
	}
	c.look.Set(w, continuationCookie, code, cookieLife)
	return c.play(w, r, e, "", step)
}

// answer hands a reply to the engine. A name begins anew: who is asked for is
// fixed when an attempt begins.
func (c *player) answer(w http.ResponseWriter, r *http.Request) error {
	e := c.continuation(w, r)
	form := r.PostForm
	name := form.Get("name")
	if name != "" && acts(e) {
		return failure.Refuse("other-account", "This is for whoever is signed in here. Sign out first to be somebody else.")
	}
	if err := c.browser.movedText(r, e); err != nil {
		return err
	}
	if home, err := c.homeOf(r, name); err != nil || home != "" {
		return cmp.Or(err, c.visit(w, r, home, name))
	}
	a := prompt.Answer{Authenticator: form.Get("authenticator"), Text: form.Get("text"), Data: []byte(form.Get("data"))}
	ticket := c.look.Get(r, ticketCookie)
	var step signin.Step
	var err error
	if name != "" {
		req := c.request(r, e)
		req.Session, req.Name, req.Opening = "", name, []prompt.Answer{a}
		step, err = c.engine.Begin(r.Context(), req)
	} else {
		step, err = c.engine.Answer(r.Context(), ticket, signin.Reply{Answer: a, Source: c.browser.Source(r), Reading: readingOf(e)})
	}
	if err != nil {
		return err
	}
	return c.play(w, r, e, name, step)
}

type view struct {
	Title, Object, Name string
	Shown               language.Sentence // Object as a person reads it
	// Who is the name of who has shown something; Signed says that they have a session here,
	// and Partly that what they have shown is one factor of two.
	Who            string
	Signed, Partly bool
	Action         bool
	Reading        *prompt.Reading // in place of Object, where an action has more to say
	Back           string          // where to go instead
	First          bool
	Known          string // the kind among what is typed that is only known
	Passkey        *prompt.Prompt
	Typed          []prompt.Prompt
	Elsewhere      *prompt.Prompt
	Sending        *prompt.Prompt
	Scan           string // a link that an app can scan in place of typing the number
	Card           *look.Visit
	// Upstreams are identity providers to sign in at, Homes says that names of some domains are
	// theirs, and Here that whoever has one wants to sign in here all the same.
	Upstreams   []upstream.Choice
	Homes, Here bool
}

// transfers reports whether a number is to be typed on another device.
func transfers(step signin.Step) bool {
	return slices.ContainsFunc(step.Prompts, func(p prompt.Prompt) bool { return p.Kind == prompt.OutOfBand && p.Number != "" })
}

// scanned is the link in a prompt that an app can scan; empty where none can.
func scanned(p prompt.Prompt) (string, error) {
	var shown struct{ URI string }
	if len(p.Data) == 0 {
		return "", nil
	}
	err := json.Unmarshal(p.Data, &shown)
	return shown.URI, err
}

// holdLife is how long a page that waits is held, so that it goes on in the moment in
// which its sign-in is approved. It is shorter than a server takes to stop.
const holdLife = 5 * time.Second

// wait looks whether an approval on another device was given; a held request is answered when there is something to
// go on with.
func (c *player) wait(w http.ResponseWriter, r *http.Request) error {
	if r.URL.Query().Get("held") != "" {
		ctx, done := context.WithTimeout(r.Context(), holdLife)
		defer done()
		if err := c.engine.AwaitApproval(ctx, c.look.Get(r, ticketCookie)); err != nil && failure.ClassOf(err) == failure.Internal {
			return err
		}
	}
	step, err := c.engine.Poll(r.Context(), c.look.Get(r, ticketCookie))
	if err != nil {
		return err
	}
	return c.play(w, r, c.continuation(w, r), "", step)
}

// card takes what a browser brings back from where it showed a certificate. It is
// for this browser's attempt or for none: the ticket is in the cookie alone.
func (c *player) card(w http.ResponseWriter, r *http.Request) error {
	a, err := look.Shown(r)
	if err != nil {
		return err
	}
	step, err := c.engine.Answer(r.Context(), c.look.Get(r, ticketCookie), signin.Reply{Answer: a, Source: c.browser.Source(r)})
	if err != nil {
		return err
	}
	return c.play(w, r, c.continuation(w, r), "", step)
}

// play shows a step, or goes where it leads.
func (c *player) play(w http.ResponseWriter, r *http.Request, e session.Continuation, name string, step signin.Step) error {
	switch step.State {
	case signin.Granted:
		return c.granted(w, r, e, step)
	case signin.Ask, signin.Wait:
		c.look.Set(w, ticketCookie, step.Ticket, cookieLife)
		if transfers(step) && r.Method == http.MethodPost {
			return look.Go(w, r, "/sign-in/wait")
		}
		v := view{Object: c.browser.saysOf(e), Shown: c.browser.shownOf(e), Name: cmp.Or(name, e.Hint), Action: ours(e), Reading: readingOf(e), Back: backOf(e), Who: step.Person, Signed: c.browser.Secret(r) != "", Partly: step.Partly}
		if e.Application != signin.Self {
			v.Title = c.prospects.Title(r.Context(), e.Application)
		}
		var err error
		for _, p := range step.Prompts {
			if c.look.Options.Kinds[p.Authenticator].Known {
				v.Known = p.Authenticator
			}
			switch p.Kind {
			case prompt.PublicKey:
				v.Passkey = &p
				continue
			case prompt.Sending:
				v.Sending = &p
				continue
			case prompt.OutOfBand:
				if v.Scan, err = scanned(p); err != nil {
					return err
				}
				v.Elsewhere = &p
				continue
			case prompt.Certificate:
				if v.Card, err = look.VisitOf(p); err != nil {
					return err
				}
				continue
			case prompt.Upstream:
				if v.Upstreams, v.Homes, err = c.upstreams.Choices(r.Context()); err != nil {
					return err
				}
				v.Here = here(r)
				continue
			}
			v.Typed = append(v.Typed, p)
		}
		v.First = v.Known != "" && v.Passkey != nil && len(v.Typed) > 1 && !acts(e) // the opening page offers every way in
		page := look.Page{Template: "signin", Title: "Sign in", Shape: look.Card, Data: v}
		if transfers(step) {
			page.Template, page.Refresh, page.RefreshTo = "wait", time.Second, "/sign-in/wait?held=yes"
		}
		if step.Again {
			page.Problem, page.Status = step.Sentence(), http.StatusUnauthorized
		}
		return c.pages.Render(w, r, page)
	}
	c.look.Drop(w, ticketCookie)
	return c.pages.Render(w, r, look.Page{Template: "denied", Title: "Not signed in", Shape: look.Card, Status: http.StatusForbidden, Data: deniedView{step, c.browser.Secret(r) != ""}})
}

// deniedView is a refusal, with the way out of it.
type deniedView struct {
	signin.Step
	// Signed says that the browser has a session, which the next attempt would rest on too.
	Signed bool
}

// acts reports whether a continuation is for an action of our own, and so for whoever began
// it and for nobody else who signs in.
func acts(e session.Continuation) bool {
	return e.Application == signin.Self && !e.Looks && e.Action != "" && e.Action != signin.SignIn
}

// ours reports whether a continuation is to do something here, under a grant of its own.
func ours(e session.Continuation) bool { return acts(e) && !welcomes(e) }

// saysField comes back with a form under which something is approved: the text that
// stood there.
const saysField = "says"

// movedText refuses a form under which another text stood than what would be done now:
// the page of something that was begun before, in another tab, approves nothing else.
func (b Browser) movedText(r *http.Request, e session.Continuation) error {
	says := ""
	if ours(e) {
		says = b.saysOf(e)
	}
	if r.PostForm.Get(saysField) == says {
		return nil
	}
	return failure.Refuse("moved-text", "Something else was begun in this browser meanwhile, so that nothing was approved. Close this page, and begin again.")
}

// saysOf is what a continuation does, in words.
func (b Browser) saysOf(e session.Continuation) string {
	return cmp.Or(e.Says, b.look.Act(e.Action, e.Object).String())
}

// shownOf is saysOf as whoever began it reads it.
func (b Browser) shownOf(e session.Continuation) language.Sentence {
	if e.Says == "" {
		return b.look.Act(e.Action, e.Object)
	}
	return language.Say("%s", cmp.Or(e.Told, e.Says))
}

// granted starts or raises the session, and goes back to the continuation. The grant
// of an action of our own is claimed there, by what does it; an application's
// is decided again there, over what the session then holds.
func (c *player) granted(w http.ResponseWriter, r *http.Request, e session.Continuation, step signin.Step) error {
	if ours(e) {
		return c.press(w, r, e, step)
	}
	g, err := c.engine.Claim(r.Context(), step.Ticket, e.Application, e.Action, e.Object)
	if err != nil {
		return err
	}
	if err := c.links.Confirm(r.Context(), g); err != nil {
		return err
	}
	secret, err := c.begin(w, r, g)
	if err != nil {
		return err
	}
	if err := c.written(w, r, e, g); err != nil {
		return err
	}
	waits, err := c.awaits(r, e, secret)
	if err != nil {
		return err
	}
	if waits {
		return look.Go(w, r, again)
	}
	return c.leave(w, r, e)
}

// press goes on to what does a continuation, which takes a form. The one in which the person
// has just proved themselves, under the text of the continuation, is that form; who comes by
// a link, or because another device answered, is shown the text and presses a button.
func (c *player) press(w http.ResponseWriter, r *http.Request, e session.Continuation, step signin.Step) error {
	c.look.Set(w, ticketCookie, step.Ticket, cookieLife)
	if r.Method == http.MethodPost {
		return look.Repeat(w, r, e.Return)
	}
	return c.pages.Render(w, r, look.Page{Template: "press", Title: "Approve", Shape: look.Card, Data: pressView{c.browser.saysOf(e), c.browser.shownOf(e), e.Return, readingOf(e), backOf(e)}})
}

// pressView is what a person presses a button for. Says is its exact text, and Shown how they
// read it.
type pressView struct {
	Says    string
	Shown   language.Sentence
	To      string
	Reading *prompt.Reading
	Back    string
}

// begin starts or raises the session, whose secret it returns and gives the browser, which is
// asked to bind it to its device: in this answer and in no other.
func (c *player) begin(w http.ResponseWriter, r *http.Request, g signin.Grant) (secret string, err error) {
	if old := c.browser.Secret(r); old != "" {
		secret, err = c.sessions.Raise(r.Context(), old, g, r.UserAgent())
	} else {
		secret, err = c.sessions.Start(r.Context(), g, r.UserAgent())
	}
	if err != nil {
		return "", err
	}
	if err := c.devices.Offer(w, r, c.seat(r, secret)); err != nil {
		return "", err
	}
	c.look.Drop(w, ticketCookie)
	c.look.SetNamed(w, session.Cookie(c.look.Options.Secure), secret, 24*time.Hour)
	c.look.Set(w, browserCookie, c.engine.Remember(g), signin.BrowserLife)
	return secret, nil
}

func (c *player) leave(w http.ResponseWriter, r *http.Request, e session.Continuation) error {
	c.look.Drop(w, continuationCookie)
	return c.look.Leave(w, r, e.Return)
}

// signOut ends the session of this browser. Who leaves to begin again goes on to where they
// were going, in a fresh attempt that rests on nothing.
func (c *player) signOut(w http.ResponseWriter, r *http.Request) error {
	onward := ""
	if secret := c.browser.Secret(r); secret != "" {
		var err error
		if onward, err = c.onward(r, secret); err != nil {
			return err
		}
		if err := c.endings.SignOut(r.Context(), secret); err != nil {
			return err
		}
	}
	c.look.DropNamed(w, session.Cookie(c.look.Options.Secure))
	c.look.DropNamed(w, session.BoundCookie(c.look.Options.Secure))
	c.look.Drop(w, ticketCookie)
	if r.PostForm.Get("again") != "" {
		return c.look.Done(w, r, again, language.Say("You are signed out. Begin again here."))
	}
	if onward != "" {
		return look.Go(w, r, onward)
	}
	return c.look.Done(w, r, "/sign-in", language.Say("You are signed out."))
}

// onward is where the browser goes on when its session is ended: where applications are told.
func (c *player) onward(r *http.Request, secret string) (string, error) {
	by, err := c.continuations.Bearer(r.Context(), "", secret)
	if err != nil || by.Session == "" || c.left == nil {
		return "", err
	}
	return c.left(r.Context(), by.Session)
}

// welcomed is where a pass leads: to setting up, and nowhere else.
var welcomed = session.Continuation{Application: signin.Self, Action: "authenticator.enroll", Object: signin.SettingUp, Return: "/account"}

// welcomes reports whether a continuation is that of a pass. Its grant begins the
// session in which the rest is set up.
func welcomes(e session.Continuation) bool {
	return e.Action == welcomed.Action && e.Object == welcomed.Object
}

// passIn signs in with a pass, as far as a pass leads: to setting up. Who has a
// password or the like is asked for that too, since a pass stands in for what is
// held and never for what is known.
func (c *player) passIn(w http.ResponseWriter, r *http.Request, name, pass string) error {
	req := c.request(r, welcomed)
	req.Session, req.Name, req.Opening = "", name, []prompt.Answer{{Authenticator: "accesspass", Text: pass}}
	step, err := c.engine.Begin(r.Context(), req)
	if err != nil {
		return err
	}
	if step.Again || step.State != signin.Granted && step.State != signin.Ask {
		return failure.Refuse("pass", "That pass is no longer good. Ask for another one.")
	}
	if step.State == signin.Ask {
		if err := c.hold(w, r, welcomed); err != nil {
			return err
		}
	}
	return c.play(w, r, welcomed, "", step)
}

// hold keeps a continuation in this browser, before anybody has a session in it.
func (c *player) hold(w http.ResponseWriter, r *http.Request, e session.Continuation) error {
	code, err := c.continuations.Hold(e, c.look.Browser(w, r))
	if err != nil {
		return err
	}
	c.look.Set(w, continuationCookie, code, cookieLife)
	return nil
}
