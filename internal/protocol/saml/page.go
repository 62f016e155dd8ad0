package saml

import (
	"net/http"

	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/protocol"
)

// private keeps what is in the address to this page.
func private(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
}

// unavailable answers what went wrong with us.
func (d *provider) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	if d.log != nil {
		d.log.Error("a SAML message could not be answered", "error", err)
	}
	d.pages.Unavailable(w, r)
}

// refuse tells the person, and administrators, what was not answered.
func (d *provider) refuse(w http.ResponseWriter, r *http.Request, from *party, err error) {
	if class := failure.ClassOf(err); class == failure.Internal || class == failure.Unavailable {
		d.unavailable(w, r, err)
		return
	}
	d.miss(from, failure.ReasonOf(err), d.clients.Source(r))
	d.pages(w, r, protocol.Page{Status: http.StatusForbidden, Title: "This cannot go on", Heading: language.Say("This cannot go on"), Sentences: []language.Sentence{wrong(err)}})
}

// wrong is what a person reads of an error. How a message is malformed is for whoever runs the
// application, in English as all that administrators read.
func wrong(err error) language.Sentence {
	if failure.ReasonOf(err) == malformed {
		return language.Say("What the application sent cannot be read. For whoever runs it: %s", failure.Public(err))
	}
	format, args := failure.Sentence(err)
	return language.Say(format, args...)
}

// sendForm shows a page that posts a form to an application, by itself where the browser runs
// scripts. Hidden are names and values in turn.
func (d *provider) sendForm(w http.ResponseWriter, r *http.Request, title string, to *party, address string, hidden ...string) {
	d.pages(w, r, protocol.Page{Title: title, Heading: language.Say("Go on to %s", to.called()),
		Form: &protocol.PageForm{To: address, Anywhere: true, Hidden: filled(hidden), Submits: true, Buttons: []protocol.PageButton{{Text: language.Say("Go on")}}}})
}

// sendAddress shows a page that goes on to an application's address by itself.
func (d *provider) sendAddress(w http.ResponseWriter, r *http.Request, to *party, address string) {
	w.Header().Set("Refresh", "0;url="+address)
	d.pages(w, r, protocol.Page{Title: signingOut, Heading: language.Say("Go on to %s", to.called()), Links: []protocol.PageLink{{Href: address, Text: language.Say("Go on")}}})
}

// The titles of the pages that go on by themselves.
const (
	signingIn  = "Signing in"
	signingOut = "Signing out"
)

// sendDenied shows a page that says why somebody is not let in, with a way back.
func (d *provider) sendDenied(w http.ResponseWriter, r *http.Request, to *party, says language.Sentence, address string, hidden ...string) {
	d.pages(w, r, protocol.Page{Status: http.StatusForbidden, Title: "Not let in", Heading: language.Say("You are not let in to %s", to.called()), Sentences: []language.Sentence{says},
		Form: &protocol.PageForm{To: address, Anywhere: true, Hidden: filled(hidden), Buttons: []protocol.PageButton{{Text: language.Say("Back to %s", to.called()), Second: true}}}})
}

// askOpen asks somebody whom a link on another site brought whether they want to go on.
func (d *provider) askOpen(w http.ResponseWriter, r *http.Request, to *party) {
	d.pages(w, r, protocol.Page{Title: "Open an application", Heading: language.Say("Open %s", to.called()),
		Sentences: []language.Sentence{language.Say("A link on another page brought you here. Open it if that is what you wanted.")},
		Links:     []protocol.PageLink{{Href: startPath + to.app, Text: language.Say("Open %s", to.called())}}})
}

// filled are names and values in turn, without those whose value is empty.
func filled(hidden []string) (out []string) {
	for i := 0; i+1 < len(hidden); i += 2 {
		if hidden[i+1] != "" {
			out = append(out, hidden[i], hidden[i+1])
		}
	}
	return out
}

// called is what people call an application.
func (p *party) called() string {
	if p.title == "" {
		return p.app
	}
	return p.title
}
