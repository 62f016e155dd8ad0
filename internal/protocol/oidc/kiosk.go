package oidc

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/url"

	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/oauth"
	"countersign/internal/prompt"
	"countersign/internal/protocol"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/text"
	"countersign/internal/ticket"
)

// People let devices in here: they sign in, type the code that the device shows, read what it is
// and from where it asks, prove themselves anew, and say yes. Whoever is sent a code by a stranger
// reads where the stranger is (RFC 8628 section 5.4, BCP 247).

const (
	kioskPath, confirmPath = "/device", "/device/confirm"
	// typedKind is what a code that was typed is sealed as, for the session in which it was typed.
	typedKind = "oidc-device"
)

type kiosk struct {
	*front
	devices *oauth.Devices
}

// typedCode is a code that somebody typed, in their session.
type typedCode struct{ Code, Session string }

// person is who is signed in at our own pages. Otherwise the browser was answered, and comes back
// to a path of ours where it can sign in.
func (p *kiosk) person(w http.ResponseWriter, r *http.Request, back string) (signin.Grant, bool) {
	step, err := p.engine.Check(r.Context(), signin.Request{Application: signin.Self, Session: p.secret(r), Source: p.source(r), Protocol: "browser", Medium: prompt.Browser})
	switch {
	case err != nil:
		p.notes.fails(err)
		p.pages.Unavailable(w, r)
	case step.State == signin.Granted:
		return step.Grant, true
	case step.State == signin.Ask:
		p.send(w, r, session.Continuation{Application: signin.Self, Return: back})
	default:
		p.pages(w, r, protocol.Page{Status: http.StatusForbidden, Title: "Not let in", Heading: language.Say("You are not let in"), Sentences: []language.Sentence{protocol.Refusal(step)}})
	}
	return signin.Grant{}, false
}

// send sends the browser to sign in, or to show more.
func (p *kiosk) send(w http.ResponseWriter, r *http.Request, to session.Continuation) {
	code, err := p.continuations.Send(to)
	if err != nil {
		p.notes.fails(err)
		p.pages.Unavailable(w, r)
		return
	}
	http.Redirect(w, r, "/sign-in?errand="+url.QueryEscape(code), http.StatusSeeOther)
}

// enter asks for the code. What an address says is not looked at: a link fills nothing in.
func (p *kiosk) enter(w http.ResponseWriter, r *http.Request) {
	if _, ok := p.person(w, r, kioskPath); ok {
		p.askCode(w, r, http.StatusOK, language.Sentence{})
	}
}

func (p *kiosk) askCode(w http.ResponseWriter, r *http.Request, status int, problem language.Sentence) {
	p.pages(w, r, protocol.Page{Status: status, Title: "Let a device in", Heading: language.Say("Let a device in"), Problem: problem,
		Sentences: []language.Sentence{language.Say("Type the code that the device in front of you shows. If somebody sent you a code, do not type it: whoever sent it would be signed in as you.")},
		Form:      &protocol.PageForm{To: kioskPath, Code: language.Say("Code on the device"), CodeName: "user_code", Buttons: []protocol.PageButton{{Text: language.Say("Go on")}}}})
}

// typed takes the code that somebody typed.
func (p *kiosk) typed(w http.ResponseWriter, r *http.Request) {
	g, ok := p.person(w, r, kioskPath)
	if !ok {
		return
	}
	v, f := readForm(w, r)
	if f.is() {
		p.refusePage(w, r, unreadable)
		return
	}
	waits, err := p.devices.Typed(r.Context(), g.Account(), v["user_code"])
	if err != nil {
		p.wrongCode(w, r, err)
		return
	}
	plain, err := json.Marshal(typedCode{waits.Code, sid(g)})
	if err != nil {
		p.refuseError(w, r, err)
		return
	}
	sealed, _ := p.tickets.Sealed(ticket.Spec{Kind: typedKind, Payload: plain, Lifetime: oauth.DeviceLife})
	http.Redirect(w, r, confirmPath+"?"+url.Values{resumed: {sealed}}.Encode(), http.StatusSeeOther)
}

