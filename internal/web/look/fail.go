package look

import (
	"errors"
	"net/http"
	"strings"

	"countersign/internal/failure"
	"countersign/internal/language"
)

var errNoPage = failure.New(failure.NotFound, "There is no such page. Perhaps the address was cut short.")

// methodError is a request with a method that the page does not have.
type methodError struct{ allowed []string }

func (m methodError) Error() string { return "method not allowed" }

func wrongMethod(allowed []string) Handler {
	return func(http.ResponseWriter, *http.Request) error { return methodError{allowed} }
}

// trouble is what an error page shows.
type trouble struct {
	Heading  string
	Sentence language.Sentence
}

var troubles = map[failure.Class]struct {
	status  int
	heading string
}{
	failure.Internal:    {http.StatusInternalServerError, "Something broke"},
	failure.Invalid:     {http.StatusBadRequest, "That could not be understood"},
	failure.Refused:     {http.StatusForbidden, "Not allowed"},
	failure.NotFound:    {http.StatusNotFound, "Nothing here"},
	failure.Conflict:    {http.StatusConflict, "Something changed meanwhile"},
	failure.Unavailable: {http.StatusServiceUnavailable, "Not available right now"},
}

// Status returns the HTTP status of an error.
func Status(err error) int { return troubles[failure.ClassOf(err)].status }

// fail turns an error into a page. It is the only place that does.
func (l *Look) fail(w *once, r *http.Request, err error) {
	class := failure.ClassOf(err)
	t := troubles[class]
	page := Page{Template: "error", Title: t.heading, Shape: Card, Status: t.status, Data: trouble{t.heading, Problem(err)}}
	var m methodError
	if errors.As(err, &m) {
		w.Header().Set("Allow", strings.Join(m.allowed, ", "))
		page.Status, page.Title = http.StatusMethodNotAllowed, "Not this way"
		page.Data = trouble{page.Title, language.Say("This address takes no such request. Go back and follow the link or press the button there.")}
	} else if class == failure.Internal || class == failure.Unavailable {
		l.Log.Error("a page failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	if w.wrote {
		return
	}
	w.Header().Del("Refresh")
	if err := l.own.Render(w, r, page); err != nil {
		l.Log.Error("the error page failed", "error", err)
		http.Error(w, failure.Public(nil), http.StatusInternalServerError)
	}
}
