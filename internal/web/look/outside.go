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
	Problem   language.Sentence
	Sentences []language.Sentence
	Points    []language.Sentence
	After     []language.Sentence
	Form      *OutsideForm
	Links     []OutsideLink
	// Frames are addresses that are opened unseen on the page, and Onward is where a script then
	// goes; the first link leads there, too. Both have been checked.
	Frames []string
	Onward string
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
	// Code is the label of a field for a code, and CodeName its name.
	Code     language.Sentence
	CodeName string
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

// hashOf is the source expression of a script (CSP Level 3 section 2.3.1).
func hashOf(script string) string {
	sum := sha256.Sum256([]byte(script))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// goesOn leads to the first link once the frames of a page have loaded, and after five seconds in
// any case. It is all of that script in outside.html.
const goesOn = `addEventListener("load",function(){location.replace(document.querySelector("main a").href)});setTimeout(function(){location.replace(document.querySelector("main a").href)},5000)`

// framing is the policy of a page with frames: it opens exactly these and no other, and what of
// them is shown need not be for pages of ours (COEP).
func framing(w http.ResponseWriter, policy string, o Outside) string {
	if len(o.Frames) == 0 {
		return policy
	}
	w.Header().Set("Cross-Origin-Embedder-Policy", "unsafe-none")
	policy += "; frame-src"
	for _, frame := range o.Frames {
		at, _, _ := strings.Cut(frame, "?") // a policy says nothing of what follows
		policy += " " + at
	}
	if o.Onward != "" {
		policy = strings.Replace(policy, "script-src 'self'", "script-src 'self' "+hashOf(goesOn), 1)
	}
	return policy
}

// ShowOutside shows the page.
func (l *Look) ShowOutside(w http.ResponseWriter, r *http.Request, o Outside) {
	policy := framing(w, contentPolicy, o)
	if f := o.Form; f != nil {
		switch {
		case f.Anywhere:
			policy = strings.Replace(policy, "form-action 'self'; ", "", 1)
		case f.Origin != "":
			policy = strings.Replace(policy, "form-action 'self'", "form-action 'self' "+f.Origin, 1)
		}
		if f.Submits {
			policy = strings.Replace(policy, "script-src 'self'", "script-src 'self' "+hashOf(submits), 1)
		}
	}
	w.Header().Set("Content-Security-Policy", policy)
	if err := l.own.Render(w, r, Page{Template: "outside", Title: o.Title, Shape: Card, Status: o.Status, Problem: o.Problem, Data: outside{o}}); err != nil {
		l.Log.Error("a page failed", "path", r.URL.Path, "error", err)
		http.Error(w, "The page could not be shown. Try again.", http.StatusInternalServerError)
	}
}

// outside is the page's data; a form may go to an application's own scheme, which a template would
// not write by itself.
type outside struct{ Outside }

// Links are the links as the template writes them.
func (o outside) Links() (out []any) {
	for _, k := range o.Outside.Links {
		out = append(out, struct {
			OutsideLink
			Href template.URL
		}{k, template.URL(k.Href)}) //nolint:gosec // the protocol has checked it
	}
	return out
}

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
