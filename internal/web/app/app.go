// Package app is the Countersign app: a page that a person installs on their
// phone, with a key of its own, to approve sign-ins elsewhere.
//
// It owns the page, its script, its manifest and its service worker, and the few
// requests that the script sends. It has no rule of its own: every request is
// signed by the app's key, and the engine decides. Nobody is signed in here. Its
// one invariant: nothing about a sign-in is shown before its number was typed.
package app

import (
	"embed"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"countersign/internal/approval"
	"countersign/internal/audit"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/signin"
	"countersign/internal/text"
	"countersign/internal/web/challenge"
	"countersign/internal/web/look"
)

//go:embed templates
var templates embed.FS

//go:embed files
var files embed.FS

// Path is where the app is; it is the scope of its service worker.
const Path = "/app/"

const kind = "push"

// contentPolicy is that of every page, with what an installed app needs besides:
// its manifest, its service worker from one address, and requests to ourselves.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; manifest-src 'self'; worker-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types countersign-app"

// Parts are what the app works on.
type Parts struct {
	Browser     challenge.Browser
	Look        *look.Look
	Apps        *approval.Apps
	Enrollments *enrollment.Enrollments
	// PushKey is the application server's public key, in base64url.
	PushKey string
	// Gesture is how the browser makes a credential for gestures: WebAuthn creation
	// options, to which the app adds the challenge and the user.
	Gesture json.RawMessage
	// CheckAddress refuses a push service that could never be reached.
	CheckAddress func(approval.AppAddress) error
}

// App serves the page and its requests.
type App struct {
	browser      challenge.Browser
	frame        *look.Look
	apps         *approval.Apps
	enrollments  *enrollment.Enrollments
	pushKey      string
	gesture      json.RawMessage
	checkAddress func(approval.AppAddress) error
	pages        *look.Set
}

// New prepares the app.
func New(p Parts) *App {
	return &App{browser: p.Browser, frame: p.Look, apps: p.Apps, enrollments: p.Enrollments, pushKey: p.PushKey, gesture: p.Gesture, checkAddress: p.CheckAddress,
		pages: p.Look.Load(templates)}
}

// Routes lists the page and the requests. Each request is public as far as
// sessions go: what it demands is the signature of an app.
func (a *App) Routes() []look.Route {
	return []look.Route{
		{Pattern: "GET /app", Demand: look.Public(), Handler: func(w http.ResponseWriter, r *http.Request) error { return look.Go(w, r, Path) }},
		{Pattern: "GET " + Path + "{$}", Demand: look.Public(), Handler: a.page},
		{Pattern: "GET " + Path + "app.js", Demand: look.Public(), Handler: file("app.js", "text/javascript; charset=utf-8")},
		{Pattern: "GET " + Path + "key.js", Demand: look.Public(), Handler: file("key.js", "text/javascript; charset=utf-8")},
		{Pattern: "GET " + Path + "worker.js", Demand: look.Public(), Handler: file("worker.js", "text/javascript; charset=utf-8")},
		{Pattern: "GET " + Path + "manifest.webmanifest", Demand: look.Public(), Handler: file("manifest.webmanifest", "application/manifest+json")},
		{Pattern: "GET " + Path + "icon-192.png", Demand: look.Public(), Handler: file("icon-192.png", "image/png")},
		{Pattern: "GET " + Path + "icon-512.png", Demand: look.Public(), Handler: file("icon-512.png", "image/png")},
		{Pattern: "GET " + Path + "icon-maskable-512.png", Demand: look.Public(), Handler: file("icon-maskable-512.png", "image/png")},
		{Pattern: "GET " + Path + "apple-touch-icon.png", Demand: look.Public(), Handler: file("apple-touch-icon.png", "image/png")},
		{Pattern: "GET " + Path + "moment", Demand: look.Public(), Handler: a.say(a.moment)},
		{Pattern: "POST " + Path + "bind", Demand: look.Public(), Handler: a.say(a.bind), Limit: 64 << 10},
		{Pattern: "POST " + Path + "look", Demand: look.Public(), Handler: a.say(a.look), Limit: 8 << 10},
		{Pattern: "POST " + Path + "waits", Demand: look.Public(), Handler: a.say(a.waits), Limit: 8 << 10},
		{Pattern: "POST " + Path + "answer", Demand: look.Public(), Handler: a.say(a.answer), Limit: 8 << 10},
		{Pattern: "POST " + Path + "disown", Demand: look.Public(), Handler: a.say(a.disown), Limit: 8 << 10},
		{Pattern: "POST " + Path + "move", Demand: look.Public(), Handler: a.say(a.move), Limit: 8 << 10},
	}
}

