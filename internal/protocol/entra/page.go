package entra

import (
	"net/http"
	"net/url"

	"countersign/internal/language"
	"countersign/internal/protocol"
)

// What people read here.
var (
	gone         = language.Say("This began too long ago, or was answered already. Begin again at the application.")
	otherBrowser = language.Say("This was begun in another browser. Begin again at the application, in this one. If you did not begin it, somebody else is trying to sign in as you: tell an administrator.")
	otherAccount = language.Say("Somebody else is signed in here than the one who is asked for. Sign out here, and begin again at the application.")
)

// stop says on a page of ours what is wrong where nothing may be sent to Entra.
func (d *provider) stop(w http.ResponseWriter, r *http.Request, says language.Sentence) {
	d.pages(w, r, protocol.Page{Status: http.StatusBadRequest, Title: "This cannot go on", Heading: language.Say("This cannot go on"), Sentences: []language.Sentence{says}})
}

// post is a page whose form goes to Entra by itself, and by a button where no script runs.
func (d *provider) post(w http.ResponseWriter, r *http.Request, q request, answer url.Values) {
	d.pages(w, r, protocol.Page{Title: "Signing in", Heading: language.Say("Go on to %s", q.of.called()), Form: q.form(answer, true, protocol.PageButton{Text: language.Say("Go on")})})
}

// form is the answer with its state, for the one address that it may go to.
func (q request) form(answer url.Values, submits bool, button protocol.PageButton) *protocol.PageForm {
	out := &protocol.PageForm{To: q.of.redirect(), Origin: q.of.origin(), Anywhere: true, Submits: submits, Buttons: []protocol.PageButton{button}}
	for _, name := range []string{"id_token", "error"} {
		if answer.Has(name) {
			out.Hidden = append(out.Hidden, name, answer.Get(name))
		}
	}
	if q.state != "" {
		out.Hidden = append(out.Hidden, "state", q.state)
	}
	return out
}

// tellDenied says to a person why they are not let in, with the way back, by which Entra learns it.
func (d *provider) tellDenied(w http.ResponseWriter, r *http.Request, q request, says language.Sentence) {
	d.pages(w, r, protocol.Page{Status: http.StatusForbidden, Title: "Not let in", Heading: language.Say("You are not let in to %s", q.of.called()), Sentences: []language.Sentence{says},
		Form: q.form(url.Values{"error": {"access_denied"}}, false, protocol.PageButton{Text: language.Say("Back to %s", q.of.called()), Second: true})})
}

// tellOther says that another account is signed in.
func (d *provider) tellOther(w http.ResponseWriter, r *http.Request, q request) {
	d.tellDenied(w, r, q, otherAccount)
}
