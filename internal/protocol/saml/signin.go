package saml

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/protocol"
	"countersign/internal/protocol/saml/message"
	"countersign/internal/session"
	"countersign/internal/signin"
)

// mostForm bounds a form that brings a message.
const mostForm = 256 << 10

// A request is read at one address and answered at another, to which the browser is sent with
// the request sealed: so a browser that came with a form, to which it gives no cookies from
// another site, comes once more with them.

func (d *provider) byQuery(w http.ResponseWriter, r *http.Request) {
	in, err := message.FromQuery(r.URL.RawQuery)
	d.take(w, r, in, err)
}

func (d *provider) byForm(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, mostForm)
	if err := r.ParseForm(); err != nil || len(r.PostForm["SAMLRequest"]) != 1 || len(r.PostForm["RelayState"]) > 1 {
		d.refuse(w, r, nil, failure.New(failure.Invalid, "The form has no SAMLRequest, or two."))
		return
	}
	in, err := message.FromForm(r.PostForm.Get("SAMLRequest"), r.PostForm.Get("RelayState"))
	d.take(w, r, in, err)
}

// The kinds of what travels sealed, so that none is read as another: a sign-out as a request
// would be answered at no address.
const (
	askedKind    = Protocol + " request"
	leavingKind  = Protocol + " sign-out"
	answeredKind = Protocol + " sign-out answer"
)

// asked is a request that is under way, as it travels sealed.
type asked struct {
	App  string `json:"a"`
	ID   string `json:"i,omitempty"` // empty where nothing was asked
	To   string `json:"t"`
	Back string `json:"r,omitempty"` // RelayState
	// Format and Qualifier are those of the name, where the request says some.
	Format    string          `json:"f,omitempty"`
	Qualifier string          `json:"q,omitempty"`
	Subject   bool            `json:"u,omitempty"` // the request names whom it wants
	Force     bool            `json:"n,omitempty"`
	Silent    bool            `json:"s,omitempty"` // IsPassive
	Wants     message.Context `json:"c,omitzero"`
	Came      time.Time       `json:"b"`
}

// take reads a request and sends the browser on to be answered.
func (d *provider) take(w http.ResponseWriter, r *http.Request, in message.Incoming, err error) {
	private(w)
	var from *party
	var request message.AuthnRequest
	if err == nil {
		request, err = in.AuthnRequest(d.certificates(r.Context(), &from))
	}
	if err == nil {
		err = d.check(from, request, in.Relay())
	}
	if err != nil {
		d.refuse(w, r, from, err)
		return
	}
	d.ears.Hear(from.app, d.now())
	to, _ := from.settings.consumer(request.ACS, request.Index)
	a := asked{App: from.app, ID: request.ID, To: to, Back: in.Relay(), Format: request.Format, Qualifier: request.Qualifier, Subject: request.Subject,
		Force: request.Force, Silent: request.Passive, Wants: request.Context, Came: d.now()}
	d.send(w, r, a)
}

// send sends the browser on with a request.
func (d *provider) send(w http.ResponseWriter, r *http.Request, a asked) {
	code, err := d.requests.Seal(askedKind, a)
	if err != nil {
		d.refuse(w, r, nil, err)
		return
	}
	http.Redirect(w, r, continuePath+"?"+url.Values{"request": {code}}.Encode(), http.StatusSeeOther)
}

const (
	// drift is how far an application's clock may stand from ours, and fresh how old a request
	// may be.
	drift, fresh = 3 * time.Minute, 5 * time.Minute
	// mostRelay bounds the RelayState: applications send more than the 80 octets of SAML
	// bindings, section 3.4.3.
	mostRelay = 1024
)