func (a *App) page(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Permissions-Policy", strings.Replace(h.Get("Permissions-Policy"), "camera=()", "camera=(self)", 1)) // to scan a number
	return a.pages.Render(w, r, look.Page{Template: "app", Title: "App", Shape: look.Card, Scripts: scriptTexts})
}

// scriptTexts are what app.js, key.js and worker.js show. A test compares the two.
var scriptTexts = []string{
	"That did not work. Try again.", "Somebody signs in as you", "If it is you, open the app and type the number that is shown there.",
	"Your device did not check that it is you. Try again.", "Countersign cannot be reached. Look at your connection.", "Approvals in the Countersign app",
	"That picture is not of this Countersign. Look at the address of the page that shows it.", "The camera cannot be used. Type the number.",
	"stays", "Now", "Afterwards", "nothing", "To do:", "an unknown address", "Approved. The other device goes on by itself, or press Enter there.",
	"Refused. If you did not begin it, your password is known to somebody: change it.",
	"Refused. Your sessions were ended, your password is switched off unless you administer alone, and your administrators were told.",
	"This browser was told not to show notices.", "This browser has no push service. The app works without: open it and type the number.", "This device will be woken.",
}

func file(name, kind string) look.Handler {
	body, err := files.ReadFile("files/" + name)
	return func(w http.ResponseWriter, _ *http.Request) error {
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Content-Security-Policy", contentPolicy)
		w.Header().Set("Cache-Control", "no-cache")
		_, err := w.Write(body)
		return err
	}
}

// say answers a script: JSON, and for a refusal its one sentence and its word.
func (a *App) say(f func(w http.ResponseWriter, r *http.Request) (any, error)) look.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		out, err := f(w, r)
		status := http.StatusOK
		if err != nil {
			if class := failure.ClassOf(err); class == failure.Internal || class == failure.Unavailable {
				a.frame.Log.Error("the app was not answered", "path", r.URL.Path, "error", err)
			}
			status = look.Status(err)
			out = map[string]string{"problem": a.frame.Language(r).Tell(look.Problem(err)), "reason": failure.ReasonOf(err)}
		}
		body, err := json.Marshal(out)
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, err = w.Write(body)
		return err
	}
}

// moment gives the app what it needs to sign and to send anything.
func (a *App) moment(w http.ResponseWriter, r *http.Request) (any, error) {
	return map[string]any{"moment": a.apps.Moment(), "token": a.frame.FormToken(w, r), "pushKey": a.pushKey, "gesture": a.gesture}, nil
}

// bind proposes this device's key for an enrollment that waits for one.
func (a *App) bind(_ http.ResponseWriter, r *http.Request) (any, error) {
	name, err := a.enrollments.Bind(r.Context(), r.PostForm.Get("code"), []byte(r.PostForm.Get("proposal")), a.place(r))
	return map[string]string{"name": name}, err
}

func (a *App) place(r *http.Request) string {
	return audit.AddressText(a.browser.Source(r))
}

var noSignature = failure.New(failure.Invalid, "The app's request could not be read.")

