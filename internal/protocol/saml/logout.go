package saml

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"countersign/internal/failure"
	"countersign/internal/participant"
	"countersign/internal/protocol/saml/message"
	"countersign/internal/session"
)

// A sign-out goes from application to application by the browser (SAML profiles, section 4.4):
// the session here is ended first, whatever becomes of the rest, then each application that was
// told of it is asked to end its own, and at the end the one that began is answered. What is
// still to do is in a cookie of the browser, sealed.

const (
	signOutPath = "/saml/slo"
	onwardPath  = "/saml/logout"
	way         = "countersign-saml-logout"
	wayLife     = 5 * time.Minute
)

// signOuts are the provider's sign-outs.
type signOuts struct{ *provider }

func (d *signOuts) handle(mux *http.ServeMux) {
	mux.HandleFunc("GET "+signOutPath, d.logoutByQuery)
	mux.HandleFunc("POST "+signOutPath, d.logoutByForm)
	mux.HandleFunc("GET "+onwardPath, d.onward)
	mux.HandleFunc("POST "+soapPath, d.soap)
}

// leaving is a sign-out under way.
type leaving struct {
	Sessions []string `json:"s"` // the numbers of those that were ended
	// App, ID, Relay and Post are of the application that began; empty where nobody of them did.
	App   string `json:"a,omitempty"`
	ID    string `json:"i,omitempty"`
	Relay string `json:"r,omitempty"`
	// Waits is the ID of the request that is with an application, and Partial says that one of
	// them could not be told.
	Waits   string `json:"w,omitempty"`
	Partial bool   `json:"p,omitempty"`
}

// answered is what an application said to a request, on its way to where the cookie is.
type answered struct {
	ID string `json:"i"`
	OK bool   `json:"o"`
}

func (d *signOuts) logoutByQuery(w http.ResponseWriter, r *http.Request) {
	private(w)
	in, err := message.FromQuery(r.URL.RawQuery)
	if err != nil {
		d.refuse(w, r, nil, err)
		return
	}
	if in.Request() {
		d.logout(w, r, in)
		return
	}
	d.loggedOut(w, r, in)
}

func (d *signOuts) logoutByForm(w http.ResponseWriter, r *http.Request) {
	private(w)
	r.Body = http.MaxBytesReader(w, r.Body, mostForm)
	if err := r.ParseForm(); err != nil || len(r.PostForm["SAMLRequest"])+len(r.PostForm["SAMLResponse"]) != 1 || len(r.PostForm["RelayState"]) > 1 {
		d.refuse(w, r, nil, failure.New(failure.Invalid, "The form has no SAMLRequest and no SAMLResponse, or two."))
		return
	}
	request := len(r.PostForm["SAMLRequest"]) == 1
	in, err := message.FromForm(r.PostForm.Get("SAMLRequest")+r.PostForm.Get("SAMLResponse"), r.PostForm.Get("RelayState"))
	switch {
	case err != nil:
		d.refuse(w, r, nil, err)
	case request:
		d.logout(w, r, in)
	default:
		d.loggedOut(w, r, in)
	}
}

// logout takes an application's request to sign somebody out. It must be signed: else anybody
// could end anybody's session.
func (d *signOuts) logout(w http.ResponseWriter, r *http.Request, in message.Incoming) {
	var from *party
	request, err := in.LogoutRequest(d.certificates(r.Context(), &from))
	if err == nil {
		err = d.checkLogout(request.Heading, request.Until, in.Relay())
	}
	if err == nil && from.settings.Logout == "" {
		err = failure.Refuse("no-logout", "No address is registered at which this application is answered after a sign-out.")
	}
	if err != nil {
		d.refuse(w, r, from, err)
		return
	}
	l := leaving{App: from.app, ID: request.ID, Relay: in.Relay()}
	found, err := d.named(r.Context(), from, request)
	if err != nil {
		d.unavailable(w, r, err)
		return
	}
	for _, one := range found {
		if err := d.end(r.Context(), one); err != nil {
			d.unavailable(w, r, err)
			return
		}
		if !slices.Contains(l.Sessions, one.Session) {
			l.Sessions = append(l.Sessions, one.Session)
		}
	}
	d.goThrough(w, r, l)
}

