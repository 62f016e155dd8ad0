package look

import (
	"net/http"
	"net/url"
	"strings"

	"countersign/internal/failure"
)

// errAstray is a place that no browser is ever sent to.
var errAstray = failure.New(failure.Invalid, "The place to go on to is not one that Countersign knows. Start again from the application.")

// Leave sends the browser on to where a sealed continuation says: a path of ours, or
// another host, over a page of ours that goes on by itself. A redirect would
// not do: Chromium applies the form-action of the page that was posted to all
// redirects that follow.
func (l *Look) Leave(w http.ResponseWriter, r *http.Request, to string) error {
	if ownPath(to) {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return nil
	}
	u, err := abroad(to)
	if err != nil {
		return err
	}
	// The header takes the place of a script; the page has the same link.
	w.Header().Set("Refresh", "0;url="+u.String())
	return l.own.Render(w, r, Page{Template: "leave", Title: "Signed in", Shape: Card, Data: u})
}

// ownPath reports whether a browser that is sent to s stays on this host: one
// slash and then anything but a second one, with no backslash, which browsers
// read as a slash, and nothing that they drop.
func ownPath(s string) bool {
	if !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r == '\\' || r <= ' ' || r == 0x7f })
}

// abroad parses an absolute web address without a name or password in it.
func abroad(s string) (*url.URL, error) {
	if strings.ContainsFunc(s, func(r rune) bool { return r == '\\' || r <= ' ' || r == 0x7f }) {
		return nil, errAstray
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return nil, errAstray
	}
	return u, nil
}
