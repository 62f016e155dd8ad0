package oidc

import (
	"net/http"

	"countersign/internal/language"
	"countersign/internal/protocol"
)

// refusePage says on a page of ours what is wrong where nothing may be sent to the client.
func (p *front) refusePage(w http.ResponseWriter, r *http.Request, says language.Sentence) {
	p.pages(w, r, protocol.Page{Status: http.StatusBadRequest, Title: "This cannot go on", Heading: language.Say("This cannot go on"),
		Sentences: []language.Sentence{says, language.Say("Go back to the application and try again. If it stays so, tell whoever runs it.")}})
}

var unreadable = language.Say("The request cannot be read.")

// notLetIn says to somebody whom the engine refuses why, as far as the engine tells them, with the
// way back to the application, which learns that it is so.
func (p *front) notLetIn(w http.ResponseWriter, r *http.Request, q request, says language.Sentence) {
	answer := p.answerTo(q, faultAnswer(fault{"access_denied", "The person was not let in."}))
	page := protocol.Page{Status: http.StatusForbidden, Title: "Not let in", Heading: language.Say("You are not let in to %s", q.client.title), Sentences: []language.Sentence{says}}
	if q.mode == modeForm {
		page.Form = &protocol.PageForm{To: q.redirect, Origin: originOf(q.redirect), Hidden: hidden(answer), Buttons: []protocol.PageButton{{Text: language.Say("Back to %s", q.client.title), Second: true}}}
	} else {
		page.Links = []protocol.PageLink{{Href: addressed(q.redirect, answer), Text: language.Say("Back to %s", q.client.title)}}
	}
	p.pages(w, r, page)
}

// scopeWords are what each scope means to whoever consents.
var scopeWords = map[string]language.Sentence{
	scopeOpenID:  language.Say("that it is you"),
	scopeProfile: language.Say("your name"),
	scopeMail:    language.Say("your mail address"),
	scopeGroups:  language.Say("the groups that you are in"),
	scopeOffline: language.Say("all of that also later, while you are not signed in"),
}

// askConsent asks somebody who is let in whether the application may learn what it asks for.
func (p *front) askConsent(w http.ResponseWriter, r *http.Request, q request, code, name string) {
	page := protocol.Page{Title: "Consent", Heading: language.Say("%s", q.client.title), Sentences: []language.Sentence{language.Say("You are signed in as %s. The application wants to know:", name)}}
	for _, s := range q.scopes {
		words, known := scopeWords[s]
		if !known {
			words = language.Say("to act for you there: %s", s)
		}
		page.Points = append(page.Points, words)
	}
	page.Form = &protocol.PageForm{To: answerPath, Origin: originOf(q.redirect), Hidden: []string{resumed, code},
		Buttons: []protocol.PageButton{{Name: "answer", Value: "allow", Text: language.Say("Allow")}, {Name: "answer", Value: "refuse", Text: language.Say("Do not allow"), Second: true}}}
	p.pages(w, r, page)
}

// askAccount asks somebody who has a session as whom they go on.
func (p *front) askAccount(w http.ResponseWriter, r *http.Request, q request, code, name string) {
	p.pages(w, r, protocol.Page{Title: "Choose an account", Heading: language.Say("Go on to %s", q.client.title), Sentences: []language.Sentence{language.Say("You are signed in as %s.", name)},
		Form: &protocol.PageForm{To: answerPath, Origin: originOf(q.redirect), Hidden: []string{resumed, code},
			Buttons: []protocol.PageButton{{Name: "answer", Value: "continue", Text: language.Say("Go on as %s", name)}, {Name: "answer", Value: "another", Text: language.Say("Use another account"), Second: true}}}})
}