// checkLogout says why a message about a sign-out is not taken.
func (d *signOuts) checkLogout(h message.Heading, until time.Time, relay string) error {
	now := d.now()
	switch {
	case h.Proof != message.Signed:
		return failure.Refuse("unsigned", "The message is not signed, so that anybody could have sent it.")
	case h.Destination != d.at(signOutPath):
		return failure.Refuse("destination", "The message was made for another address than this one.")
	case h.Instant.After(now.Add(drift)) || h.Instant.Before(now.Add(-fresh)) || !until.IsZero() && !now.Before(until.Add(drift)):
		return failure.Refuse("late", "The message is too old, or of a clock that is wrong.")
	case len(relay) > mostRelay:
		return failure.New(failure.Invalid, "The RelayState is longer than %d octets.", mostRelay)
	}
	return nil
}

// named are the sessions that a request means.
func (d *signOuts) named(ctx context.Context, from *party, request message.LogoutRequest) ([]participant.Participant, error) {
	if len(request.Indexes) == 0 {
		return d.participants.Named(ctx, from.app, request.Name, "")
	}
	var out []participant.Participant
	for _, index := range request.Indexes {
		found, err := d.participants.Named(ctx, from.app, request.Name, index)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// end ends a session of which an application was told.
func (d *signOuts) end(ctx context.Context, one participant.Participant) error {
	if err := d.participants.Leave(ctx, one); err != nil {
		return err
	}
	return d.endings.SignOutAt(ctx, session.Elsewhere{Account: one.Account, Name: one.AccountName, Session: one.Session, Protocol: Protocol})
}

// loggedOut takes an application's answer.
func (d *signOuts) loggedOut(w http.ResponseWriter, r *http.Request, in message.Incoming) {
	var from *party
	response, err := in.LogoutResponse(d.certificates(r.Context(), &from))
	if err == nil {
		err = d.checkLogout(response.Heading, time.Time{}, in.Relay())
	}
	if err != nil {
		d.refuse(w, r, from, err)
		return
	}
	code, err := d.requests.Seal(answeredKind, answered{response.InResponseTo, response.Code == message.Success})
	if err != nil {
		d.unavailable(w, r, err)
		return
	}
	http.Redirect(w, r, onwardPath+"?"+url.Values{"answer": {code}}.Encode(), http.StatusSeeOther)
}

// onward goes on with the sign-out of this browser.
func (d *signOuts) onward(w http.ResponseWriter, r *http.Request) {
	private(w)
	var l leaving
	if code := r.URL.Query().Get("begin"); code != "" {
		if err := d.requests.Open(leavingKind, code, &l); err != nil {
			d.refuse(w, r, nil, err)
			return
		}
		d.goThrough(w, r, l)
		return
	}
	var a answered
	held := r.CookiesNamed(way)
	if len(held) != 1 || d.requests.Open(leavingKind, held[0].Value, &l) != nil || d.requests.Open(answeredKind, r.URL.Query().Get("answer"), &a) != nil || a.ID == "" || a.ID != l.Waits {
		d.refuse(w, r, nil, participant.ErrStray)
		return
	}
	l.Partial = l.Partial || !a.OK
	d.goThrough(w, r, l)
}

// goThrough tells the next application, or ends where the sign-out began.
func (d *signOuts) goThrough(w http.ResponseWriter, r *http.Request, l leaving) {
	for _, number := range l.Sessions {
		all, err := d.participants.Of(r.Context(), number)
		if err != nil {
			d.unavailable(w, r, err)
			return
		}
		for _, one := range all {
			to, err := d.parties.named(r.Context(), one.Application)
			if err != nil {
				d.unavailable(w, r, err)
				return
			}
			if to != nil && to.settings.LogoutSOAP != "" {
				continue // it is told without the browser, see tellAll
			}
			if err := d.participants.Leave(r.Context(), one); err != nil { // it is told once, whatever it answers
				d.unavailable(w, r, err)
				return
			}
			if to == nil || to.settings.Logout == "" {
				l.Partial = true
				continue
			}
			l.Waits = message.NewID()
			d.keepWay(w, &l)
			d.tell(w, r, to, message.AskLogout(l.Waits, d.entity(), to.settings.Logout, d.now(), d.nameIn(one, to), one.Index), "")
			return
		}
	}
	d.keepWay(w, nil)
	d.finish(w, r, l)
}

// nameIn is what an application was told somebody is called.
func (d *signOuts) nameIn(one participant.Participant, to *party) message.NameID {
	n := message.NameID{Value: one.Name, Format: one.Format}
	if one.Format == message.FormatPersistent || one.Format == message.FormatTransient {
		n.By, n.For = d.entity(), to.settings.Entity
	}
	return n
}

// finish answers the application that began, or shows our own page.
func (d *signOuts) finish(w http.ResponseWriter, r *http.Request, l leaving) {
	to, err := d.parties.named(r.Context(), l.App)
	if err != nil {
		d.unavailable(w, r, err)
		return
	}
	if l.App == "" || to == nil || to.settings.Logout == "" {
		http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
		return
	}
	status := message.Status{Code: message.Success}
	switch {
	case len(l.Sessions) == 0:
		status = message.Status{Code: message.Requester, Second: message.UnknownPrincipal}
	case l.Partial:
		status = message.Status{Code: message.Success, Second: message.PartialLogout}
	}
	d.tell(w, r, to, message.AnswerLogout(message.NewID(), d.entity(), to.settings.Logout, d.now(), l.ID, status), l.Relay)
}

// tell sends a message to an application, by the binding of its settings: over a page of ours,
// because browsers hold the form that began to where its redirects lead.
func (d *signOuts) tell(w http.ResponseWriter, r *http.Request, to *party, o message.Outgoing, relay string) {
	by, _, err := d.signs(r.Context())
	if err != nil {
		d.unavailable(w, r, err)
		return
	}
	if to.settings.LogoutBinding == redirect {
		address, err := o.Address(by, relay)
		if err != nil {
			d.unavailable(w, r, err)
			return
		}
		d.sendAddress(w, r, to, address)
		return
	}
	name, value, err := o.Form(by)
	if err != nil {
		d.unavailable(w, r, err)
		return
	}
	d.sendForm(w, r, signingOut, to, to.settings.Logout, name, value, "RelayState", relay)
}

// keepWay keeps what is still to do; nil is nothing.
func (d *signOuts) keepWay(w http.ResponseWriter, l *leaving) {
	c := &http.Cookie{Name: way, Path: onwardPath, HttpOnly: true, Secure: d.public.Scheme == "https", SameSite: http.SameSiteLaxMode, MaxAge: -1}
	if l != nil {
		if code, err := d.requests.Seal(leavingKind, l); err == nil {
			c.Value, c.MaxAge = code, int(wayLife/time.Second)
		}
	}
	http.SetCookie(w, c)
}

// left is where a browser goes on whose session is ended at our own pages; onward where no
// application was told of it. It is the first of its kind, and ends at our own pages.
func (d *signOuts) left(ctx context.Context, number, onward string) (string, error) {
	all, err := d.participants.Of(ctx, number)
	if err != nil || len(all) == 0 {
		return onward, err
	}
	code, err := d.requests.Seal(leavingKind, leaving{Sessions: []string{number}})
	if err != nil {
		return "", err
	}
	return onwardPath + "?" + url.Values{"begin": {code}}.Encode(), nil
}
