package look

import (
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"countersign/internal/language"
)

// Outside is a page of ours for whoever comes from elsewhere and goes on to elsewhere: from an
// application that had somebody sign in. It is shown as it is, with nobody's session.
type Outside struct {
	Status int
	// Title is our own words, never anybody's name.
	Title     string
	Heading   language.Sentence
	Sentences []language.Sentence
	Points    []language.Sentence
	Form      *OutsideForm
	Links     []OutsideLink
}

// isolated are the names in a sentence, each in an element of its own, so that none turns the line.
func isolated(s language.Sentence) []any {
	out := slices.Clone(s.Args)
	for i, a := range out {
		if name, ok := a.(string); ok {
			out[i] = element("bdi")(name)
		}
	}
	return out
}

// OutsideLink is another way on.
type OutsideLink struct {
	Href string
	Text language.Sentence
}

// OutsideForm is what goes on from it.
type OutsideForm struct {
	// To is where it is posted, and Origin where that, or the redirect that follows, leads
	// besides ours: both have been checked.
	To, Origin string
	// Anywhere lets it lead to any host.
	Anywhere bool
	Hidden   []Field
	Buttons  []Button
	// Submits says that it is sent by itself where a script runs.
	Submits bool
}

// Field is one value of a form.
type Field struct{ Name, Value string }

// Button is one way on. A Second is the lesser one.
type Button struct {
	Name, Value string
	Text        language.Sentence
	Second      bool
}

// submits sends the form of a page. It is all of the script in outside.html, since its hash stands
// in the policy.
const submits = "document.forms[0].submit()"

// submitsHash is the source expression of submits (CSP Level 3 section 2.3.1).
func submitsHash() string {
	sum := sha256.Sum256([]byte(submits))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// ShowOutside shows the page.
func (l *Look) ShowOutside(w http.ResponseWriter, r *http.Request, o Outside) {
	policy := contentPolicy
	if f := o.Form; f != nil {
		switch {
		case f.Anywhere:
			policy = strings.Replace(policy, "form-action 'self'; ", "", 1)
		case f.Origin != "":
			policy = strings.Replace(policy, "form-action 'self'", "form-action 'self' "+f.Origin, 1)
		}
		if f.Submits {
			policy = strings.Replace(policy, "script-src 'self'", "script-src 'self' "+submitsHash(), 1)
		}
	}
	w.Header().Set("Content-Security-Policy", policy)
	if err := l.own.Render(w, r, Page{Template: "outside", Title: o.Title, Shape: Card, Status: o.Status, Data: outside{o}}); err != nil {
		l.Log.Error("a page failed", "path", r.URL.Path, "error", err)
		http.Error(w, "The page could not be shown. Try again.", http.StatusInternalServerError)
	}
}

// outside is the page's data; a form may go to an application's own scheme, which a template would
// not write by itself.
type outside struct{ Outside }

// Form is the form as the template writes it.
func (o outside) Form() any {
	if o.Outside.Form == nil {
		return nil
	}
	return struct {
		OutsideForm
		To template.URL
	}{*o.Outside.Form, template.URL(o.Outside.Form.To)} //nolint:gosec // it is one of the application's redirect URIs, or a path of ours
}