// check says why a request is not answered at all.
func (d *provider) check(from *party, request message.AuthnRequest, relay string) error {
	now := d.now()
	switch {
	case from.demandsSigned() && request.Proof != message.Signed:
		return failure.Refuse("unsigned", "The request is not signed, and this application's requests must be.")
	case request.Destination != "" && request.Destination != d.at(signInPath):
		return failure.Refuse("destination", "The request was made for another address than this one.")
	case request.Proof == message.Signed && request.Destination == "":
		return failure.Refuse("destination", "The request is signed and does not say for which address (SAML bindings, sections 3.4.5.2 and 3.5.5.2).")
	case request.Instant.After(now.Add(drift)) || request.Instant.Before(now.Add(-fresh)):
		return failure.Refuse("late", "The request is too old, or of a clock that is wrong. Begin again at the application.")
	case len(relay) > mostRelay:
		return failure.New(failure.Invalid, "The RelayState is longer than %d octets.", mostRelay)
	}
	if _, ok := from.settings.consumer(request.ACS, request.Index); !ok {
		return failure.Refuse("consumer", "The request asks for an answer at an address that is not registered for this application.")
	}
	if request.Binding != "" && request.Binding != message.BindingPost {
		return failure.Refuse("binding", "The request asks for an answer by something else than a form (HTTP-POST), which is not offered.")
	}
	return nil
}

// goOn answers a request, or sends the browser to sign in for it.
func (d *provider) goOn(w http.ResponseWriter, r *http.Request) {
	private(w)
	var a asked
	if err := d.requests.Open(askedKind, r.URL.Query().Get("request"), &a); err != nil {
		d.refuse(w, r, nil, err)
		return
	}
	to, err := d.parties.named(r.Context(), a.App)
	if err != nil {
		d.unavailable(w, r, err)
		return
	}
	if to == nil || !to.takesAt(a.To) { // it was changed meanwhile
		d.refuse(w, r, to, errUnknown)
		return
	}
	if no := a.unanswerable(to); no.Code != "" {
		d.fail(w, r, to, a, no)
		return
	}
	d.decide(w, r, to, a)
}

// unanswerable says why a request gets a failure whoever comes with it; nothing where it can
// be answered.
func (a asked) unanswerable(to *party) (no message.Status) {
	switch {
	case a.Subject:
		return message.Status{Code: message.Requester, Second: message.RequestUnsupported, Says: "A request that names whom it wants (Subject) is not answered here."}
	case a.Wants.Declarations || len(acceptable(a.Wants)) == 0:
		return message.Status{Code: message.Requester, Second: message.NoAuthnContext, Says: "None of the requested classes of authentication is known here."}
	}
	if _, ok := a.named(to); !ok {
		return message.Status{Code: message.Requester, Second: message.InvalidNameIDPolicy, Says: "The application is not told people by a name of that format."}
	}
	return message.Status{}
}

// decide asks the engine, and answers with what came of it.
func (d *provider) decide(w http.ResponseWriter, r *http.Request, to *party, a asked) {
	ask := d.asks(r, a)
	step, err := d.engine.Check(r.Context(), ask)
	switch {
	case err != nil:
		d.unavailable(w, r, err)
	case step.State == signin.Granted:
		d.answer(w, r, to, a, step.Grant)
	case (step.State == signin.Ask || step.State == signin.Wait) && a.Silent:
		d.fail(w, r, to, a, message.Status{Code: message.Responder, Second: message.NoPassive, Says: "The person would have to be asked."})
	case step.State == signin.Ask, step.State == signin.Wait: // the pages wait until the session is bound
		d.signIn(w, r, ask)
	case d.onlyTheWish(r, ask):
		d.fail(w, r, to, a, message.Status{Code: message.Responder, Second: message.NoAuthnContext, Says: "The person cannot sign in by the requested class of authentication."})
	default:
		d.tellDenied(w, r, to, a, step)
	}
}

// onlyTheWish reports whether the person would be let in but for what the request demands.
func (d *provider) onlyTheWish(r *http.Request, ask signin.Request) bool {
	if ask.Raise == nil {
		return false
	}
	ask.Raise, ask.Since = nil, time.Time{}
	step, err := d.engine.Check(r.Context(), ask)
	return err == nil && step.State == signin.Granted
}

// tellDenied tells a person that they are not let in, and lets them go back to the application
// with that.
func (d *provider) tellDenied(w http.ResponseWriter, r *http.Request, to *party, a asked, step signin.Step) {
	b, err := d.failure(r.Context(), to, a, message.Status{Code: message.Responder, Second: message.RequestDenied, Says: "The person is not let in."})
	if err != nil {
		d.unavailable(w, r, err)
		return
	}
	d.sendDenied(w, r, to, protocol.Refusal(step), a.To, "SAMLResponse", b, "RelayState", a.Back)
}