// wrongCode asks for a code once more, and says why.
func (p *kiosk) wrongCode(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusBadRequest
	switch {
	case failure.ClassOf(err) != failure.Refused:
		p.refuseError(w, r, err)
		return
	case errors.Is(err, oauth.ErrTyped):
		status = http.StatusTooManyRequests
	}
	p.askCode(w, r, status, language.Say("%s", language.Word(failure.Public(err))))
}

// visitor is somebody who typed a code, with the device that waits for it.
type visitor struct {
	who    signin.Grant
	waits  oauth.Waiting
	client client
	sealed string
}

// wish is what the client's settings demand of who lets a device in, and that they prove themselves
// for this device: a session of before is no yes to it.
func (v visitor) wish() wish {
	out, _ := request{client: v.client, begun: v.waits.Begun, prompts: []string{"login"}, maxAge: -1}.wish(v.waits.Begun) // nothing is demanded that nobody knows
	return out
}

// visits finds out who comes and with which device, of what was typed in this very session.
// Otherwise the browser was answered.
func (p *kiosk) visits(w http.ResponseWriter, r *http.Request, sealed string) (visitor, bool) {
	g, ok := p.person(w, r, confirmPath+"?"+url.Values{resumed: {sealed}}.Encode())
	if !ok {
		return visitor{}, false
	}
	var typed typedCode
	plain, err := p.tickets.OpenSealed(typedKind, sealed)
	if err != nil || json.Unmarshal(plain, &typed) != nil || typed.Session != sid(g) {
		http.Redirect(w, r, kioskPath, http.StatusSeeOther) // it was typed by somebody else, or too long ago
		return visitor{}, false
	}
	waits, err := p.devices.Waits(r.Context(), typed.Code)
	if err != nil {
		p.wrongCode(w, r, err)
		return visitor{}, false
	}
	t, err := p.clients.table(r.Context())
	if err != nil {
		p.refuseError(w, r, err)
		return visitor{}, false
	}
	c, known := t.byName[waits.Client]
	if !known || c.Device == "" {
		p.wrongCode(w, r, oauth.ErrNoDevice)
		return visitor{}, false
	}
	if c.Device == FromSameNetwork && !sameNetwork(waits.From(), p.source(r)) {
		p.askCode(w, r, http.StatusForbidden, language.Say("The device is in another network than you are, and %s takes only devices in the same one.", c.title))
		return visitor{}, false
	}
	return visitor{g, waits, c, sealed}, true
}

// sameNetwork reports whether two addresses are neighbours: of one /24, or one /56 of IPv6.
func sameNetwork(a, b netip.Addr) bool {
	a, b = a.Unmap().WithZone(""), b.Unmap().WithZone("")
	bits := 24
	if a.Is6() {
		bits = 56
	}
	network, err := a.Prefix(bits)
	return err == nil && network.Contains(b)
}

// asks asks the engine for the application, over the session in the browser. Where it does not
// grant, the browser was answered.
func (p *kiosk) asks(w http.ResponseWriter, r *http.Request, v visitor) (signin.Grant, bool) {
	wish := v.wish()
	step, err := p.engine.Check(r.Context(), wish.asks(v.client, p.secret(r), p.source(r)))
	switch {
	case err != nil:
		p.notes.fails(err)
		p.pages.Unavailable(w, r)
	case step.State == signin.Granted:
		return step.Grant, true
	case step.State == signin.Ask:
		p.send(w, r, wish.continuation(v.client, confirmPath+"?"+url.Values{resumed: {v.sealed}}.Encode()))
	default:
		p.pages(w, r, protocol.Page{Status: http.StatusForbidden, Title: "Not let in", Heading: language.Say("You are not let in to %s", v.client.title), Sentences: []language.Sentence{protocol.Refusal(step)}})
	}
	return signin.Grant{}, false
}

