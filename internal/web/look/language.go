package look

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"countersign/internal/failure"
	"countersign/internal/language"
)

// english marks the context of a request for a page that is in English only.
type english struct{}

const (
	languageCookie = "language"
	languageField  = "language"
	// languageLife is how long a browser keeps what was chosen: browsers keep no cookie for
	// longer (RFC 6265bis section 5.5).
	languageLife = 400 * 24 * time.Hour
	// suggestedCookie keeps what an application suggested, for as long as a sign-in may take.
	suggestedCookie = "language-suggested"
	suggestedLife   = 15 * time.Minute
)

// Language is what this request's page is in: English where the route is, then what the person
// chose in this browser, what an application suggested, what the browser asks for, and the
// installation's own.
func (l *Look) Language(r *http.Request) *language.Language {
	if r.Context().Value(english{}) != nil {
		return language.English()
	}
	chosen := l.Get(r, languageCookie)
	if _, ok := l.Languages.By(chosen); !ok {
		chosen = l.Get(r, suggestedCookie)
	}
	return l.Languages.Pick(chosen, r.Header.Get("Accept-Language"))
}

// Tags are the languages that pages can be in, the installation's own first.
func (l *Look) Tags() []string { return l.Languages.Tags() }

// Suggest has pages of the next minutes be in the first of these languages that is there, where
// the person has chosen none in this browser. It returns the request as it is then.
func (l *Look) Suggest(w http.ResponseWriter, r *http.Request, tags []string) *http.Request {
	in, ok := l.Languages.Match(tags)
	if !ok {
		return r
	}
	l.Set(w, suggestedCookie, in.Tag(), suggestedLife)
	held := r.Cookies()
	r = r.Clone(r.Context())
	r.Header.Del("Cookie")
	for _, c := range append(held, &http.Cookie{Name: l.name(suggestedCookie), Value: in.Tag()}) {
		if c.Name != l.name(suggestedCookie) || c.Value == in.Tag() && l.Get(r, suggestedCookie) == "" {
			r.AddCookie(c)
		}
	}
	return r
}

// others are the languages that the person can change to on this page.
func (l *Look) others(r *http.Request, in *language.Language) []*language.Language {
	if r.Context().Value(english{}) != nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(l.Languages.All()), func(o *language.Language) bool { return o.Tag() == in.Tag() })
}

// Prefer keeps a language for this browser, by its tag. One that is not there is ignored.
func (l *Look) Prefer(w http.ResponseWriter, tag string) {
	if _, ok := l.Languages.By(tag); ok {
		l.Set(w, languageCookie, tag, languageLife)
	}
}

// Prefers reports whether this browser keeps a language that is there.
func (l *Look) Prefers(r *http.Request) bool {
	_, ok := l.Languages.By(l.Get(r, languageCookie))
	return ok
}

// Chosen is the language that a form of the foot chooses, and Prefer keeps.
func (l *Look) Chosen(r *http.Request) (*language.Language, error) {
	in, ok := l.Languages.By(r.PostForm.Get(languageField))
	if !ok {
		return nil, failure.New(failure.Invalid, "That language is not available here.")
	}
	return in, nil
}

// Return goes back to the page that a form of the foot was on: to what the page said, or to
// its address, which the browser tells: only forms of our own pages come this far.
func (l *Look) Return(w http.ResponseWriter, r *http.Request) error {
	if back := r.PostForm.Get("back"); ownPath(back) {
		return Go(w, r, back)
	}
	u, err := url.Parse(r.Referer())
	if err != nil || u.Path == "" || !ownPath(u.RequestURI()) {
		return Go(w, r, "/account")
	}
	return Go(w, r, u.RequestURI())
}