// fail answers a request with a failure.
func (d *provider) fail(w http.ResponseWriter, r *http.Request, to *party, a asked, status message.Status) {
	b, err := d.failure(r.Context(), to, a, status)
	if err != nil {
		d.unavailable(w, r, err)
		return
	}
	d.sendForm(w, r, signingIn, to, a.To, "SAMLResponse", b, "RelayState", a.Back)
}

func (d *provider) failure(ctx context.Context, to *party, a asked, status message.Status) (string, error) {
	by, _, err := d.signs(ctx)
	if err != nil {
		return "", err
	}
	out := message.Response{ID: message.NewID(), Issuer: d.entity(), Destination: a.To, Audience: to.settings.Entity, InResponseTo: a.ID, Issued: d.now(), Status: status}
	b, err := out.Write(by)
	return base64Of(b), err
}

func (p *party) takesAt(address string) bool {
	_, ok := p.settings.consumer(address, -1)
	return ok
}

// asks is the request as the engine is asked it.
func (d *provider) asks(r *http.Request, a asked) signin.Request {
	q := signin.Request{Application: a.App, Session: protocol.Held(r, d.public), Source: d.clients.Source(r), Protocol: Protocol, Medium: prompt.Browser,
		Raise: demand(a.Wants, acceptable(a.Wants))}
	if a.Force {
		q.Since = a.Came
	}
	return q
}

// signIn sends the browser to sign in, or to show what is missing, and back to be answered.
// Whoever has no session signs in first without what the application demands beside: whether
// they can show that is known when it is known who they are.
func (d *provider) signIn(w http.ResponseWriter, r *http.Request, ask signin.Request) {
	if ask.Session == "" {
		ask.Raise = nil
	}
	back := continuePath + "?" + url.Values{"request": {r.URL.Query().Get("request")}}.Encode()
	code, err := d.continuations.Send(session.Continuation{Application: ask.Application, Protocol: Protocol, Raise: ask.Raise, Since: ask.Since, Return: back})
	if err != nil {
		d.refuse(w, r, nil, err)
		return
	}
	http.Redirect(w, r, "/sign-in?errand="+url.QueryEscape(code), http.StatusSeeOther)
}

// answer tells the application who somebody is, by a form that the browser posts.
func (d *provider) answer(w http.ResponseWriter, r *http.Request, to *party, a asked, g signin.Grant) {
	class, ok := said(acceptable(a.Wants), g.Evidence(), d.method)
	if !ok { // what was shown is strong enough, and of another kind
		d.fail(w, r, to, a, message.Status{Code: message.Responder, Second: message.NoAuthnContext, Says: "The person did not sign in by the requested class of authentication."})
		return
	}
	b, err := d.assert(r.Context(), to, a, g, class)
	if err != nil {
		d.refuse(w, r, to, err)
		return
	}
	d.sendForm(w, r, signingIn, to, a.To, "SAMLResponse", b, "RelayState", a.Back)
}

// assert makes the response to a request of a Grant, and of nothing else.
func (d *provider) assert(ctx context.Context, to *party, a asked, g signin.Grant, class string) (string, error) {
	if !g.Covers(to.app, signin.SignIn, "") {
		return "", failure.New(failure.Internal, "a grant for something else was to be asserted")
	}
	by, set, err := d.signs(ctx)
	if err != nil {
		return "", err
	}
	name, err := d.nameOf(to, a, g, set)
	if err != nil {
		return "", err
	}
	now := d.now()
	joined, err := d.participants.Join(ctx, g, joining(to, a, name, class))
	if err != nil {
		return "", err
	}
	assertion := message.Assertion{ID: message.NewID(), Subject: name, Attributes: attributesOf(&to.settings, g), Class: class,
		Authenticated: authenticated(g), Index: joined.Index, Until: joined.Expires}
	out := message.Response{ID: message.NewID(), Issuer: d.entity(), Destination: a.To, Audience: to.settings.Entity, InResponseTo: a.ID, Issued: now,
		Status: message.Status{Code: message.Success}, Assertion: &assertion, Encrypt: to.encryption}
	b, err := out.Write(by)
	return base64Of(b), err
}