// confirm shows which device it is, to somebody who has proved themselves for it.
func (p *kiosk) confirm(w http.ResponseWriter, r *http.Request) {
	v, ok := p.visits(w, r, r.URL.Query().Get(resumed))
	if !ok {
		return
	}
	g, ok := p.asks(w, r, v)
	if !ok {
		return
	}
	page := protocol.Page{Title: "Let a device in", Heading: language.Say("Let a device in to %s?", v.client.title),
		Sentences: []language.Sentence{language.Say("A device wants to use %s as you, %s.", v.client.title, g.Name())}, Points: p.tells(r, v),
		After: []language.Sentence{language.Say("Go on only if you began this yourself, at a device in front of you that shows this code. If somebody sent you the code or asks you on the telephone to type it, do not: they would be signed in as you.")}}
	page.Form = &protocol.PageForm{To: confirmPath, Hidden: []string{resumed, v.sealed},
		Buttons: []protocol.PageButton{{Name: "answer", Value: "allow", Text: language.Say("Let the device in")}, {Name: "answer", Value: "refuse", Text: language.Say("Do not let it in"), Second: true}}}
	p.pages(w, r, page)
}

// tells says what is known of a device, and what it wants.
func (p *kiosk) tells(r *http.Request, v visitor) []language.Sentence {
	out := []language.Sentence{language.Say("The code on the device: %s", v.waits.Code)}
	switch here := p.source(r); {
	case v.waits.Source == "":
		out = append(out, language.Say("Nobody knows from where it asks"))
	case sameNetwork(v.waits.From(), here):
		out = append(out, language.Say("It asks from the network in which you are: %s", v.waits.Source))
	default:
		out = append(out, language.Say("It asks from another network than yours: %s, and you are at %s", v.waits.Source, here.Unmap().String()))
	}
	if v.waits.Agent != "" {
		out = append(out, language.Say("It calls itself %s", v.waits.Agent))
	}
	out = append(out, language.Say("It began at %s", text.Hour(v.waits.Begun.In(p.now().Location()))))
	for _, s := range v.waits.Scopes {
		if s != scopeOpenID {
			out = append(out, language.Say("It wants to know %s", language.Word(scopeNames[s])))
		}
	}
	return out
}

// scopeNames are what a device wants to know, as a sentence goes on with it.
var scopeNames = map[string]string{scopeProfile: "your name", scopeMail: "your mail address", scopeGroups: "the groups that you are in"}

// answered takes what somebody said of a device.
func (p *kiosk) answered(w http.ResponseWriter, r *http.Request) {
	form, f := readForm(w, r)
	if f.is() {
		p.refusePage(w, r, unreadable)
		return
	}
	v, ok := p.visits(w, r, form[resumed])
	if !ok {
		return
	}
	if form["answer"] != "allow" {
		p.done(w, r, p.devices.Refuse(r.Context(), v.who, v.waits), language.Say("The device was not let in"), language.Say("If somebody sent you the code, tell whoever looks after your accounts."))
		return
	}
	g, ok := p.asks(w, r, v)
	if !ok {
		return
	}
	wish := v.wish()
	err := p.devices.Approve(r.Context(), g, v.waits, oauth.Spec{Scopes: v.waits.Scopes, Wanted: wish.wanted, Raise: wish.raise, Since: wish.since, Subject: subject(g), Listens: v.client.BackChannel != ""})
	p.done(w, r, err, language.Say("The device is let in"), language.Say("Go back to it: it goes on by itself in a few seconds."))
}

// done says what became of it.
func (p *kiosk) done(w http.ResponseWriter, r *http.Request, err error, heading, says language.Sentence) {
	if err != nil {
		p.wrongCode(w, r, err)
		return
	}
	p.pages(w, r, protocol.Page{Title: "Let a device in", Heading: heading, Sentences: []language.Sentence{says}})
}
