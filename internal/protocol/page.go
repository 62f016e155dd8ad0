package protocol

import (
	"net/http"

	"countersign/internal/language"
	"countersign/internal/signin"
)

// Page is a page of ours that a protocol shows to whoever comes from an application. It is plain
// text: whoever shows it escapes it, and translates what is said.
type Page struct {
	// Status is the HTTP status; zero is 200.
	Status int
	// Title is our own words for the window, never anybody's name.
	Title   string
	Heading language.Sentence
	// Problem is what is wrong with what was typed; the zero Sentence is nothing.
	Problem   language.Sentence
	Sentences []language.Sentence
	Points    []language.Sentence
	// After stands behind the points.
	After []language.Sentence
	// Form goes on from it; nil is none.
	Form *PageForm
	// Links are other ways on: addresses that the protocol has checked.
	Links []PageLink
	// Frames are addresses of applications, which the protocol has checked, that are opened unseen
	// on the page, and Onward is where the browser goes by itself when there was time for them:
	// the first link leads there at once. Empty is nowhere.
	Frames []string
	Onward string
}

// PageForm is a form of hidden values and buttons.
type PageForm struct {
	// To is where it is posted, and Origin where that or the redirect that follows leads besides
	// our own pages, as a source expression of a Content-Security-Policy. The protocol has checked
	// both.
	To, Origin string
	// Anywhere says that the redirects which follow may lead to any host: that of To is another's,
	// and browsers hold all of them to the policy of the page.
	Anywhere bool
	// Hidden are names and values in turn.
	Hidden []string
	// Code is the label of a field in which somebody types a code, and CodeName its name; without a
	// name there is none.
	Code     language.Sentence
	CodeName string
	Buttons  []PageButton
	// Submits says that it is sent by itself where a script runs.
	Submits bool
}

// PageButton is one way on. A Second is the lesser one.
type PageButton struct {
	Name, Value string
	Text        language.Sentence
	Second      bool
}

// PageLink is a link.
type PageLink struct {
	Href string
	Text language.Sentence
}

// Pages shows pages in the look of all others.
type Pages func(w http.ResponseWriter, r *http.Request, p Page)

// Unavailable says that something is wrong with us.
func (show Pages) Unavailable(w http.ResponseWriter, r *http.Request) {
	show(w, r, Page{Status: http.StatusServiceUnavailable, Title: "Not available", Heading: language.Say("Not available"),
		Sentences: []language.Sentence{language.Say("The sign-in service is not available. Try again soon.")}})
}

// Refusal is why somebody is not let in, as far as the engine tells them.
func Refusal(step signin.Step) language.Sentence {
	if step.Public == "" {
		return language.Say("You are not let in.")
	}
	return language.Say("%s", language.Word(step.Public))
}
