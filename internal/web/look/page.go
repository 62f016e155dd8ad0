package look

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"time"

	"countersign/internal/failure"
	"countersign/internal/language"
)

// Shape is the outline of a page.
type Shape string

const (
	// Card is one thing to do, in the middle: signing in, an error.
	Card Shape = "card"
	// Desk is a page with a header and links beside it.
	Desk Shape = "desk"
)

// Page is what a room hands in.
type Page struct {
	// Template is the name of the room's file without its ending.
	Template string
	// Status is the HTTP status; zero is 200.
	Status int
	// Title goes in the window's title. It is our own words in English, never anybody's
	// name; the page has it in its own language.
	Title string
	Shape Shape
	// Links are the room's own pages, for the navigation of a Desk.
	Links []Link
	// Person is who is signed in; nil is nobody.
	Person *Person
	// Problem is one sentence on what to mend, shown above everything; zero is none.
	Problem language.Sentence
	// Here is the path at which the page is shown again by a GET; empty is its own address.
	// A choice of the language comes back there.
	Here string
	// Refresh has the browser load the page again after so long; zero is never.
	Refresh time.Duration
	// RefreshTo is the path of another page that it loads then; empty is the same.
	RefreshTo string
	// Scripts are the texts that scripts of the page show, besides those of the house's own.
	Scripts []string
	// Data is the page's own.
	Data any
}

// manyLinks is from how many links on a phone folds them into a menu.
const manyLinks = 7

// Many reports whether a phone folds the links into a menu.
func (p Page) Many() bool { return len(p.Links) >= manyLinks }

// Place is the link that the page is under, in words; empty where it is under none.
func (p Page) Place() string {
	for _, l := range p.Links {
		if l.Here {
			return l.Text
		}
	}
	return ""
}

// Link is an entry of the navigation.
type Link struct {
	Href, Text string
	Here       bool
}

// Person is who is signed in, for the header.
type Person struct {
	Name, Display string
	// Console is where they administer; empty is nowhere.
	Console string
}

// Called is the name that a person reads.
func (p Person) Called() string {
	if p.Display != "" {
		return p.Display
	}
	return p.Name
}

// frame is what the layout sees.
type frame struct {
	Page
	Token        string
	Note         string
	Organisation string
	Brand        branding // what of the organisation's the page wears; nothing on administrators' pages
	Language     *language.Language
	Languages    []*language.Language // to change to
}

func (s *Set) execute(w io.Writer, f frame) error {
	t, ok := s.in(f.Language)[f.Template]
	if !ok {
		return errors.New("look: there is no page " + f.Template)
	}
	return t.ExecuteTemplate(w, "layout", f)
}

const (
	noteCookie = "note"
	noteLife   = time.Minute
)

// Note keeps one sentence for the next page, in the language of that page: what was just done.
func (l *Look) Note(w http.ResponseWriter, text string) {
	l.Set(w, noteCookie, base64.RawURLEncoding.EncodeToString([]byte(text)), noteLife)
}

func decodeNote(value string) string {
	b, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(b) > 1000 {
		return ""
	}
	return string(b)
}

// Go sends the browser to one of our own pages with a GET.
func Go(w http.ResponseWriter, r *http.Request, path string) error {
	if !ownPath(path) {
		return errors.New("look: a redirect that leaves us")
	}
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}

// Repeat has the browser send the form that it has just sent to another of our own pages
// (RFC 9110 section 15.4.8): what a person pressed once is not pressed twice, and what
// acts still takes a form of this browser.
func Repeat(w http.ResponseWriter, r *http.Request, path string) error {
	if !ownPath(path) || r.Method != http.MethodPost {
		return errors.New("look: a form that leaves us, or none")
	}
	http.Redirect(w, r, path, http.StatusTemporaryRedirect)
	return nil
}

// Done notes a sentence, in the language of whoever did it, and goes to one of our own pages.
func (l *Look) Done(w http.ResponseWriter, r *http.Request, path string, note language.Sentence) error {
	l.Note(w, l.Language(r).Tell(note))
	return Go(w, r, path)
}

// Problem is the sentence of an error, for the page on which it is mended.
func Problem(err error) language.Sentence {
	format, args := failure.Sentence(err)
	return language.Say(format, args...)
}