func (a *App) call(r *http.Request) (approval.AppCall, error) {
	f := r.PostForm
	signature, err := base64.RawURLEncoding.DecodeString(f.Get("signature"))
	if err != nil || len(signature) != 64 {
		return approval.AppCall{}, noSignature
	}
	count, _ := strconv.ParseInt(f.Get("count"), 10, 64) // what is none is refused as none
	return approval.AppCall{Kind: kind, App: f.Get("app"), Moment: f.Get("moment"), Count: count, Signature: signature, Gesture: []byte(f.Get("gesture")), Source: a.browser.Source(r)}, nil
}

// found is what waits, for who typed its number.
type found struct {
	ID          int64  `json:"id"`
	Text        string `json:"text"`
	Application string `json:"application"`
	Action      string `json:"action,omitempty"`
	// Reading is what is read in place of Action, where there is more to say.
	Reading *prompt.Reading `json:"reading,omitempty"`
	Name    string          `json:"name"`
	From    string          `json:"from"`
	// Place is what is known of From.
	Place   string `json:"place,omitempty"`
	By      string `json:"by"`
	Created string `json:"created"`
}

func (a *App) look(_ http.ResponseWriter, r *http.Request) (any, error) {
	call, err := a.call(r)
	if err != nil {
		return nil, err
	}
	wait, err := a.apps.WaitingFor(r.Context(), call, r.PostForm.Get("number"))
	if err != nil {
		return nil, err
	}
	out := found{ID: wait.ID, Text: wait.Text(), Application: wait.Application, Name: wait.Name, From: wait.Source, Place: wait.Place(), By: wait.Protocol, Created: text.Hour(a.frame.In(wait.Created))}
	if wait.Action != signin.SignIn {
		out.Action, out.Reading = wait.Action+" "+wait.Object, wait.Reading
	}
	if wait.Partner != "" {
		out.By += " " + wait.Partner
	}
	return out, nil
}

// waits tells an open app what a push would.
func (a *App) waits(_ http.ResponseWriter, r *http.Request) (any, error) {
	call, err := a.call(r)
	if err != nil {
		return nil, err
	}
	waits, err := a.apps.Waits(r.Context(), call)
	return map[string]bool{"waits": waits}, err
}

func (a *App) answer(_ http.ResponseWriter, r *http.Request) (any, error) {
	call, err := a.call(r)
	if err != nil {
		return nil, err
	}
	f := r.PostForm
	id, err := strconv.ParseInt(f.Get("id"), 10, 64)
	if err != nil {
		return nil, noSignature
	}
	err = a.apps.Answer(r.Context(), call, approval.AppAnswer{ID: id, Number: f.Get("number"), Text: f.Get("text"), Decision: f.Get("decision")})
	return map[string]string{}, err
}

// disown refuses all that waits, for who was woken and sees no number.
func (a *App) disown(_ http.ResponseWriter, r *http.Request) (any, error) {
	call, err := a.call(r)
	if err != nil {
		return nil, err
	}
	return map[string]string{}, a.apps.NotMe(r.Context(), call)
}

// move keeps where this app can be woken.
func (a *App) move(_ http.ResponseWriter, r *http.Request) (any, error) {
	call, err := a.call(r)
	if err != nil {
		return nil, err
	}
	f := r.PostForm
	to := approval.AppAddress{Endpoint: f.Get("endpoint")}
	for _, part := range []struct {
		name string
		into *[]byte
	}{{"p256dh", &to.Public}, {"auth", &to.Secret}} {
		if *part.into, err = base64.RawURLEncoding.DecodeString(f.Get(part.name)); err != nil {
			return nil, noSignature
		}
	}
	if to.Endpoint != "" {
		if err := a.checkAddress(to); err != nil {
			return nil, failure.Wrap(failure.Invalid, err, "This browser's push service cannot be used.")
		}
	}
	return map[string]string{}, a.apps.Move(r.Context(), call, to)
}
